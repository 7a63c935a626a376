package message

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/link"
	"deflectd/campaigns/phone"
)

// LinkRequest asks for a link alone, for a text that another gateway sends.
type LinkRequest struct {
	Campaign *campaigns.Campaign
	To       *phone.Number     // who gets it; nil where that is nobody in particular
	Params   map[string]string // as those of a Request
	// Shorten asks for a short link. Without it the link is the address of the
	// interaction itself: nobody can take it back or count who opens it.
	Shorten bool
	Key     string // makes repeating the request harmless for 24 hours; "" for none
	By      string // the name of the token that asked
}

// Link leads to an interaction.
type Link struct {
	URL            string    // what goes into a text
	InteractionURL string    // where it leads
	Code           string    // of the short link; "" where it is none
	ExpiresAt      time.Time // when it leads nowhere any more; zero where it is no short link
}

// Link makes a link alone and keeps it: no text is made, sent or counted. One that
// was made for a person leads nowhere any more once that person is forgotten. The
// service switch does not matter: nothing is sent.
//
// The errors are campaigns.Invalid (it names the fields), *guard.Refused where the
// person has opted out, ErrConflict, ErrStore, and ErrNotFound where the link that
// the same request has made leads nowhere any more. A Key that is known is answered
// before any rule is asked.
func (o *Outbox) Link(ctx context.Context, r LinkRequest) (Link, error) {
	l, err := o.linking(r)
	if err != nil {
		return Link{}, err
	}
	for range codeTries {
		answer, err := o.makeLink(ctx, r, l)
		if err != nil {
			return Link{}, err
		}
		switch answer.string(0) {
		case "ok":
			return o.linked(answer)
		case "collision":
			continue
		case "conflict":
			return Link{}, fmt.Errorf("make a link: %w", ErrConflict)
		case "refused":
			return Link{}, o.refused(guard.Refusal{Reason: guard.OptedOut})
		default:
			return Link{}, storeError("make a link", errAnswer)
		}
	}
	return Link{}, storeError("make a link", errors.New("no try succeeded"))
}

// linking is what the script that makes a link needs beside the request.
type linking struct {
	target string // where it leads
	leads  time.Duration
	person string // by pseudonym, "" for nobody
	refuse bool   // the person has opted out, and no script knows of it yet
	digest string // tells the requests with the same key apart
}

// linking checks a request and makes what the script needs.
func (o *Outbox) linking(r LinkRequest) (l linking, err error) {
	if r.Campaign == nil {
		return l, campaigns.Invalid{{Pointer: "/campaign", Message: "a campaign is needed"}}
	}
	c := *r.Campaign
	c.SetDefaults()
	var problems campaigns.Invalid
	e164 := ""
	if r.To != nil {
		e164 = r.To.E164
		problems = badRecipient(e164)
	}
	var invalid campaigns.Invalid
	if err := c.ValidateParams(r.Params); errors.As(err, &invalid) {
		problems = append(problems, invalid...)
	}
	if problems != nil {
		return l, problems
	}
	l.leads = time.Duration(c.Link.ExpiresAfter)
	if l.target, err = link.InteractionURL(c.Interaction, e164, r.Params); err != nil {
		return l, campaigns.Invalid{{Pointer: "/interaction/url", Message: err.Error()}}
	}
	if e164 != "" {
		secret, err := o.secret()
		if err != nil {
			return l, err
		}
		l.person, l.refuse = campaigns.Pseudonym(secret, e164), o.optingOut(e164)
	}
	if r.Key != "" {
		parts := []string{c.ID, e164, strconv.FormatBool(r.Shorten)}
		for _, name := range slices.Sorted(maps.Keys(r.Params)) {
			parts = append(parts, name, r.Params[name])
		}
		l.digest, err = o.keyed(append([]string{"link"}, parts...)...)
	}
	return l, err
}

// makeLink runs the script, with a new code.
func (o *Outbox) makeLink(ctx context.Context, r LinkRequest, l linking) (reply, error) {
	code := link.NewCode()
	keys := []string{link.Key(code), link.URLKey(code), linksKey(l.person)}
	if r.Key != "" {
		keys = append(keys, linkIdempotencyKey(r.Key))
	}
	before, behind := linkURLKey()
	return o.run(ctx, linkScript, "make a link", keys,
		code, l.target, l.leads.Milliseconds(), link.TTL(l.leads).Milliseconds(), l.person, bit(l.refuse),
		l.digest, keyKept.Milliseconds(), before, behind, bit(r.Shorten), o.unique(),
		link.FieldCampaign, r.Campaign.ID, link.FieldBy, r.By)
}

// linked reads what the script has made, or had made already.
func (o *Outbox) linked(answer reply) (Link, error) {
	l := Link{Code: answer.string(1), InteractionURL: answer.string(2), URL: answer.string(2)}
	if l.InteractionURL == "" {
		return Link{}, fmt.Errorf("repeat a request for a link: %w", ErrNotFound)
	}
	if l.Code != "" {
		l.URL = o.opts.PublicURL + "/" + l.Code
		l.ExpiresAt = time.UnixMilli(answer.int(3)).UTC()
	}
	return l, nil
}

// linkURLKey is what comes before and behind a code in the key of where its link
// leads.
func linkURLKey() (before, behind string) {
	before, behind, _ = strings.Cut(link.URLKey("\n"), "\n")
	return before, behind
}

// forgetLinks has the links that were made alone for a person lead nowhere.
func (o *Outbox) forgetLinks(ctx context.Context, e164 string) error {
	secret, err := o.secret()
	if err != nil {
		return err
	}
	before, behind := linkURLKey()
	for {
		answer, err := o.run(ctx, unlinkScript, "forget the links of a number",
			[]string{linksKey(campaigns.Pseudonym(secret, e164))}, before, behind, forgetBatch)
		if err != nil || answer.int(0) == 0 {
			return err
		}
	}
}
