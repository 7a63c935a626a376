package message

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cenkalti/backoff/v5"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/link"
	"deflectd/campaigns/phone"
)

// codeTries is how many codes are made before it is given up: one that is taken
// is as rare as they come, two in a row are a fault.
const codeTries = 3

// Send makes a text durable with its link, in one step, and begins its first
// attempt at once (one of a list waits for its turn, one that is external is done
// with). When it has answered, the text is neither lost nor sent twice, whatever
// breaks.
//
// The errors are campaigns.Invalid (it names the fields), *guard.Refused,
// ErrNoSender, ErrServiceOff, ErrConflict, ErrClosed, and ErrStore; after that
// last one a text without a Key is not sent any more, and one with a Key is asked
// for again. A Key that is known is answered before any rule is asked.
func (o *Outbox) Send(ctx context.Context, r Request) (*Pending, error) {
	if r.Campaign == nil {
		return nil, campaigns.Invalid{{Pointer: "/campaign", Message: "a campaign is needed"}}
	}
	withDefaults := *r.Campaign
	withDefaults.SetDefaults()
	r.Campaign = &withDefaults
	m, err := o.compose(r)
	if err != nil {
		return o.unlessRepeated(ctx, r, err)
	}
	if o.stopping() {
		return nil, fmt.Errorf("make the text durable: %w", ErrClosed)
	}
	d := durable{
		holder: o.unique(), validity: time.Duration(r.Campaign.Validity), resend: r.Campaign.OnUnknown == campaigns.OnUnknownResend,
		list: r.List, external: r.External, key: r.Key, leads: time.Duration(r.Campaign.Link.ExpiresAfter),
	}
	if !r.Test {
		d.kind = r.Campaign.Kind
	}
	if d.guards, err = o.guardArgs(r); err != nil {
		return nil, err
	}
	if d.target, err = link.InteractionURL(r.Campaign.Interaction, m.To, r.Params); err != nil {
		return nil, campaigns.Invalid{{Pointer: "/interaction/url", Message: err.Error()}}
	}
	if r.Key != "" {
		if d.digest, err = o.digest(r); err != nil {
			return nil, err
		}
	}
	return o.make(ctx, m, d, func(m *Message) error { return o.addLink(m, r) })
}

// make makes a message durable. Its link is made anew for each try.
func (o *Outbox) make(ctx context.Context, m Message, d durable, addLink func(*Message) error) (*Pending, error) {
	for range codeTries {
		if err := addLink(&m); err != nil {
			return nil, err
		}
		d.notAfter = o.clock.at(o.givesUp(ctx))
		answer, err := o.enqueue(ctx, &m, d)
		if err != nil {
			if d.key == "" && !d.external {
				o.revoke(ctx, m, d)
			}
			return nil, err
		}
		switch answer.string(0) {
		case "ok":
			return o.enqueued(ctx, m, d), nil
		case "collision", "late":
			// Late, though it is waited for, is it only where Redis' clock was
			// not known, or has changed: its answer says what it is.
			continue
		case "repeat":
			return o.repeated(ctx, answer.string(1))
		case "conflict":
			return nil, fmt.Errorf("make the text durable: %w", ErrConflict)
		case "off":
			return nil, fmt.Errorf("make the text durable: %w", ErrServiceOff)
		case "refused":
			return nil, o.refused(guard.Refusal{
				Reason: guard.Reason(answer.string(1)), Limit: answer.string(2), RetryAfter: answer.millis(3),
			})
		default:
			return nil, storeError("make the text durable", errAnswer)
		}
	}
	return nil, storeError("make the text durable", errors.New("no try succeeded"))
}

// compose checks a request and makes the message of it, all but its link.
func (o *Outbox) compose(r Request) (Message, error) {
	var problems campaigns.Invalid
	m := Message{
		ID: newID(), Campaign: r.Campaign.ID, Call: r.Call, To: r.To.E164, Test: r.Test,
		Originator: o.sender(r), State: Queued,
	}
	if r.External {
		m.State, m.Provider = Accepted, ProviderExternal
	}
	if r.External && r.Test {
		problems = append(problems, campaigns.Problem{
			Pointer: "/external", Message: "must be false for a test, which is sent from here; leave out one of the two",
		})
	}
	problems = append(problems, badRecipient(m.To)...)
	if m.Originator != "" && !campaigns.ValidOriginator(m.Originator) {
		problems = append(problems, campaigns.Problem{
			Pointer: "/originator",
			Message: "must be a name of at most 11 letters and digits, with a letter, or a number of at most 17 digits",
		})
	}
	if !utf8.ValidString(r.Campaign.Text) || strings.TrimSpace(r.Campaign.Text) == "" {
		problems = append(problems, campaigns.Problem{Pointer: "/text", Message: "a text in valid UTF-8 is needed"})
	}
	if len(r.Params) > 0 {
		var invalid campaigns.Invalid
		if err := r.Campaign.ValidateParams(r.Params); errors.As(err, &invalid) {
			problems = append(problems, invalid...)
		}
	}
	if problems != nil {
		return Message{}, problems
	}
	if m.Originator == "" && !r.External {
		return Message{}, fmt.Errorf("make the text durable: %w", ErrNoSender)
	}
	if refusal := o.permit(r); !refusal.None() {
		return Message{}, &guard.Refused{Refusal: refusal}
	}
	if o.optingOut(m.To) {
		return Message{}, &guard.Refused{Refusal: guard.Refusal{Reason: guard.OptedOut}}
	}
	return m, nil
}

// permit asks the guards that need no history.
func (o *Outbox) permit(r Request) guard.Refusal {
	switch {
	case o.opts.Guards == nil:
		return guard.Refusal{}
	case r.Test:
		return o.opts.Guards.PermitTest(r.Campaign, r.To)
	default:
		return o.opts.Guards.Permit(r.Campaign, r.To)
	}
}

// optingOut says whether somebody has opted out whose opt-out could not be
// written yet: no script knows of it.
func (o *Outbox) optingOut(e164 string) bool {
	return o.opts.OptOuts != nil && o.opts.OptOuts.Waiting(e164)
}

func newID() string { return strings.ToLower(rand.Text()) }

// sender is what a text comes from, "" where there is nothing. What another
// gateway shows is its own affair.
func (o *Outbox) sender(r Request) string {
	if r.External {
		return cmp.Or(r.Originator, r.Campaign.Originator)
	}
	if o.opts.Senders != nil {
		return o.opts.Senders.For(r.Campaign, r.Originator, r.To)
	}
	return cmp.Or(r.Originator, r.Campaign.Originator, o.opts.Originator)
}

// foreseeSender is what a text of the campaign to a number would come from: nothing
// is said of it.
func (o *Outbox) foreseeSender(c *campaigns.Campaign, to phone.Number) string {
	if o.opts.Senders != nil {
		return o.opts.Senders.Foresee(c, to)
	}
	return cmp.Or(c.Originator, o.opts.Originator)
}

func badRecipient(e164 string) campaigns.Invalid {
	if len(e164) < 4 || e164[0] != '+' {
		return campaigns.Invalid{{Pointer: "/to", Message: "a number in E.164 is needed"}}
	}
	return nil
}

// guardArgs are what the scripts need to guard a text; nil where nothing is
// guarded.
func (o *Outbox) guardArgs(r Request) ([]any, error) {
	if o.opts.Guards == nil {
		return nil, nil
	}
	exempt := guard.NotExempt
	if r.Test {
		exempt = guard.Test
	}
	args, err := o.opts.Guards.Args(r.Campaign, r.To, exempt)
	if err != nil {
		return nil, storeError("make the text durable", err)
	}
	return args, nil
}

// refused counts a refusal and makes an error of it.
func (o *Outbox) refused(r guard.Refusal) error {
	if o.opts.Guards != nil {
		o.opts.Guards.Refused(r, guard.AtText)
	}
	return &guard.Refused{Refusal: r}
}

// addLink gives the message a new short link, and its text with it.
func (o *Outbox) addLink(m *Message, r Request) error {
	m.Link = link.NewCode()
	m.URL = o.opts.PublicURL + "/" + m.Link
	m.Text = Compose(r.Campaign, m.URL, r.Params)
	return measure(m)
}

// measure counts the segments of a text and refuses one that is too long.
func measure(m *Message) error {
	m.Encoding, m.Segments = Measure(m.Text)
	if m.Segments < 1 || m.Segments > MaxSegments {
		return campaigns.Invalid{{
			Pointer: "/text",
			Message: fmt.Sprintf("as it is sent the text takes %d segments; at most %d can be sent", m.Segments, MaxSegments),
		}}
	}
	return nil
}

// enqueued begins the first attempt of a message that is durable now.
func (o *Outbox) enqueued(ctx context.Context, m Message, d durable) *Pending {
	cause := "requested"
	if d.external {
		cause = ProviderExternal
	}
	m.History = []Change{{At: m.Created, State: m.State, Cause: cause}}
	o.count(change{campaign: m.Campaign, state: m.State, test: m.Test})
	if d.external {
		return settledPending(m)
	}
	if d.list {
		o.nudge(0)
		return settledPending(m)
	}
	p := o.follow(m)
	f := &flight{message: m, holder: d.holder, kind: d.kind, first: true}
	ctx = context.WithoutCancel(ctx)
	if !o.begin(func() { o.fly(ctx, f) }) {
		// It is durable, so another worker takes it up; this process will not
		// see what becomes of it.
		o.giveBack(ctx, f, 0, "shutdown")
		o.drop(m.ID)
	}
	return p
}

// patience spaces what is repeated until Redis answers.
func (o *Outbox) patience() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = 50*time.Millisecond, 2*time.Second, 2
	return b
}

// pause waits, and answers false when the outbox is told to end at once.
func (o *Outbox) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-o.killed:
		return false
	}
}
