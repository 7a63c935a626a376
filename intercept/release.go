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

// failedPromptLimit bounds the prompt that says that the text failed: the
// caller waits for a person by then.
const failedPromptLimit = 10 * time.Second

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
	if r.WaitFor != campaigns.WaitQueued {
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

// awaitTaken waits until the provider has taken the text; nil when it has, or
// when the campaign does not mind.
func (c *call) awaitTaken(r *campaigns.Release) *ending {
	// The caller has waited since the key was pressed.
	wait := time.Until(c.asked.Add(time.Duration(r.Wait)))
	c.await(wait, func() bool { return c.fate() != pending })
	switch f := c.fate(); {
	case f == taken:
		return nil
	case f == rejected:
		return c.apologise(report.MessageRejected)
	case c.hungUp || c.lost || c.left:
		return c.befallen()
	case f == stuck:
		switch c.withdraw() {
		case taken:
			return nil
		case rejected:
			return c.apologise(report.ProviderDown)
		default: // it may still come: nothing true can be said
			return &ending{report.Failed, report.ProviderDown, letGo, ""}
		}
	case f != expired && r.OnTimeout == campaigns.ActionHangup:
		return nil
	case f != expired && c.withdraw() == taken:
		return nil
	default:
		return &ending{report.Failed, report.MessageTimeout, letGo, target(r.Transfer)}
	}
}

// befallen is how a call ends that was interrupted after a text was promised;
// nil when it goes on.
//
// Who hangs up now has the text. A call that the switch took back is with a
// person, who need not wait for a text: one that is still queued is withdrawn.
// When the switch is lost, whether the caller is still there is not known, and
// the text they asked for is left to come.
func (c *call) befallen() *ending {
	switch {
	case c.hungUp:
		return &ending{report.Deflected, report.CallerHungUp, over, ""}
	case c.lost:
		return &ending{report.Failed, report.SwitchLost, letGo, ""}
	case c.left:
		c.step("taken back", "")
		if c.fate() == taken || c.withdraw() == taken {
			return &ending{report.Texted, report.ToTransfer, over, ""}
		}
		return &ending{report.Failed, report.MessageTimeout, over, ""}
	default:
		return nil
	}
}

// apologise tells the caller that there will be no text.
func (c *call) apologise(reason report.Reason) *ending {
	c.play(c.campaign.Prompts.Failed, "failed")
	c.playOut(failedPromptLimit)
	return &ending{report.Failed, reason, letGo, ""}
}

// finish takes the call out of our hands and concludes its record.
func (c *call) finish(end ending) {
	if end.exit == hangUp {
		end = c.hangUp(end)
	}
	if end.exit == letGo {
		end = c.letGo(end)
	}
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
	err := c.command(letGoLimit, func(ctx context.Context) error { return c.ch.Set(ctx, names, values) })
	if c.hungUp || c.left {
		return c.without(end)
	}
	if err != nil {
		c.step("variables failed", cause(err))
	}
	err = c.command(letGoLimit, c.ch.Continue)
	if err != nil && !gone(err) && !errors.Is(err, context.DeadlineExceeded) {
		// Once more: on a call that has gone meanwhile it does no harm.
		err = c.command(letGoLimit, c.ch.Continue)
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
	switch {
	case c.hungUp && end.outcome == report.Texted:
		return ending{report.Deflected, report.CallerHungUp, over, ""}
	case c.left && end.reason == report.PromptFailed:
		// When the switch takes a call back it ends the prompt first, as one
		// that was not heard: the prompt was not at fault.
		return *c.interruption()
	default:
		return end
	}
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
	extension := t.Extension
	if extension == "" {
		extension = "s"
	}
	return t.Context + "," + extension + "," + strconv.Itoa(max(1, t.Priority))
}
