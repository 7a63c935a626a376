package message

import (
	"context"
	"fmt"

	"deflectd/campaigns/optout"
)

// ReasonOptedOut is the reason of a delivery report, or of a provider's refusal,
// that says that the person must not be texted any more.
const ReasonOptedOut = "opted_out"

// Report takes what the provider says of a message. Reports may repeat and
// come in any order: a final state stays, and beats every other. What it says of
// the number (ReasonOptedOut, Permanent) is learnt once for each message. The
// errors are ErrNotFound and ErrStore.
func (o *Outbox) Report(ctx context.Context, r Report) error {
	switch r.State {
	case Accepted, Delivered, Failed, Expired:
	default:
		return fmt.Errorf("report on message %s: no state %q comes from a provider", r.Message, r.State)
	}
	answer, err := o.run(ctx, reportScript, "take a delivery report", []string{messageKey(r.Message)},
		r.Message, string(r.State), r.Reason, r.ProviderID, o.unique(), o.suppress(r.Permanent))
	if err != nil {
		return err
	}
	o.learnt(answer.int(1) == 1)
	switch answer.string(0) {
	case "ok":
		o.metrics.reports.WithLabelValues("changed").Inc()
		c := change{message: r.Message, campaign: answer.string(3), state: r.State, cause: r.Reason, test: answer.string(4) == "1"}
		if answer.int(5) == 1 {
			taken := c
			taken.state, taken.cause = Accepted, "report"
			o.count(taken)
		}
		if r.State == Delivered && !c.test {
			o.metrics.delivery.Observe(answer.millis(2).Seconds())
		}
		o.changed(c)
	case "missing":
		o.metrics.reports.WithLabelValues("missing").Inc()
		return fmt.Errorf("report on message %s: %w", r.Message, ErrNotFound)
	default:
		o.metrics.reports.WithLabelValues("stale").Inc()
	}
	return nil
}

// suppress is for how long a number is not to be texted (ms): 0 where texts to
// it do not fail for good.
func (o *Outbox) suppress(permanent bool) int64 {
	if !permanent || o.opts.Guards == nil {
		return 0
	}
	return o.opts.Guards.Suppress().Milliseconds()
}

// learnt counts an opt-out that the provider has told of.
func (o *Outbox) learnt(isNew bool) {
	if isNew && o.opts.OptOuts != nil {
		o.opts.OptOuts.Count(optout.Provider)
	}
}
