package message

import (
	"context"
	"strconv"
	"time"
)

const (
	// idle is how often the queue is looked at when nothing is known to be due:
	// what another process left behind is noticed within that time.
	idle = time.Second
	// glance is how many due messages one script looks at: it holds up all of
	// Redis for so long.
	glance = 200
	// barren is how long passes at least after a look at the queue that has found
	// nothing to do: what is due meanwhile is due together.
	barren = 25 * time.Millisecond
	// statsEvery is how often the figures of the queue are read.
	statsEvery = 5 * time.Second
	// trimEvery is how often the index loses what is past its retention.
	trimEvery = time.Minute
)

// nudge has the queue looked at after d at the latest.
func (o *Outbox) nudge(d time.Duration) {
	select {
	case o.nudges <- d:
	default: // so many wait that it is looked at soon
	}
}

// loop takes up what is due until ctx ends.
func (o *Outbox) loop(ctx context.Context) {
	l := looper{Outbox: o}
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-o.nudges:
			if at := time.Now().Add(d); at.Before(next) {
				next = at
				timer.Reset(d)
			}
		case <-timer.C:
			wait := l.turn(ctx)
			next = time.Now().Add(wait)
			timer.Reset(wait)
		}
	}
}

// looper is what the loop remembers from turn to turn.
type looper struct {
	*Outbox
	extended, counted, trimmed time.Time
	down                       bool // Redis did not answer the last time

	// holder asks until it was answered: a request that nobody waits for any more
	// may be run yet, and what it takes is told to the next of the same holder.
	holder string
	asked  bool // it has asked before
	// next is when the queue is worth another look: nothing was to be done, or
	// nothing could go out. The latter ends with the provider's silence, where
	// that was why.
	next   time.Time
	silent bool
}

// rests answers for how long the queue is not worth a look.
func (l *looper) rests() time.Duration {
	if l.silent && l.ProviderUp() {
		return 0
	}
	return max(0, time.Until(l.next))
}

// turn does what is to be done now and answers when to look again.
func (l *looper) turn(ctx context.Context) time.Duration {
	now := time.Now()
	err := l.extend(ctx, now)
	wait := idle
	if err == nil {
		wait, err = l.claim(ctx)
	}
	if err == nil {
		err = l.keepFigures(ctx, now)
	}
	l.sweep(now)
	if down := err != nil && ctx.Err() == nil; down != l.down {
		l.down = down
		if down {
			l.log.Error("the queue of texts cannot be read", "error", err)
		} else {
			l.log.Info("the queue of texts can be read again")
		}
	}
	if err != nil {
		return idle
	}
	return min(wait, idle)
}

// extend renews the leases of all messages in hand, well before they run out.
// It comes before anything is claimed: after an outage of Redis the living keep
// what they hold.
func (l *looper) extend(ctx context.Context, now time.Time) error {
	if now.Sub(l.extended) < l.opts.Lease/3 {
		return nil
	}
	args := []any{messagePrefix, l.opts.Lease.Milliseconds()}
	l.mu.Lock()
	for f := range l.flights {
		args = append(args, f.message.ID, f.holder)
	}
	l.mu.Unlock()
	for rest := args[2:]; len(rest) > 0; {
		n := min(len(rest), 2*glance)
		err := l.do(ctx, "extend leases", func(ctx context.Context) error {
			return extendScript.Run(ctx, l.rdb, []string{outboxKey}, append(args[:2:2], rest[:n]...)...).Err()
		})
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	l.extended = now
	return nil
}

// do runs one command within the store's time.
func (o *Outbox) do(ctx context.Context, doing string, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, o.opts.StoreTimeout)
	defer cancel()
	if err := run(ctx); err != nil {
		return storeError(doing, err)
	}
	return nil
}

// claim takes up what is due and answers when to look again.
func (l *looper) claim(ctx context.Context) (time.Duration, error) {
	for ctx.Err() == nil {
		if rest := l.rests(); rest > 0 {
			return rest, nil
		}
		hands := max(2, l.opts.Workers/4)
		room, roomForLists := hands-int(l.claimed.Load()), hands/2-int(l.listed.Load())
		up := bit(l.ProviderUp())
		again := 1
		if !l.asked {
			l.holder, l.asked, again = l.unique(), true, 0
		}
		// Not cut off when ctx ends: what is claimed must be known to be.
		answer, err := l.run(context.WithoutCancel(ctx), claimScript, "take up what is due", claimKeys(l.holder),
			messagePrefix, ratePrefix, l.holder, l.opts.Lease.Milliseconds(), room, roomForLists, glance,
			jitter(l.opts.Breaker.Pause).Milliseconds(), up, l.pace, l.burst, again)
		if err != nil {
			return 0, err
		}
		l.asked = false
		l.took(ctx, l.holder, answer)
		l.rest(answer, up == 0)
		l.backlog.Store(answer.int(2) == 1) // whoever finishes says so
		if answer.int(1) == 1 {
			continue
		}
		if answer.int(0) < 0 {
			return idle, nil
		}
		return answer.millis(0), nil
	}
	return idle, nil
}

// rest says when the queue is worth another look after this answer.
func (l *looper) rest(answer reply, silent bool) {
	l.next, l.silent = time.Time{}, false
	switch more := answer.int(1) == 1; {
	case len(answer.list(3))+len(answer.list(4)) > 0:
	case answer.int(5) == 1 && !more: // what is put off is due one by one: it waits for each other
		l.next, l.silent = time.Now().Add(l.opts.Breaker.Pause), silent
	default:
		l.next = time.Now().Add(barren)
	}
}

// took begins the attempts of what was claimed and tells what changed.
func (l *looper) took(ctx context.Context, holder string, answer reply) {
	for _, row := range answer.list(3) {
		r := reply(row.([]any))
		f := &flight{message: claimedMessage(r), holder: holder, list: r.string(9) == "1", kind: r.string(10)}
		l.hands(f, 1)
		begun := l.begin(func() {
			l.fly(context.WithoutCancel(ctx), f)
			l.hands(f, -1)
			if l.backlog.Load() {
				l.nudge(0)
			}
		})
		if !begun {
			l.hands(f, -1)
		}
	}
	for _, row := range answer.list(4) {
		r := reply(row.([]any))
		l.changed(change{
			message: r.string(0), state: State(r.string(1)), cause: r.string(2),
			campaign: r.string(3), call: r.string(4), test: r.string(5) == "1",
		})
	}
}

// hands counts a claimed message that is taken in hand, or let go.
func (o *Outbox) hands(f *flight, n int64) {
	o.claimed.Add(n)
	if f.list {
		o.listed.Add(n)
	}
}

// claimedMessage reads a message as claim.lua gives it.
func claimedMessage(r reply) Message {
	return Message{
		ID: r.string(0), To: r.string(1), Originator: r.string(2), Text: r.string(3), Encoding: r.string(4),
		Campaign: r.string(5), Call: r.string(6), Test: r.string(7) == "1", Attempts: int(r.int(8)),
	}
}

// keepFigures reads how much is queued, since when, and Redis' clock, and trims
// the index.
func (l *looper) keepFigures(ctx context.Context, now time.Time) error {
	if now.Sub(l.counted) < statsEvery {
		return nil
	}
	answer, err := l.run(ctx, figuresScript, "read the figures of the queue", []string{outboxKey})
	if err != nil {
		return err
	}
	at := answer.int(4)
	l.clock.learn(at)
	age := 0.0
	if oldest := answer.int(3); oldest >= 0 {
		age = max(0, float64(at-oldest)) / 1000
	}
	l.metrics.queue(answer.int(0), answer.int(1), answer.int(2), age)
	l.counted = now
	return l.trim(ctx, now, time.UnixMilli(at))
}

// trim has the index forget what is past its retention, however long it was
// valid. It is at in Redis now, whose clock made the entries.
func (l *looper) trim(ctx context.Context, now, at time.Time) error {
	if now.Sub(l.trimmed) < trimEvery {
		return nil
	}
	err := l.do(ctx, "trim the index of messages", func(ctx context.Context) error {
		return l.rdb.ZRemRangeByScore(ctx, indexKey, "-inf", strconv.FormatInt(at.Add(-l.kept()).UnixMilli(), 10)).Err()
	})
	if err == nil {
		l.trimmed = now
	}
	return err
}
