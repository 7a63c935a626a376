package message

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// What was claimed by a request whose answer was lost, or that is run long after
// it was given up, does not wait for the end of a lease.
func TestAClaimThatNobodyHeardIsHeardTheNextTime(t *testing.T) {
	r := startRedis(t)
	rdb := connect(t, r)
	p := &provider{}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Lease = time.Hour })
	listed := request()
	listed.List = true
	send := func() string {
		pending, err := o.Send(t.Context(), listed)
		require.NoError(t, err)
		return pending.Message().ID
	}
	heard := send()
	require.NoError(t, claimScript.Load(t.Context(), rdb).Err())
	var claims atomic.Int64
	rdb.AddHook(&meddler{around: func(script string, run func() error) error {
		if script != "claim" || claims.Add(1) > 2 {
			return run()
		}
		if err := run(); err != nil {
			return err
		}
		return errCut
	}})
	l := looper{Outbox: o}
	for range 2 {
		_, err := l.claim(t.Context())
		require.ErrorIs(t, err, ErrStore)
	}
	holder := l.holder
	_, err := l.claim(t.Context())
	require.NoError(t, err)
	wants(t, o, heard, Accepted)

	// Nothing was due when the next was answered; the earlier one is run now.
	claims.Store(1)
	l.next = time.Time{}
	_, err = l.claim(t.Context())
	require.ErrorIs(t, err, ErrStore)
	assert.NotEqual(t, holder, l.holder)
	holder = l.holder
	_, err = l.claim(t.Context())
	require.NoError(t, err)
	waits := send()
	_, err = o.run(t.Context(), claimScript, "test", claimKeys(holder), messagePrefix, ratePrefix, holder, o.opts.Lease.Milliseconds(),
		10, 10, glance, 1000, 1, 0, 0, 0)
	require.NoError(t, err)
	l.next = time.Time{}
	_, err = l.claim(t.Context())
	require.NoError(t, err)
	wants(t, o, waits, Accepted)
	assert.Len(t, p.texts(), 2)
}

// While nothing can go out the queue is looked at now and then, however much is
// due, and whatever becomes due when; once something can, it goes out.
func TestTheQueueIsLeftAloneWhileNothingCanGoOut(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Breaker.Pause = time.Minute })
	store := campaigns.NewStore(rdb)
	listed := request()
	listed.List = true
	var all []string
	for range 2*glance - 1 {
		pending, err := o.Send(t.Context(), listed)
		require.NoError(t, err)
		all = append(all, pending.Message().ID)
	}
	require.NoError(t, store.SetService(t.Context(), false))
	l := looper{Outbox: o}
	l.rest(reply{int64(0), int64(1), int64(0), []any{}, []any{}, int64(1)}, false)
	assert.False(t, l.next.IsZero(), "also where there is more to be looked at")
	l.next = time.Time{}
	looks := func() (n int) {
		t.Helper()
		for {
			wait, err := l.claim(t.Context())
			require.NoError(t, err)
			require.Positive(t, wait, "it spins")
			if wait > barren {
				return n
			}
			n++
			l.next = time.Time{}
			require.Less(t, n, 10)
		}
	}
	assert.LessOrEqual(t, looks(), 3)
	due := func(step int64) {
		t.Helper()
		at := rdb.Time(t.Context()).Val().UnixMilli()
		for i, id := range all {
			require.NoError(t, rdb.ZAddXX(t.Context(), listKey, redis.Z{Score: float64(at + int64(i)*step), Member: id}).Err())
		}
	}
	due(1) // one after another
	counter := &meddler{}
	rdb.AddHook(counter)
	wait, err := l.claim(t.Context())
	require.NoError(t, err)
	assert.Greater(t, wait, barren)
	assert.Zero(t, counter.commands.Load())

	// The provider is asked again as soon as it may be.
	require.NoError(t, store.SetService(t.Context(), true))
	for range o.opts.Breaker.Failures {
		learn, err := o.breaker.Allow()
		require.NoError(t, err)
		learn(context.Canceled)
	}
	require.False(t, o.ProviderUp())
	due(0)
	l.next = time.Time{}
	looks()
	assert.True(t, l.silent)
	assert.Positive(t, l.rests())
	o.breaker = o.newBreaker()
	assert.Zero(t, l.rests())
}
