// Package sandbox is a provider for trying deflectd out: it takes every text,
// sends none, and reports it delivered. The texts can be read over the API,
// like any others.
package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"time"

	"deflectd/campaigns/message"
)

const (
	// backlog is how many reports may wait; a text beyond that stays accepted.
	backlog = 10_000
	// Delay is how long after a text its delivery is reported.
	Delay = 100 * time.Millisecond
)

// Numbers that end like this behave as real ones sometimes do.
const (
	RefusedSuffix     = "0000" // the text is refused at once
	UndeliveredSuffix = "0001" // the text is taken, and reported as failed
)

// Provider takes texts and reports them delivered while Run runs.
type Provider struct {
	log     *slog.Logger
	reports chan due
}

// due is a report and when it is to be made.
type due struct {
	message.Report
	at time.Time
}

// New makes a Provider.
func New(log *slog.Logger) *Provider {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Provider{log: log, reports: make(chan due, backlog)}
}

// Name implements message.Provider.
func (p *Provider) Name() string { return "sandbox" }

// Send implements message.Provider.
func (p *Provider) Send(_ context.Context, t message.Text) (string, error) {
	if strings.HasSuffix(t.To, RefusedSuffix) {
		return "", &message.SendError{Verdict: message.Refused, Reason: "recipient_refused", Healthy: true}
	}
	r := message.Report{Message: t.Reference, ProviderID: "sandbox-" + rand.Text()[:12], State: message.Delivered}
	if strings.HasSuffix(t.To, UndeliveredSuffix) {
		r.State, r.Reason = message.Failed, "undelivered"
	}
	select {
	case p.reports <- due{r, time.Now().Add(Delay)}:
	default:
		p.log.Warn("too many delivery reports wait: one is left out", "message", t.Reference)
	}
	return r.ProviderID, nil
}

// Run reports the deliveries, in order, until ctx ends.
func (p *Provider) Run(ctx context.Context, report func(context.Context, message.Report) error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case next := <-p.reports:
			timer.Reset(time.Until(next.at))
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
			if err := report(ctx, next.Report); err != nil && !errors.Is(err, context.Canceled) {
				p.log.Warn("a delivery could not be reported", "message", next.Message, "error", err)
			}
		}
	}
}
