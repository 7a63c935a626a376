package intercept

import (
	"context"
	"errors"
	"strconv"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

// exit is how a call leaves our hands.
type exit int

const (
	letGo  exit = iota // to the next priority of the dialplan
	hangUp             // by us
	over               // it has left already
)

// ending is how a call ends.
type ending struct {
	outcome  report.Outcome
	reason   report.Reason
	exit     exit
	transfer string // where in the dialplan it should go; "" for nowhere special
}

// partingLimit bounds what is said to a caller who gets no text: the caller
// waits for a person by then.
const partingLimit = 10 * time.Second

// providerLook is how often a waiting call looks whether the provider is down.
const providerLook = 500 * time.Millisecond

// fate is what is known of a text that a caller waits for.
type fate int

const (
	pending  fate = iota
	taken         // by the provider
	rejected      // it is not sent, for good
	expired       // nor is this
	stuck         // it is queued again, and the provider is known to be down
	unknown       // nobody can say, and no more news will come
)

// fate reads the state of the text.
func (c *call) fate() fate {
	switch c.state {
	case message.Accepted, message.Delivered:
		return taken
	case message.Failed, message.Cancelled:
		return rejected
	case message.Expired:
		return expired
	case message.Unknown:
		return unknown
	case message.Queued:
		if !c.i.texts.ProviderUp() {
			return stuck
		}
	case message.Sending:
	}
	if c.states == nil {
		return unknown
	}
	return pending
}

// release waits for the text as far as the campaign says, and ends the call.
func (c *call) release() ending {
	r := &c.campaign.Release
	if waits(r) {
		if end := c.awaitTaken(r); end != nil {
			return *end
		}
	}
	c.playOut(promptLimit) // what is said instead of asking
	c.play(c.campaign.Prompts.Sent, "sent")
	c.playOut(promptLimit)
	if end := c.befallen(); end != nil {
		return *end
	}
	if r.Action == campaigns.ActionTransfer {
		return ending{report.Texted, report.ToTransfer, letGo, target(r.Transfer)}
	}
	return ending{report.Deflected, report.Released, hangUp, ""}
}

// waits tells whether a call waits for the provider to take its text. One that
// is transferred always does, for that is what texted says of it.
func waits(r *campaigns.Release) bool {
	return r.WaitFor != campaigns.WaitQueued || r.Action == campaigns.ActionTransfer
}

// awaitTaken waits until the provider has taken the text; nil when it has, or
// when the campaign does not mind.
func (c *call) awaitTaken(r *campaigns.Release) *ending {
	// The caller has waited since the key was pressed.
	wait := c.within(time.Until(c.asked.Add(time.Duration(r.Wait))), wayBack+withdrawLimit)
	until := time.Now().Add(wait)
	for c.fate() == pending && !c.interrupted() && time.Now().Before(until) {
		// That the provider is down is no event of the call: it is looked at.
		c.await(min(time.Until(until), providerLook), func() bool { return c.fate() != pending })
	}
	switch f := c.fate(); {
	case f == taken:
		return nil
	case f == rejected:
		return c.apologise(report.Failed, report.MessageRejected)
	case c.hungUp || c.lost || c.left:
		return c.befallen()
	case f == stuck:
		switch c.withdraw() {
		case taken:
			return nil
		case rejected:
			return c.apologise(report.Failed, report.ProviderDown)
		default: // it may still come: nothing true can be said
			return &ending{report.Failed, report.ProviderDown, letGo, ""}
		}
	case f != expired && c.withdraw() == taken:
		return nil
	default:
		return &ending{report.Failed, report.MessageTimeout, letGo, target(r.Transfer)}
	}
}

// befallen is how a call ends that was interrupted after a text was promised;
// nil when it goes on.
//
// Who hangs up now has the text. A call that the switch took back is in the
// dialplan: where the campaign waits for the provider, the caller has not been
// told of the text yet and goes to a person, so one that is still queued is
// withdrawn. Where it does not wait, the caller was told, and the text is left
// to come. So it is when the switch is lost: whether the caller is still there
// is not known.
func (c *call) befallen() *ending {
	switch {
	case c.hungUp:
		return &ending{report.Deflected, report.CallerHungUp, over, ""}
	case c.lost:
		return &ending{report.Failed, c.lostBy, letGo, ""}
	case c.left:
		c.step("taken back", "")
		waits := waits(&c.campaign.Release)
		switch {
		case c.fate() == taken, waits && c.withdraw() == taken:
			return &ending{report.Texted, report.ToTransfer, over, ""}
		case !waits:
			return &ending{report.Failed, report.SwitchLost, over, ""}
		default:
			return &ending{report.Failed, report.MessageTimeout, over, ""}
		}
	default:
		return nil
	}
}

// apologise tells the caller that there will be no text.
func (c *call) apologise(outcome report.Outcome, reason report.Reason) *ending {
	c.play(c.campaign.Prompts.Failed, "failed")
	c.playOut(partingLimit)
	return &ending{outcome, reason, letGo, ""}
}

// finish takes the call out of our hands and concludes its record.
func (c *call) finish(end ending) {
	if end.exit == hangUp {
		end = c.hangUp(end)
	}
	if end.exit == letGo {
		end = c.letGo(end)
	}
	if end.reason == report.PromptFailed && c.doubted == "" {
		end = *c.interruption() // the prompt was not at fault
	}
	c.heedOptOut()
	c.countPrompt()
	c.conclude(end)
}

// letGo lets the call go to the next priority of the dialplan, with the
// variables that say what became of it. Commands wait behind a prompt, so that
// is stopped first; the way back is tried whatever became of the rest.
func (c *call) letGo(end ending) ending {
	c.stopPrompt()
	if c.hungUp || c.left {
		return c.without(end)
	}
	names, values := c.variables(end)
	err := c.try(letGoLimit, wayBack-letGoLimit, func(ctx context.Context) error { return c.ch.Set(ctx, names, values) })
	if c.hungUp || c.left {
		return c.without(end)
	}
	if err != nil {
		c.step("variables failed", cause(err))
	}
	// Also when the call seems to have gone: it is the answer to this that says
	// so, for it costs little and a caller must not be kept by a mistake.
	err = c.try(letGoLimit, 0, c.ch.Continue)
	if err != nil && !gone(err) && !errors.Is(err, context.DeadlineExceeded) {
		// Once more: on a call that has gone meanwhile it does no harm.
		err = c.try(letGoLimit, 0, c.ch.Continue)
	}
	if gone(err) {
		c.whyGone()
	}
	switch {
	case c.hungUp:
		return c.without(end)
	case err == nil || gone(err):
		c.step("let go", "")
	default:
		c.step("letting go failed", cause(err))
		c.i.log.Warn("a call could not be let go", "call", c.id, "node", c.ch.Node(), "error", err)
	}
	return end
}

// without is how a call ended that left before it could be let go.
func (c *call) without(end ending) ending {
	if c.hungUp && end.outcome == report.Texted {
		return ending{report.Deflected, report.CallerHungUp, over, ""}
	}
	return end
}

// hangUp hangs the call up, unless something has befallen it first. When the
// switch does not do it, the call is to be let go: nobody is kept.
func (c *call) hangUp(end ending) ending {
	c.drainEvents()
	if befallen := c.befallen(); befallen != nil {
		return *befallen
	}
	for try := range 2 {
		err := c.command(letGoLimit, c.ch.Hangup)
		switch {
		case err == nil, try > 0 && gone(err), !gone(err) && c.hungUp:
			// Gone after our command is gone by it, answered or not.
			c.step("released", "")
			return end
		case gone(err) || c.lost || c.left:
			return *c.befallen()
		}
		c.step("hangup failed", cause(err))
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return ending{report.Failed, report.SwitchLost, letGo, ""}
}

// The channel variables that are set before a call is let go.
var variableNames = []string{
	"DEFLECTD_CALL", "DEFLECTD_CAMPAIGN", "DEFLECTD_OUTCOME",
	"DEFLECTD_REASON", "DEFLECTD_MESSAGE", "DEFLECTD_TRANSFER",
}

// variables are what the dialplan is told.
func (c *call) variables(end ending) (names, values []string) {
	campaign := ""
	if c.campaign != nil {
		campaign = c.campaign.ID
	}
	return variableNames, []string{c.id, campaign, string(end.outcome), string(end.reason), c.text, end.transfer}
}

// target is where a transfer goes, as the dialplan wants it:
// context,extension,priority. It is the dialplan that tests whether it exists.
func target(t campaigns.Transfer) string {
	if t.Context == "" {
		return "" // the next priority
	}
	return t.Context + "," + t.Extension + "," + strconv.Itoa(t.Priority)
}
