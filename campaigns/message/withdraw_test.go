package message

import (
	"context"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// scriptsRun is how many scripts a Redis has run.
func scriptsRun(t *testing.T, r *lab.Redis) (n int) {
	t.Helper()
	for _, addr := range r.Addrs {
		rdb := redis.NewClient(&redis.Options{Addr: addr})
		info, err := rdb.Info(t.Context(), "commandstats").Result()
		require.NoError(t, err)
		require.NoError(t, rdb.Close())
		for _, m := range regexp.MustCompile(`cmdstat_evalsha:calls=(\d+)`).FindAllStringSubmatch(info, -1) {
			calls, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			n += calls
		}
	}
	return n
}

// kept are the keys of a Redis, but for the answers to claims: they come and go.
func kept(t *testing.T, r *lab.Redis) []string {
	t.Helper()
	all, err := r.Keys(t.Context(), "*")
	require.NoError(t, err)
	return slices.DeleteFunc(all, func(key string) bool { return strings.HasPrefix(key, claimKeys("")[1]) })
}

// A request lies before a Redis that hangs, and whoever made it was told that
// there will be no text. Redis runs it when it goes on, and nobody may be there
// any more to revoke it: it must come to nothing by itself.
func TestWhatAFrozenRedisFindsTooLateIsNotMade(t *testing.T) {
	r := ownRedis(t)
	rdb := labtest.Dial(t, r, 300*time.Millisecond)
	p := &provider{}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Shutdown, o.StoreTimeout = 50*time.Millisecond, time.Second })
	stop := running(t, o)
	sends(t, o)
	texts := len(p.texts())
	before := kept(t, r)
	run := scriptsRun(t, r)

	require.NoError(t, r.Freeze())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := o.Send(ctx, request())
	require.ErrorIs(t, err, ErrStore)
	_, err = o.Send(t.Context(), request())
	require.ErrorIs(t, err, ErrStore)
	given := time.Now()
	stop() // nobody is left to revoke anything
	// The Redis client may give up before the outbox does; a request stands until
	// the latter.
	time.Sleep(time.Until(given.Add(o.opts.StoreTimeout + 50*time.Millisecond)))
	require.NoError(t, r.Thaw())

	other := newOutbox(t, connect(t, r), p)
	require.Eventually(t, func() bool { return scriptsRun(t, r) >= run+1 }, time.Minute, 5*time.Millisecond, "Redis has run at least one")
	running(t, other)
	time.Sleep(300 * time.Millisecond)
	assert.ElementsMatch(t, before, kept(t, r), "nothing was written")
	assert.Len(t, p.texts(), texts)
}

// What is thought of Redis' clock may be wrong: it was set, or another Redis
// took over. That delays a text by a round trip, at most.
func TestRedisClockIsFollowed(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	for _, wrong := range []time.Duration{-time.Hour, -2 * time.Second, 2 * time.Second, time.Hour} {
		o.clock.learn(time.Now().Add(wrong).UnixMilli())
		pending, err := o.Send(t.Context(), request())
		require.NoError(t, err)
		states(t, pending)
		require.Eventually(t, func() bool { // an answer may take long
			if math.Abs(float64(time.Now().UnixMilli()-o.clock.at(time.Now()))) < 200 {
				return true
			}
			pending, err := o.Send(t.Context(), request())
			require.NoError(t, err)
			states(t, pending)
			return false
		}, time.Minute, time.Millisecond)
	}
	o.clock.learn(time.Now().Add(-time.Hour).UnixMilli())
	running(t, o)
	assert.Eventually(t, func() bool { return time.Now().UnixMilli()-o.clock.at(time.Now()) < 200 }, time.Minute, time.Millisecond)
}

// A text was made in time, but the answer is lost, and Redis is not heard of
// again for a while: the text is revoked all the same.
func TestATextNobodyKnowsOfIsRevoked(t *testing.T) {
	rdb := connect(t, startRedis(t))
	var lost, cuts atomic.Int64
	rdb.AddHook(&meddler{around: func(name string, run func() error) error {
		switch {
		case name == "enqueue" && lost.CompareAndSwap(0, 1):
			require.NoError(t, run())
			return errCut
		case name == "cancel" && cuts.Add(1) <= 3:
			return errCut
		}
		return run()
	}})
	p := &provider{}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Lease = 5 * time.Second })
	require.NoError(t, enqueueScript.Load(t.Context(), rdb).Err())
	o.clock.learn(rdb.Time(t.Context()).Val().UnixMilli())
	running(t, o)
	_, err := o.Send(t.Context(), request())
	require.ErrorIs(t, err, ErrStore)
	found, _, err := o.Search(t.Context(), Query{})
	require.NoError(t, err)
	require.Len(t, found, 1)
	m := wants(t, o, found[0].ID, Cancelled)
	assert.Equal(t, "store_down", m.Reason)
	assert.Empty(t, p.texts())
	assert.Eventually(t, func() bool { return len(o.standing()) == 0 }, time.Minute, time.Millisecond)
}

// Redis does not answer who withdraws a text: it is withdrawn when it does
// again, and not sent meanwhile by this process.
func TestAWithdrawalIsNotForgotten(t *testing.T) {
	rdb := connect(t, startRedis(t))
	var away atomic.Bool
	rdb.AddHook(&meddler{around: func(name string, run func() error) error {
		if name == "cancel" && away.Load() {
			return errCut
		}
		return run()
	}})
	p := &provider{answer: fails(SendError{Verdict: NotProcessed, Reason: "unavailable", RetryAfter: 200 * time.Millisecond})}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Shutdown = 100 * time.Millisecond })
	stop := running(t, o)
	var all []*Pending
	for range 3 {
		pending, err := o.Send(t.Context(), request())
		require.NoError(t, err)
		all = append(all, pending)
	}
	for _, pending := range all {
		require.Eventually(t, func() bool {
			m, err := o.Get(t.Context(), pending.Message().ID)
			return err == nil && m.State == Queued && m.Attempts > 0
		}, time.Minute, time.Millisecond)
	}
	away.Store(true)
	for _, pending := range all {
		for range 2 {
			_, err := o.Cancel(t.Context(), pending.Message().ID)
			require.ErrorIs(t, err, ErrStore)
		}
	}
	require.Eventually(t, func() bool { // what was begun before has ended
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.flights) == 0
	}, time.Minute, time.Millisecond)
	tries := len(p.texts())
	time.Sleep(700 * time.Millisecond)
	assert.Len(t, p.texts(), tries, "they are due again, and not tried")
	away.Store(false)
	for _, pending := range all {
		assert.Equal(t, Cancelled, wants(t, o, pending.Message().ID, Cancelled).State)
		seen := states(t, pending)
		assert.Equal(t, Cancelled, seen[len(seen)-1])
	}
	assert.Eventually(t, func() bool { return len(o.standing()) == 0 }, time.Minute, time.Millisecond)

	// The end of the outbox does not wait for it for ever.
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	away.Store(true)
	_, err = o.Cancel(t.Context(), pending.Message().ID)
	require.ErrorIs(t, err, ErrStore)
	begun := time.Now()
	stop()
	assert.Less(t, time.Since(begun), time.Minute)
}

// A worker that gives a message back may know that it is not wanted, where
// Redis does not know yet.
func TestWhatIsNotWantedIsNotGivenBack(t *testing.T) {
	rdb := connect(t, startRedis(t))
	rdb.AddHook(&meddler{around: func(name string, run func() error) error {
		if name == "cancel" {
			return errCut
		}
		return run()
	}})
	answer := make(chan error)
	p := &provider{answer: func(ctx context.Context, _ Text) (string, error) {
		select {
		case err := <-answer:
			return "", err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Shutdown = 50 * time.Millisecond })
	running(t, o)
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	sees(t, pending, Sending)
	require.Eventually(t, func() bool { return len(p.texts()) == 1 }, time.Minute, time.Millisecond, "it is with the provider")
	_, err = o.Cancel(t.Context(), pending.Message().ID)
	require.ErrorIs(t, err, ErrStore)
	hand(t, answer, error(&SendError{Verdict: NotProcessed, Reason: "unavailable"}))
	assert.Equal(t, []State{Queued, Cancelled}, states(t, pending))
	wants(t, o, pending.Message().ID, Cancelled)
	assert.Len(t, p.texts(), 1)
}

// While the service is switched off nothing is sent, be it the first attempt or
// another; what is queued waits until it is on again, or expires.
func TestWhatIsQueuedWaitsForTheService(t *testing.T) {
	rdb := connect(t, startRedis(t))
	store := campaigns.NewStore(rdb)
	var once sync.Once
	release := make(chan struct{})
	p := &provider{}
	p.say(func(context.Context, Text) (id string, err error) {
		<-release
		once.Do(func() { err = &SendError{Verdict: NotProcessed, Reason: "unavailable", Healthy: true} })
		return "id", err
	})
	o := newOutbox(t, rdb, p, func(o *Options) { o.Workers, o.Breaker.Pause = 1, 200*time.Millisecond })
	running(t, o)
	again, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	sees(t, again, Sending)
	first, err := o.Send(t.Context(), request()) // waits for the only slot
	require.NoError(t, err)
	r := request()
	r.Campaign.Validity = campaigns.Duration(500 * time.Millisecond)
	brief, err := o.Send(t.Context(), r)
	require.NoError(t, err)

	require.NoError(t, store.SetService(t.Context(), false))
	close(release)
	wants(t, o, brief.Message().ID, Expired)
	time.Sleep(300 * time.Millisecond)
	require.Len(t, p.texts(), 1)
	for _, pending := range []*Pending{again, first} {
		m, err := o.Get(t.Context(), pending.Message().ID)
		require.NoError(t, err)
		assert.Equal(t, Queued, m.State)
	}
	assert.EqualValues(t, 2, rdb.ZCard(t.Context(), queuedKey).Val())

	require.NoError(t, store.SetService(t.Context(), true))
	assert.Equal(t, []State{Queued, Sending, Accepted}, states(t, again))
	assert.Equal(t, []State{Sending, Accepted}, states(t, first))
	assert.Equal(t, []State{Expired}, states(t, brief))
}
