package message

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
)

// replyValidity is how long an answer to a text is worth delivering: people look
// at their telephone for one while they remember what they wrote.
const replyValidity = time.Hour

// Reply makes an answer durable and begins its first attempt at once. Whom it
// goes to has just texted us: no guard but that of countries and of our own
// numbers holds, not even an opt-out, which it may confirm. It counts in the
// segments of the day and for its prefix, and where it is Limited these limits
// hold for it: people who do not pay for it could ask for any number of them.
// With a Key that is known it does nothing.
//
// The errors are campaigns.Invalid, *guard.Refused, ErrServiceOff, ErrConflict,
// ErrClosed and ErrStore, after which it is asked for again.
func (o *Outbox) Reply(ctx context.Context, r Reply) error {
	if r.Key == "" {
		return errors.New("reply to a text: a key is needed")
	}
	m := Message{ID: newID(), To: r.To.E164, Originator: r.Originator, Text: r.Text, State: Queued}
	if problems := badRecipient(m.To); problems != nil {
		return problems
	}
	if !campaigns.ValidOriginator(m.Originator) {
		return campaigns.Invalid{{Pointer: "/originator", Message: "must be a name or a number texts can come from"}}
	}
	if !utf8.ValidString(m.Text) || strings.TrimSpace(m.Text) == "" {
		return campaigns.Invalid{{Pointer: "/text", Message: "a text in valid UTF-8 is needed"}}
	}
	if err := measure(&m); err != nil {
		return err
	}
	if o.stopping() {
		return fmt.Errorf("make the text durable: %w", ErrClosed)
	}
	d := durable{holder: o.unique(), validity: replyValidity, key: "reply " + r.Key, must: !r.Limited}
	var err error
	if d.digest, err = o.keyed("reply", m.To, m.Originator, m.Text); err != nil {
		return err
	}
	if o.opts.Guards != nil {
		if refusal := o.opts.Guards.Permit(nil, r.To); !refusal.None() {
			return o.refused(refusal)
		}
		if d.guards, err = o.opts.Guards.Args(nil, r.To, guard.Reply); err != nil {
			return storeError("make the text durable", err)
		}
	}
	_, err = o.make(ctx, m, d, func(*Message) error { return nil })
	return err
}
