package optout

import (
	"context"
	"time"
)

const (
	// maxWaiting bounds what waits to be written: far more than the calls of one
	// daemon can press while Redis is away for an hour.
	maxWaiting = 10_000
	retryMin   = 100 * time.Millisecond
	// retryMax is short: until it is written, no other daemon knows of an opt-out
	// (and this one by Waiting alone).
	retryMax = 250 * time.Millisecond
)

// Later puts a number on the list as soon as Redis takes it: for an opt-out that
// Add could not write and that cannot be asked for again, such as a keypress. Run
// sees to it. Until then Waiting knows of it, in this process alone. Nothing may
// be promised on the strength of it: what is still waiting when the process ends
// is lost.
func (l *List) Later(e Entry) {
	if r := []rune(e.Reason); len(r) > maxReason {
		e.Reason = string(r[:maxReason])
	}
	if e.Since.IsZero() {
		e.Since = time.Now()
	}
	if err := e.check(); err != nil {
		l.o.Logger.Error("an opt-out that was to be written later is not valid", "source", e.Source, "error", err)
		return
	}
	l.mu.Lock()
	_, known := l.waiting[e.Number]
	full := !known && len(l.waiting) >= maxWaiting
	if !full && !known {
		// Also after the end: nothing is texted there in what is left of it.
		l.waiting[e.Number] = e
		l.backlog.Store(int64(len(l.waiting)))
	}
	lost := full || l.closed
	l.mu.Unlock()
	if lost {
		l.o.Logger.Error("an opt-out is lost: it could not be written", "source", e.Source)
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Waiting says whether an opt-out of a number waits to be written (see Later): it
// must not be texted, whatever Redis says. It takes no lock while none waits.
func (l *List) Waiting(e164 string) bool {
	if l.backlog.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, waits := l.waiting[e164]
	return waits
}

// Run writes what Later has taken, until ctx ends. Then it tries once more; what
// is left is lost, and logged as an error.
func (l *List) Run(ctx context.Context) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	wait := retryMin
	for {
		select {
		case <-ctx.Done():
			l.end(ctx)
			return nil
		case <-l.wake:
		case <-pause.C:
		}
		left, err := l.writeWaiting(ctx)
		switch {
		case left == 0:
			wait = retryMin
		case ctx.Err() == nil:
			if wait == retryMin {
				l.o.Logger.ErrorContext(ctx, "opt-outs cannot be written yet, trying on", "count", left, "error", err)
			}
			wait = min(2*wait, retryMax)
			pause.Reset(wait)
		}
	}
}

// end writes what it can before the process ends.
func (l *List) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*l.o.StoreTimeout)
	defer cancel()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	if left, err := l.writeWaiting(ctx); left > 0 {
		l.o.Logger.ErrorContext(ctx, "opt-outs are lost: they could not be written before the end", "count", left, "error", err)
	}
}

// writeWaiting writes what waits, until it fails or nothing is left, and says how
// much is.
func (l *List) writeWaiting(ctx context.Context) (left int, err error) {
	for {
		l.mu.Lock()
		left = len(l.waiting)
		var e Entry
		for _, e = range l.waiting {
			break
		}
		l.mu.Unlock()
		if left == 0 {
			return 0, nil
		}
		if _, err := l.Add(ctx, e); err != nil {
			return left, err
		}
		l.mu.Lock()
		delete(l.waiting, e.Number)
		l.backlog.Store(int64(len(l.waiting)))
		l.mu.Unlock()
	}
}
