package message

import (
	"context"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/link"
)

// keyKept is how long an idempotency key is remembered.
const keyKept = 24 * time.Hour

// durable is what the script that makes a message durable needs beside the
// message.
type durable struct {
	holder   string
	validity time.Duration
	notAfter int64  // until when it may be made, by Redis' clock (Unix ms)
	guards   []any  // what guard.Guards.Args made; nil where nothing is guarded
	target   string // where the link leads
	leads    time.Duration
	key      string // idempotency key, "" for none
	digest   string // tells the requests with that key apart
	list     bool
	external bool   // another gateway sends it
	must     bool   // it goes out though a limit is reached
	kind     string // of the campaign, "" where the hours for marketing do not matter
	resend   bool   // once more, where nobody knows what became of it
}

// way is who waits for the message, as the script knows it.
func (d *durable) way() string {
	switch {
	case d.external:
		return "external"
	case d.list:
		return "list"
	default:
		return "live"
	}
}

// The fields of a record that are on or off.
func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}

// bit is an argument of a script that is on or off.
func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}

// kept is for how long any message is kept at most, from when it was made.
func (o *Outbox) kept() time.Duration { return longestValidity + o.opts.Retention }

// enqueue runs the script that makes the message durable, unless it is later
// than notAfter by Redis' clock. A message without a link (Link is "") has none.
func (o *Outbox) enqueue(ctx context.Context, m *Message, d durable) (reply, error) {
	keys := make([]string, 0, 7)
	keys = append(keys, messageKey(m.ID), link.Key(m.Link), link.URLKey(m.Link), indexKey, numberKey(m.To),
		campaigns.ServiceKey)
	marker := ""
	if d.key != "" {
		keys = append(keys, idempotencyKey(d.key))
		marker = m.ID + " " + d.digest
	}
	args := make([]any, 0, 64)
	args = append(args, m.ID, d.holder, o.opts.Lease.Milliseconds(), d.validity.Milliseconds(),
		(d.validity + o.opts.Retention).Milliseconds(), d.target, d.leads.Milliseconds(), link.TTL(d.leads).Milliseconds(),
		marker, keyKept.Milliseconds(), d.notAfter, d.way(), m.Segments,
		o.kept().Milliseconds(), bit(d.must))
	guards := len(args)
	args = append(args, 0)
	if m.Link != "" {
		args = append(args, 4, link.FieldCampaign, m.Campaign, link.FieldMessage, m.ID)
	} else {
		args = append(args, 0)
	}
	args = append(args, "campaign", m.Campaign, "call", m.Call, "to", m.To, "originator", m.Originator, "text", m.Text,
		"link", m.Link, "url", m.URL, "encoding", m.Encoding, "test", flag(m.Test))
	if d.kind == campaigns.KindMarketing { // it matters to no other
		args = append(args, "kind", d.kind)
	}
	if d.external {
		args = append(args, "provider", ProviderExternal)
	}
	if d.resend {
		args = append(args, "resend", o.opts.ResendAfter.Milliseconds())
	}
	if d.guards != nil {
		args[guards] = len(args) + 1
		args = append(args, d.guards...)
	}
	answer, err := o.run(ctx, enqueueScript, "make the text durable", keys, args...)
	if err != nil {
		return nil, err
	}
	if s := answer.string(0); s == "ok" || s == "late" {
		o.clock.learn(answer.int(1))
	}
	m.Created = time.UnixMilli(answer.int(1)).UTC()
	m.Updated, m.Expires = m.Created, m.Created.Add(d.validity)
	return answer, nil
}
