package intercept

import (
	"context"
	"errors"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

const (
	// sendLimit is how long a text may take to become durable.
	sendLimit = time.Second
	// withdrawLimit is how long it may take to be cancelled.
	withdrawLimit = 500 * time.Millisecond
)

// texts is what a call needs of the outbox.
type texts interface {
	Send(ctx context.Context, r message.Request) (promise, error)
	Cancel(ctx context.Context, id string) (message.State, error)
	ProviderUp() bool
	// Segments measures the campaign's text with its link.
	Segments(c *campaigns.Campaign) int
}

// promise is a text that is durable.
type promise struct {
	message string
	states  <-chan message.State
}

// outbox is the real thing.
type outbox struct{ *message.Outbox }

// Send makes a text durable.
func (o outbox) Send(ctx context.Context, r message.Request) (promise, error) {
	p, err := o.Outbox.Send(ctx, r)
	if err != nil {
		return promise{}, err
	}
	return promise{message: p.Message().ID, states: p.States()}, nil
}

// Segments measures the text as calls have it sent, with a link of the length
// that all links have. What may not be meant of its sender is not asked for.
func (o outbox) Segments(c *campaigns.Campaign) int {
	return o.Forecast(c, []string{}...).Segments
}

// send makes the text durable; its first attempt begins at once. It does not
// depend on the caller, who may have hung up by now.
//
// It is asked for once and without an idempotency key. Where the store does
// not answer in time the caller is let go as store_down, and the outbox sees
// to it that the text, should the store have taken it all the same, is not
// sent: what the caller was told stays true.
func (c *call) send() *ending {
	c.drainEvents()
	if c.interrupted() && (!c.hungUp || c.choice != accepts) {
		return c.interruption()
	}
	c.asked = time.Now()
	ctx, cancel := context.WithTimeout(c.ctx, sendLimit)
	defer cancel()
	p, err := c.i.texts.Send(ctx, message.Request{
		Campaign: c.campaign, To: c.numbers.caller, Call: c.id,
	})
	if err != nil {
		return c.notSent(err)
	}
	c.text, c.states = p.message, p.states
	c.note(func(r *record) { r.Message = p.message })
	c.step("text", string(message.Queued))
	return nil
}

// notSent is the end of a call whose text could not be made durable.
func (c *call) notSent(err error) *ending {
	var refused *guard.Refused
	switch {
	case errors.As(err, &refused):
		// Another text went out since the call came in, or the world has changed
		// otherwise while the caller listened.
		c.step("refused", refusedBy(refused.Refusal))
		return c.apologise(report.Passed, report.Reason(refused.Reason))
	case errors.Is(err, message.ErrServiceOff), errors.Is(err, message.ErrNoSender):
		return c.apologise(report.Passed, report.ServiceOff)
	case errors.Is(err, message.ErrClosed):
		return &ending{report.Passed, report.ShuttingDown, letGo, ""}
	case errors.Is(err, message.ErrStore), errors.Is(err, context.DeadlineExceeded):
		c.i.log.Warn("a text could not be made durable", "call", c.id, "campaign", c.campaign.ID, "error", err)
		return c.apologise(report.Failed, report.StoreDown)
	default:
		c.i.log.Error("a text could not be made", "call", c.id, "campaign", c.campaign.ID, "error", err)
		return c.apologise(report.Failed, report.Internal)
	}
}

// withdraw cancels the text if it is still queued, and says what is known of
// it then: rejected when it is certain not to be sent.
func (c *call) withdraw() fate {
	ctx, cancel := context.WithTimeout(c.ctx, withdrawLimit)
	defer cancel()
	state, err := c.i.texts.Cancel(ctx, c.text)
	if err != nil {
		c.i.log.Warn("a text could not be withdrawn", "call", c.id, "message", c.text, "error", err)
		return unknown
	}
	if state != c.state {
		c.state = state
		c.step("text", string(state))
	}
	return c.fate()
}
