package message

import (
	"context"
	"fmt"
)

// Report takes what the provider says of a message. Reports may repeat and
// come in any order: a final state stays, and beats every other. The errors
// are ErrNotFound and ErrStore.
func (o *Outbox) Report(ctx context.Context, r Report) error {
	switch r.State {
	case Accepted, Delivered, Failed, Expired:
	default:
		return fmt.Errorf("report on message %s: no state %q comes from a provider", r.Message, r.State)
	}
	answer, err := o.run(ctx, reportScript, "take a delivery report",
		[]string{messageKey(r.Message), outboxKey, queuedKey}, r.Message, string(r.State), r.Reason, r.ProviderID, o.unique())
	if err != nil {
		return err
	}
	switch answer.string(0) {
	case "ok":
		o.metrics.reports.WithLabelValues("changed").Inc()
		c := change{message: r.Message, campaign: answer.string(2), state: r.State, cause: r.Reason, test: answer.string(3) == "1"}
		if answer.int(4) == 1 {
			taken := c
			taken.state, taken.cause = Accepted, "report"
			o.count(taken)
		}
		if r.State == Delivered && !c.test {
			o.metrics.delivery.Observe(answer.millis(1).Seconds())
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
