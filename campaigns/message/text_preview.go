package message

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"deflectd/campaigns"
	"deflectd/campaigns/link"
	"deflectd/campaigns/phone"
)

// Preview is what somebody would get, of a campaign as it is or as it is being
// written.
type Preview struct {
	Text           string              `json:"text" doc:"The text as it would be sent, with its link."`
	Link           string              `json:"link" doc:"The link in it: an example as long as real ones, which leads nowhere."`
	InteractionURL string              `json:"interaction_url,omitempty" doc:"Where a real link would lead; absent while the campaign has no usable address."`
	Originator     string              `json:"originator,omitempty" doc:"The number or name it would come from; absent where there is none."`
	Encoding       string              `json:"encoding" enum:"gsm7,ucs2" doc:"How the characters are sent: 3GPP TS 23.038."`
	Segments       int                 `json:"segments" doc:"In how many parts it is sent and paid."`
	Length         int                 `json:"length" doc:"How much the text takes, in the units of per_segment: most characters take one, some two."`
	PerSegment     int                 `json:"per_segment" doc:"How much one of its segments holds: 160 or 70 where there is one, 153 or 67 where there are several."`
	Left           int                 `json:"left" doc:"How much more goes into the last segment before there is one more."`
	Warnings       []campaigns.Problem `json:"warnings" doc:"What works but may not be meant."`
}

// Preview says what to would get of the campaign, nil standing for somebody whose
// number is not known. Params stand for the campaign's of the same name. The
// campaign may be a draft that is not valid yet: what is missing is as it is where
// it is left out, and a placeholder that nobody knows stays as it is written. Nothing
// is sent, no link is made and nobody is asked. The error is campaigns.Invalid, where
// there is no text, or for params the campaign does not have.
func (o *Outbox) Preview(c *campaigns.Campaign, to *phone.Number, params map[string]string) (Preview, error) {
	full := *c
	full.SetDefaults()
	if !utf8.ValidString(full.Text) || strings.TrimSpace(full.Text) == "" {
		return Preview{}, campaigns.Invalid{{Pointer: "/text", Message: "a text in valid UTF-8 is needed"}}
	}
	if err := full.ValidateParams(params); err != nil {
		return Preview{}, err
	}
	f := o.forecast(&full, params, nil)
	size := measureText(f.Text)
	p := Preview{
		Text: f.Text, Link: f.Link, Originator: o.previewSender(&full, to), Warnings: f.Warnings,
		Encoding: size.encoding, Segments: size.segments, Length: size.length, PerSegment: size.each, Left: size.left,
	}
	e164 := ""
	if to != nil {
		e164 = to.E164
	}
	if target, err := link.InteractionURL(full.Interaction, e164, params); err == nil && usable(target) {
		p.InteractionURL = target
	}
	return p, nil
}

// usable says whether an address is one a browser could open: a draft may have
// only the beginning of one.
func usable(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// previewSender is what the text would come from, somebody whose number is not
// known being in the first country that may be texted.
func (o *Outbox) previewSender(c *campaigns.Campaign, to *phone.Number) string {
	var number phone.Number
	switch {
	case to != nil:
		number = *to
	case o.opts.Guards != nil:
		if countries := o.opts.Guards.Countries(); len(countries) > 0 {
			number.Region = countries[0]
		}
	}
	return o.foreseeSender(c, number)
}
