package intercept

import (
	"context"
	"time"

	"deflectd/campaigns/optout"
	"deflectd/campaigns/report"
)

// optOutLimit is how long a caller waits for an opt-out to be written.
const optOutLimit = time.Second

// optOut honours the wish never to be texted again: it is written first, and
// said to be written then. It stays written whatever becomes of the call, but
// only a call that goes on has been declined: who hangs up is as gone as any
// other who hangs up.
//
// Where the store does not answer, nothing is said: not that it is done, which
// may take a while now, and not that a text has failed, which nobody wanted.
func (c *call) optOut() *ending {
	c.stopPrompt()
	err := c.writeOptOut()
	c.drainEvents()
	switch {
	case c.hungUp || c.lost:
		return c.interruption()
	case err != nil:
		return &ending{report.Failed, report.StoreDown, letGo, ""}
	}
	c.play(c.campaign.Prompts.OptedOut, "opted_out")
	c.playOut(partingLimit)
	switch {
	case c.hungUp || c.lost:
		return c.interruption()
	case c.left:
		c.step("taken back", "")
	}
	return &ending{report.Declined, report.KeypressOptOut, letGo, ""}
}

// writeOptOut puts the caller on the list. What the store does not take now is
// left to the list, which tries until it does.
func (c *call) writeOptOut() error {
	c.heeded = true
	entry := c.optOutEntry()
	ctx, cancel := context.WithTimeout(c.ctx, optOutLimit)
	defer cancel()
	if _, err := c.i.optOuts.Add(ctx, entry); err != nil {
		c.i.optOuts.Later(entry)
		c.step("opt-out", "not written yet: "+cause(err))
		c.i.log.Warn("an opt-out could not be written; it is tried again",
			"call", c.id, "campaign", c.campaign.ID, "error", err)
		return err
	}
	c.step("opt-out", "written")
	return nil
}

// heedOptOut sees to the wish of a caller whose key came when the call was
// ending already, by another cause: nobody waits for that any more. Before the
// answer there was no offer, and the key was not meant for it.
func (c *call) heedOptOut() {
	if c.choice != optsOut || c.heeded || !c.settled {
		return
	}
	c.heeded = true
	c.i.optOuts.Later(c.optOutEntry())
	c.step("opt-out", "to be written")
}

func (c *call) optOutEntry() optout.Entry {
	return optout.Entry{Number: c.numbers.caller.E164, Source: optout.Keypress}
}
