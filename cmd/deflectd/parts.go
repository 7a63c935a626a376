package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// part is something that runs for the daemon's whole life. Its run returns
// when its context ends; returning earlier stops the daemon.
type part struct {
	name string
	run  func(ctx context.Context) error
	// budget is how long it may take to stop once it is told to.
	budget time.Duration
}

// running is a part that has been started.
type running struct {
	part
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
	err    error         // how it ended when it was told to; set before done is closed
}

// parts starts things in order and stops them in the reverse order, each by
// name and within its budget.
type parts struct {
	logger  *slog.Logger
	running []*running
	// failed receives the first part that ended by itself.
	failed chan error
}

func newParts(logger *slog.Logger) *parts {
	return &parts{logger: logger, failed: make(chan error, 1)}
}

// start runs p in a goroutine of its own. Its context keeps the values of ctx
// but not its end: a part ends when stop says so, in its turn.
func (ps *parts) start(ctx context.Context, p part) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{part: p, cancel: cancel, done: make(chan struct{})}
	ps.running = append(ps.running, r)
	go func() {
		defer close(r.done)
		err := p.run(ctx)
		if ctx.Err() != nil {
			r.err = err
			return
		}
		if err == nil {
			err = errors.New("it ended by itself")
		}
		select {
		case ps.failed <- fmt.Errorf("%s: %w", p.name, err):
		default: // another part failed first; that one is the cause
		}
	}()
}

// stop ends all parts, the last started first. Its error names those that did
// not end well, or not within their budget.
func (ps *parts) stop() error {
	var errs []error
	for i := len(ps.running) - 1; i >= 0; i-- {
		r := ps.running[i]
		r.cancel()
		budget := time.NewTimer(r.budget)
		select {
		case <-r.done:
			ps.logger.Debug("stopped", "part", r.name)
			if r.err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.name, r.err))
			}
		case <-budget.C:
			errs = append(errs, fmt.Errorf("%s did not stop within %s", r.name, r.budget))
		}
		budget.Stop()
	}
	ps.running = nil
	return errors.Join(errs...)
}
