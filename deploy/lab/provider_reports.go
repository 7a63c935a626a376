package lab

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// repeatReport is after how long a report comes again that was not answered
// with 200. A provider takes minutes for that.
const repeatReport = 150 * time.Millisecond

// PlannedReport is a delivery report that is sent by itself.
type PlannedReport struct {
	DeliveryReport
	After time.Duration // since the text was taken: what is later in a plan may come sooner
	Times int           // how often it is sent though it was answered with 200; once, if 0
}

// reporting are the reports that the provider sends by itself.
type reporting struct {
	wg sync.WaitGroup

	mu   sync.Mutex
	plan func(TextRequest) []PlannedReport
	send func(TextRequest, PlannedReport)
	stop context.CancelFunc
	open int
}

// ReportBy has every text that is taken from now on reported as the plan says.
// A report is repeated until it is answered with 200, the provider is stopped
// or ctx ends.
func (p *Provider) ReportBy(ctx context.Context, plan func(TextRequest) []PlannedReport) {
	r := &p.reporting
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop != nil {
		r.stop()
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.plan = plan
	r.send = func(text TextRequest, report PlannedReport) {
		report.At = time.Now().Add(report.After)
		if !pause(ctx, report.After) {
			return
		}
		for left := max(1, report.Times); left > 0; {
			status, err := p.Report(ctx, text, report.DeliveryReport)
			if err == nil && status == http.StatusOK {
				left--
			} else if !pause(ctx, repeatReport) {
				return
			}
		}
	}
}

// ReportsOpen is how many of the reports planned so far are yet to be answered
// with 200.
func (p *Provider) ReportsOpen() int {
	p.reporting.mu.Lock()
	defer p.reporting.mu.Unlock()
	return p.reporting.open
}

// begin reports a text that was taken.
func (r *reporting) begin(text TextRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.plan == nil {
		return
	}
	send := r.send
	for _, report := range r.plan(text) {
		r.open++
		r.wg.Go(func() {
			send(text, report)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.open--
		})
	}
}

// end stops all reports; none begins any more.
func (r *reporting) end() {
	r.mu.Lock()
	r.plan = nil
	if r.stop != nil {
		r.stop()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// pause waits, and answers false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
