package message

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// The time of an attempt runs from before Redis was asked, and ends with the
// validity of the text.
func TestAnAttemptEndsInTime(t *testing.T) {
	rdb := connect(t, startRedis(t))
	var asked atomic.Int64
	ends := make(chan time.Time, 1)
	p := &provider{answer: func(ctx context.Context, _ Text) (string, error) {
		end, _ := ctx.Deadline()
		ends <- end
		return "id", nil
	}}
	rdb.AddHook(&meddler{around: func(script string, run func() error) error {
		if script == "sending" {
			asked.Store(time.Now().UnixNano())
			err := run()
			time.Sleep(200 * time.Millisecond)
			return err
		}
		return run()
	}})
	for _, c := range []struct{ attempt, validity, most time.Duration }{
		{time.Minute, time.Hour, time.Minute},
		{time.Hour, time.Minute, time.Minute},
	} {
		o := newOutbox(t, rdb, p, func(o *Options) { o.AttemptTimeout = c.attempt })
		r := request()
		r.Campaign.Validity = campaigns.Duration(c.validity)
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, []State{Sending, Accepted}, states(t, pending))
		assert.LessOrEqual(t, <-ends, time.Unix(0, asked.Load()).Add(c.most))
	}
}

// A worker that was held up before it has sent the text does not send it any
// more: it may be taken for dead by then.
func TestAWorkerThatWasHeldUpSendsNothing(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	// It does not run: nobody takes up what it gives back.
	o := newOutbox(t, rdb, p, func(o *Options) { o.Lease = 500 * time.Millisecond })
	rdb.AddHook(&meddler{around: func(script string, run func() error) error {
		err := run()
		if script == "sending" {
			time.Sleep(o.opts.Lease)
		}
		return err
	}})
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	sees(t, pending, Sending, Queued)
	m := wants(t, o, pending.Message().ID, Queued)
	assert.Equal(t, "held_up", m.Reason)
	assert.Empty(t, p.texts())
}
