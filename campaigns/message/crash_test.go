package message

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"deflectd/deploy/lab/labtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// errCut is what a client sees of a connection that breaks.
var errCut = errors.New("connection reset by a test")

func TestADeadWorkersTextsAreTakenUp(t *testing.T) {
	rdb := connect(t, startRedis(t))
	// The first outbox is never run, so nothing extends its leases: to others
	// it is a process that died.
	answer := make(chan struct{})
	dead := &provider{answer: func(context.Context, Text) (string, error) {
		<-answer
		return "late", nil
	}}
	a := newOutbox(t, rdb, dead, func(o *Options) { o.Workers = 1 })
	sending, err := a.Send(t.Context(), request())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(dead.texts()) == 1 }, time.Minute, time.Millisecond)
	queued, err := a.Send(t.Context(), request()) // waits for the only slot
	require.NoError(t, err)
	leaseIsOver(t, rdb, sending.Message().ID, queued.Message().ID)

	p := &provider{}
	b := newOutbox(t, rdb, p)
	running(t, b)
	m := wants(t, b, sending.Message().ID, Unknown)
	assert.Equal(t, "worker_lost", m.Reason)
	wants(t, b, queued.Message().ID, Accepted)
	assert.Len(t, p.texts(), 1, "the one that was sending is not sent again")
	assert.Equal(t, p.texts()[0].Reference, queued.Message().ID)

	close(answer) // it was only slow: it knows now, and does not send what others have sent
	m = wants(t, b, sending.Message().ID, Accepted)
	assert.Equal(t, "late", m.ProviderID)
	assert.Equal(t, []State{Sending, Accepted}, states(t, sending))
	assert.Equal(t, []State{Accepted}, states(t, queued))
	assert.Len(t, dead.texts(), 1)
	a.wg.Wait()
}

func TestALivingWorkerKeepsItsTexts(t *testing.T) {
	rdb := connect(t, startRedis(t))
	answer := make(chan struct{})
	slow := &provider{answer: func(context.Context, Text) (string, error) {
		<-answer
		return "slow", nil
	}}
	a := newOutbox(t, rdb, slow, func(o *Options) { o.Lease, o.Workers = 15*time.Second, 1 })
	running(t, a)
	var all []*Pending
	for range 3 {
		pending, err := a.Send(t.Context(), request())
		require.NoError(t, err)
		all = append(all, pending)
	}
	p := &provider{}
	running(t, newOutbox(t, rdb, p))
	due := func() (first float64) {
		t.Helper()
		entries, err := rdb.ZRangeWithScores(t.Context(), outboxKey, 0, -1).Result()
		require.NoError(t, err)
		require.Len(t, entries, len(all))
		return entries[0].Score
	}
	require.Eventually(t, func() bool { return len(slow.texts()) == 1 }, time.Minute, time.Millisecond)
	for range 2 { // their leases are extended, and again
		last := due()
		require.Eventually(t, func() bool { return due() > last }, a.opts.Lease, 50*time.Millisecond)
	}
	assert.Empty(t, p.texts())
	close(answer)
	for _, pending := range all {
		assert.Equal(t, []State{Sending, Accepted}, states(t, pending))
	}
	assert.Len(t, slow.texts(), 3)
}

func TestStoppingFinishesWhatIsInFlight(t *testing.T) {
	rdb := connect(t, startRedis(t))
	release := make(chan struct{})
	p := &provider{answer: func(context.Context, Text) (string, error) {
		<-release
		return "id", nil
	}}
	a := newOutbox(t, rdb, p, func(o *Options) { o.Workers, o.Shutdown = 1, 2*patience })
	stop := running(t, a)
	first, err := a.Send(t.Context(), request())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(p.texts()) == 1 }, time.Minute, time.Millisecond)
	second, err := a.Send(t.Context(), request()) // waits for the only slot
	require.NoError(t, err)
	var finishing sync.WaitGroup
	finishing.Go(stop)
	assert.Eventually(t, func() bool {
		return rdb.HGet(t.Context(), messageKey(second.Message().ID), "holder").Val() == ""
	}, time.Minute, time.Millisecond, "it is given back, while the first is in flight")
	close(release)
	finishing.Wait()
	assert.Equal(t, []State{Sending, Accepted}, states(t, first))
	assert.Empty(t, states(t, second))
	_, err = a.Send(t.Context(), request())
	require.ErrorIs(t, err, ErrClosed)

	other := &provider{}
	b := newOutbox(t, rdb, other)
	due, err := rdb.ZScore(t.Context(), outboxKey, second.Message().ID).Result()
	require.NoError(t, err)
	assert.LessOrEqual(t, int64(due), rdb.Time(t.Context()).Val().UnixMilli(), "it was given back at once")
	running(t, b)
	wants(t, b, second.Message().ID, Accepted)
	assert.Equal(t, 1, other.count(second.Message().ID)+p.count(second.Message().ID))
}

func TestStoppingCutsShortWhatHangs(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{answer: hangs}, func(o *Options) {
		o.Shutdown, o.AttemptTimeout = 100*time.Millisecond, time.Minute
	})
	stop := running(t, o)
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	sees(t, pending, Sending)
	begun := time.Now()
	stop()
	assert.Less(t, time.Since(begun), o.opts.AttemptTimeout)
	assert.Equal(t, Unknown, wants(t, o, pending.Message().ID, Unknown).State)
}

func TestOneKeyIsOneText(t *testing.T) {
	r := startRedis(t)
	p := &provider{}
	var outboxes []*Outbox
	for range 2 {
		o := newOutbox(t, connect(t, r), p)
		running(t, o)
		outboxes = append(outboxes, o)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]bool{}
	for i := range 40 {
		wg.Go(func() {
			q := request()
			q.Key = "the same"
			pending, err := outboxes[i%2].Send(t.Context(), q)
			if assert.NoError(t, err) {
				mu.Lock()
				ids[pending.Message().ID] = true
				mu.Unlock()
				states(t, pending)
			}
		})
	}
	wg.Wait()
	assert.Len(t, ids, 1)
	assert.Len(t, p.texts(), 1)

	q := request()
	q.Key, q.To.E164 = "the same", "+14155550199"
	_, err := outboxes[0].Send(t.Context(), q)
	require.ErrorIs(t, err, ErrConflict)
	assert.Len(t, p.texts(), 1)
}

// Every script is lost before it ran, and after; or runs twice. Whatever
// happens, the provider gets the text at most once, and the record agrees with
// what the provider knows.
func TestEveryScriptMayBeLostOrRunTwice(t *testing.T) {
	r := startRedis(t)
	for _, script := range allScripts() {
		require.NoError(t, script.Load(t.Context(), connect(t, r)).Err())
	}
	for script := range allScripts() {
		for _, fault := range []string{"lost before", "lost after", "twice"} {
			t.Run(script+" "+fault, func(t *testing.T) {
				rdb := connect(t, r)
				require.NoError(t, r.Flush(t.Context()))
				var mu sync.Mutex
				done := map[string]bool{}
				rdb.AddHook(&meddler{around: func(name string, run func() error) error {
					mu.Lock()
					now := name == script && !done[name]
					done[name] = true
					mu.Unlock()
					switch {
					case !now:
						return run()
					case fault == "lost before":
						return errCut
					case fault == "twice":
						if err := run(); err != nil {
							return err
						}
						return run()
					default:
						if err := run(); err != nil {
							return err
						}
						return errCut
					}
				}})
				throughFaults(t, newOutbox(t, rdb, &provider{}))
			})
		}
	}
}

// throughFaults sends a text that is tried twice, and one that is cancelled.
func throughFaults(t *testing.T, o *Outbox) {
	p := o.opts.Provider.(*provider)
	p.say(func(_ context.Context, tx Text) (string, error) {
		if p.count(tx.Reference) == 1 {
			return "", &SendError{Verdict: NotProcessed, Reason: "unavailable"}
		}
		return "id", nil
	})
	running(t, o)
	ids := []string{}
	for range 2 {
		pending, err := o.Send(t.Context(), request())
		if err != nil {
			require.ErrorIs(t, err, ErrStore)
			continue
		}
		ids = append(ids, pending.Message().ID)
	}
	for _, id := range ids {
		wants(t, o, id, Accepted)
		assert.Equal(t, 2, p.count(id), "once refused, once taken")
		for range 2 { // the provider repeats what was not answered with 200
			if o.Report(t.Context(), Report{Message: id, State: Delivered}) == nil {
				break
			}
		}
		wants(t, o, id, Delivered)
	}
	p.say(fails(SendError{Verdict: NotProcessed, Reason: "unavailable", RetryAfter: time.Hour}))
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	id := pending.Message().ID
	require.Eventually(t, func() bool { m, err := o.Get(t.Context(), id); return err == nil && len(m.History) > 2 }, time.Minute, time.Millisecond)
	for range 2 {
		if _, err = o.Cancel(t.Context(), id); err == nil {
			break
		}
	}
	wants(t, o, id, Cancelled)
	for _, tx := range p.texts() {
		if tx.Reference != id {
			assert.Contains(t, ids, tx.Reference, "a text that was not promised was sent")
		}
	}
	for range 2 { // as whoever was answered with an error does
		if _, err = o.Forget(t.Context(), "+14155550132"); err == nil {
			break
		}
	}
	require.NoError(t, err)
	assert.Empty(t, wants(t, o, id, Cancelled).To)
	assert.Zero(t, o.rdb.Exists(t.Context(), numberKey("+14155550132")).Val())
	assert.Eventually(t, func() bool { return o.rdb.ZCard(t.Context(), outboxKey).Val() == 0 }, time.Minute, 5*time.Millisecond)
	assert.Zero(t, o.rdb.ZCard(t.Context(), queuedKey).Val())
}

func TestRedisAwayOrFrozenMeansNoText(t *testing.T) {
	r := ownRedis(t)
	rdb := labtest.Dial(t, r, 300*time.Millisecond)
	p := &provider{}
	o := newOutbox(t, rdb, p, func(o *Options) { o.StoreTimeout = time.Second })
	running(t, o)
	sends(t, o)
	texts := len(p.texts())

	require.NoError(t, r.Freeze())
	begun := time.Now()
	_, err := o.Send(t.Context(), request())
	require.ErrorIs(t, err, ErrStore)
	assert.Less(t, time.Since(begun), 10*time.Second)
	require.NoError(t, r.Thaw())
	// What was written to the frozen Redis is run now, or is too late; it must
	// not be sent.
	require.Eventually(t, func() bool { return len(o.standing()) == 0 }, time.Minute, 10*time.Millisecond)
	var found []Message
	require.Eventually(t, func() bool {
		found, _, err = o.Search(t.Context(), Query{})
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	for _, m := range found {
		assert.Contains(t, []State{Accepted, Cancelled}, m.State)
	}
	assert.Len(t, p.texts(), texts)

	require.NoError(t, r.Kill())
	_, err = o.Send(t.Context(), request())
	require.ErrorIs(t, err, ErrStore)
	require.NoError(t, r.Restart(t.Context()))
	sends(t, o)
}

func TestRedisRestartedLosesAndDoublesNothing(t *testing.T) {
	r := ownRedis(t, "--appendonly", "yes", "--appendfsync", "no")
	rdb := connect(t, r)
	p := &provider{answer: func(context.Context, Text) (string, error) {
		time.Sleep(20 * time.Millisecond)
		return "id", nil
	}}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Workers = 8; o.Lease = 5 * time.Second })
	running(t, o)
	var promised []string
	var restart sync.WaitGroup
	for i := range 100 {
		pending, err := o.Send(t.Context(), request())
		if err == nil {
			promised = append(promised, pending.Message().ID)
		}
		if i == 50 {
			require.NoError(t, r.Kill())
			restart.Go(func() {
				time.Sleep(300 * time.Millisecond)
				assert.NoError(t, r.Restart(t.Context()))
			})
		}
	}
	restart.Wait()
	require.NotEmpty(t, promised)
	states := map[State]int{}
	for _, id := range promised {
		var m Message
		require.Eventually(t, func() bool {
			var err error
			m, err = o.Get(t.Context(), id)
			return err == nil && m.State.settled()
		}, time.Minute, 10*time.Millisecond, id)
		states[m.State]++
		assert.LessOrEqual(t, p.count(id), 1)
		if m.State == Accepted {
			assert.Equal(t, 1, p.count(id))
		}
	}
	for _, tx := range p.texts() {
		assert.Contains(t, promised, tx.Reference, "a text was sent that was not promised")
	}
	t.Log(fmt.Sprint(len(promised), " promised: ", states))
}

func TestRedisFailingIsNotTheProvidersFault(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{}, func(o *Options) { o.Breaker.Failures = 1 })
	rdb.AddHook(&meddler{around: func(name string, run func() error) error {
		if name == "sending" {
			return errCut
		}
		return run()
	}})
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return rdb.HGet(t.Context(), messageKey(pending.Message().ID), "holder").Val() == "" }, time.Minute, time.Millisecond)
	assert.True(t, o.ProviderUp())
}
