package intercept

import (
	"context"

	"deflectd/campaigns/guard"
	"deflectd/campaigns/report"
)

// askHistory asks the guards whether the caller may be texted after all that has
// been, and adds the answer to the facts. Without an answer the store counts as
// down: nobody is texted unasked. An ending is returned only when something has
// befallen the call meanwhile, and nothing else is known against it.
//
// It is asked of every call that nothing else speaks against, and of no other,
// and the guards count it for the surge of its number. A surge is a share of the
// calls: of those whose number was given as the caller's own and could be
// texted, for it is about what the trunk shows as such. Also those of them that
// are refused then, or passed on for overload, are counted: a surge that stopped
// counting what it keeps out would end itself, and be back a moment later.
// Withheld and forwarded calls show nobody's number, and calls of a time when
// nothing is offered can cost no text: they are none of those.
func (c *call) askHistory(f *facts) *ending {
	guards := c.i.rules.guards
	ctx, cancel := context.WithTimeout(c.ctx, c.within(guards.Timeout(), wayBack))
	defer cancel()
	refused, err := guards.Check(ctx, c.campaign, c.numbers.caller, c.i.segments.of(c.campaign))
	c.drainEvents()
	switch {
	case err == nil && !refused.None():
		f.refused = refused
	case c.interrupted():
		// A caller who has gone is no matter of the gate, nor of the store.
		return c.interruption()
	case err != nil:
		c.step("history failed", cause(err))
		c.i.log.Warn("it could not be asked whether a caller may be texted",
			"call", c.id, "campaign", c.campaign.ID, "error", err)
		f.storeDown = true
	}
	return nil
}

// countRefusal counts a call that the guards have refused, and writes down which
// of their limits it was.
func (c *call) countRefusal(f *facts, v verdict) {
	for _, r := range []guard.Refusal{f.forbidden, f.refused} {
		if !r.None() && v == (verdict{report.Passed, report.Reason(r.Reason)}) {
			c.i.rules.guards.Refused(r, guard.AtCall)
			c.step("refused", refusedBy(r))
		}
	}
}

// refusedBy names the limit that refused a text, or else the guard.
func refusedBy(r guard.Refusal) string {
	if r.Limit != "" {
		return r.Limit
	}
	return string(r.Reason)
}
