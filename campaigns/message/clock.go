package message

import (
	"context"
	"sync/atomic"
	"time"
)

// clock is Redis' clock as far as it is known here: from what Redis has said of
// it, and the time that has passed since. It is never ahead of the real one,
// for the way of that answer counts as time that has not passed, and it is very
// far behind until Redis has said anything.
type clock struct {
	begun time.Time    // by the monotonic clock of this machine, whose wall clock may be set
	ahead atomic.Int64 // what Redis' clock showed then, at least (Unix ms)
}

func newClock() *clock { return &clock{begun: time.Now()} }

// learn takes what Redis has just said (Unix milliseconds).
func (c *clock) learn(ms int64) {
	c.ahead.Store(ms - 1 - time.Since(c.begun).Milliseconds())
}

// at is what Redis' clock shows at t, at least (Unix milliseconds).
func (c *clock) at(t time.Time) int64 {
	return c.ahead.Load() + t.Sub(c.begun).Milliseconds()
}

// givesUp is when a request to Redis that begins now is given up.
func (o *Outbox) givesUp(ctx context.Context) time.Time {
	end := time.Now().Add(o.opts.StoreTimeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		return deadline
	}
	return end
}
