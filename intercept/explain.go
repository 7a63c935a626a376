package intercept

import (
	"context"
	"fmt"
	"slices"

	"deflectd/campaigns/guard"
	"deflectd/campaigns/report"
)

// Explain says what would become of a call now, and what each rule says of it,
// also those behind the one that decides. It is judged by the very functions that
// calls are judged by; nothing is sent, counted or recorded. It takes as long as a
// look at the history at most (Guards.Timeout). The error is that of ctx; a Redis
// that does not answer is a decision like any other.
//
// Where the question does not say whether the number may be shown, it may: of a
// call, the switch is asked.
func (i *Interceptor) Explain(ctx context.Context, q report.Question) (report.Decision, error) {
	i.mu.Lock()
	draining := i.draining
	i.mu.Unlock()
	e := explanation{region: i.rules.region}
	e.id = identity{dnis: q.DNIS, ani: q.ANI, rdnis: q.RDNIS, presentation: q.Presentation, presented: true}
	e.n = i.rules.read(&e.id)
	e.f = i.facts(&e.n, draining)
	e.storeDown = e.f.storeDown
	e.share = i.gate.share(i.gate.active.Load()+1, i.gate.setting.Load()+1) // as if it had entered

	v := decide(&e.f)
	if e.numbered() {
		e.against = i.rules.guards.Forbidden(e.f.campaign, e.n.caller)
		if e.f.campaign != nil {
			e.look(ctx, i)
		}
	}
	if err := ctx.Err(); err != nil {
		return report.Decision{}, fmt.Errorf("explain a decision: %w", err)
	}
	if v == intercepted {
		v = decide(&e.f)
	}
	if v == intercepted && e.share <= 0 {
		v = verdict{report.Passed, report.Overload}
	}

	e.rules()
	d := report.Decision{Offered: v == intercepted, Outcome: v.outcome, Reason: v.reason, Steps: e.steps}
	if e.f.campaign != nil {
		d.Campaign = e.f.campaign.ID
	}
	refuses := func(s report.DecisionStep) bool { return s.Result == report.StepRefuses }
	if n := slices.IndexFunc(d.Steps, refuses); n >= 0 {
		d.Steps[n].Decides = true
	}
	return d, nil
}

// explanation is what is known of a call that somebody asks about.
type explanation struct {
	region string
	id     identity
	n      numbers
	f      facts
	share  float64 // of calls that are taken now

	storeDown bool            // Redis was known not to answer before it was asked
	against   []guard.Refusal // by all guards
	looked    bool            // the history was asked,
	unread    bool            // and did not answer

	steps []report.DecisionStep
}

// numbered tells whether there is a number that may be looked at.
func (e *explanation) numbered() bool { return !e.n.withheld && e.n.callerErr == nil }

// look asks the history, and adds its answer to the facts as askHistory does.
func (e *explanation) look(ctx context.Context, i *Interceptor) {
	ctx, cancel := context.WithTimeout(ctx, i.rules.guards.Timeout())
	defer cancel()
	refused, err := i.rules.guards.Look(ctx, e.f.campaign, e.n.caller, i.segments.of(e.f.campaign))
	e.looked, e.unread = true, err != nil
	e.against = append(e.against, refused...)
	switch {
	case len(refused) > 0:
		e.f.refused = refused[0]
	case err != nil:
		e.f.storeDown = true
	}
}
