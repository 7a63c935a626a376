package intercept

import (
	"slices"
	"time"

	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
)

// record is the record of a call while it grows.
type record struct{ report.Call }

// describe says who called whom. The numbers of people are kept once it is
// known that they may be shown. What is not valid as the caller's number is not
// kept: it may be somebody's all the same, and nobody could find it by that
// number, nor have it forgotten.
func (r *record) describe(id *identity, n *numbers, region string) {
	if canonical, err := phone.DNIS(id.dnis, region); err == nil {
		r.DNIS = canonical
	}
	r.Presentation = shown(id.presentation)
	switch {
	case n.withheld || !id.presented:
		r.ANI, r.Diverted = "", ""
		return
	case n.callerErr != nil:
		r.ANI = ""
	default:
		r.ANI = n.caller.E164
	}
	r.Diverted = shown(id.rdnis)
	if id.rdnis == "" {
		return
	}
	// In the one form by which its person can be found, and forgotten.
	if diverted, err := phone.Parse(id.rdnis, region); err == nil {
		r.Diverted = diverted.E164
	}
}

// describe writes down who called whom, and for what.
func (c *call) describe() {
	c.note(func(r *record) {
		r.describe(&c.who, &c.numbers, c.i.rules.region)
		if c.campaign != nil {
			r.Campaign = c.campaign.ID
		}
	})
}

// note changes the record.
func (c *call) note(change func(*record)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.record)
}

// step writes down what happened. Details are words of this package, never
// what came from outside.
func (c *call) step(name, detail string) {
	now := time.Now()
	c.note(func(r *record) {
		if r.Steps == nil {
			r.Steps = make([]report.Step, 0, 8)
		}
		r.Steps = append(r.Steps, report.Step{At: now, Name: name, Detail: detail})
	})
}

// conclude writes down how the call ended.
func (c *call) conclude(end ending) {
	now := time.Now()
	c.note(func(r *record) {
		r.Outcome, r.Reason, r.Ended = end.outcome, end.reason, now
		c.i.log.Info("call ended", "call", r.ID, "campaign", r.Campaign, "message", r.Message,
			"node", r.Node, "outcome", r.Outcome, "reason", r.Reason, "took", now.Sub(r.Started))
	})
}

// snapshot is the record as it is now.
func (c *call) snapshot() report.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	snapshot := c.record.Call
	snapshot.Steps = slices.Clone(snapshot.Steps)
	return snapshot
}
