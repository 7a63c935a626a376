package message

import (
	"strings"

	"deflectd/campaigns"
	"deflectd/campaigns/link"
)

// Forecast is a text as it would be sent.
type Forecast struct {
	Text     string              `json:"text" doc:"The text with its link."`
	Link     string              `json:"link" doc:"An example of the length real ones have."`
	Encoding string              `json:"encoding" enum:"gsm7,ucs2" doc:"How the characters are sent: 3GPP TS 23.038."`
	Segments int                 `json:"segments" doc:"In how many parts it is sent and paid."`
	Warnings []campaigns.Problem `json:"warnings" doc:"What works but may not be meant."`
}

// Forecast says what the campaign's text would come to with its own params, and
// what may not be meant, by the field it is about. Nothing is sent and no link is
// made. Whether the sender is shown is looked at for the countries (ISO 3166-1
// alpha-2) that are named, else for all that may be texted. The campaign's
// defaults must be set.
func (o *Outbox) Forecast(c *campaigns.Campaign, countries ...string) Forecast {
	return o.forecast(c, nil, countries)
}

// forecast is Forecast with params in place of the campaign's.
func (o *Outbox) forecast(c *campaigns.Campaign, params map[string]string, countries []string) Forecast {
	f := Forecast{Link: o.opts.PublicURL + "/" + strings.Repeat("x", link.CodeLength)}
	f.Text = Compose(c, f.Link, params)
	f.Encoding, f.Segments = Measure(f.Text)
	if countries == nil && o.opts.Guards != nil {
		countries = o.opts.Guards.Countries()
	}
	w := warnings{found: []campaigns.Problem{}}
	w.interaction(&c.Interaction)
	w.text(c, params, &f)
	w.sender(o, c, countries)
	w.expiry(c)
	f.Warnings = w.found
	return f
}
