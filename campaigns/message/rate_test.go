package message

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// paced keeps when the provider was given the texts it took.
type paced struct {
	provider
	timesMu sync.Mutex
	times   []time.Time
}

func (p *paced) Send(ctx context.Context, t Text) (string, error) {
	at := time.Now()
	id, err := p.provider.Send(ctx, t)
	if err == nil {
		p.timesMu.Lock()
		p.times = append(p.times, at)
		p.timesMu.Unlock()
	}
	return id, err
}

func (p *paced) since(from time.Time) (n int, last time.Time) {
	p.timesMu.Lock()
	defer p.timesMu.Unlock()
	for _, at := range p.times {
		if at.After(from) {
			n, last = n+1, at
		}
	}
	return n, last
}

// All daemons on one Redis keep the pace of a sender together.
func TestASenderKeepsItsPace(t *testing.T) {
	r := startRedis(t)
	p := &paced{}
	const perSecond, n = 20, 40
	pace := func(o *Options) { o.TextsPerSecond = perSecond }
	var outboxes []*Outbox
	for range 2 {
		o := newOutbox(t, connect(t, r), p, pace)
		running(t, o)
		outboxes = append(outboxes, o)
	}
	var all []*Pending
	begun := time.Now()
	for i := range n {
		q := request()
		q.List = i%4 == 0
		pending, err := outboxes[i%2].Send(t.Context(), q)
		require.NoError(t, err)
		all = append(all, pending)
	}
	other := request()
	other.Originator = "Other"
	quick, err := outboxes[0].Send(t.Context(), other)
	require.NoError(t, err)
	assert.Equal(t, []State{Sending, Accepted}, states(t, quick), "another sender need not wait")
	for _, pending := range all {
		m := wants(t, outboxes[0], pending.Message().ID, Accepted)
		assert.Equal(t, 1, m.Attempts)
	}
	sent, last := p.since(begun)
	assert.Equal(t, n+1, sent)
	// A burst of five, and as many more as fall due, which may be late by a
	// second each but never early.
	assert.GreaterOrEqual(t, last.Sub(begun), time.Duration(n-5)*time.Second/perSecond-10*time.Millisecond)
}

// Nothing goes out in a burst after an outage, however much is queued.
func TestAfterAnOutageTheyGoOutAtTheSamePace(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p, down := &paced{}, make(chan struct{})
	p.say(func(context.Context, Text) (string, error) {
		<-down
		return "", &SendError{Verdict: NotProcessed, Reason: "unreachable"}
	})
	const perSecond, n = 15, 45
	o := newOutbox(t, rdb, p, func(o *Options) {
		o.TextsPerSecond, o.Breaker = perSecond, Breaker{Failures: 3, Pause: 200 * time.Millisecond}
	})
	running(t, o)
	var all []string
	for range n {
		pending, err := o.Send(t.Context(), request())
		require.NoError(t, err)
		all = append(all, pending.Message().ID)
	}
	// Those for whom there is no slot at once have taken one that is to come.
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(all, func(id string) bool {
			return p.count(id) == 0 && !rdb.HExists(t.Context(), messageKey(id), "slot").Val()
		})
	}, time.Minute, 10*time.Millisecond)
	close(down)
	require.Eventually(t, func() bool { return !o.ProviderUp() }, time.Minute, time.Millisecond)
	// They have waited so long that no slot of theirs stands any more.
	time.Sleep(time.Duration(n)*time.Second/perSecond + 1500*time.Millisecond)
	back := time.Now()
	p.say(nil)
	for _, id := range all {
		wants(t, o, id, Accepted)
	}
	sent, last := p.since(time.Time{})
	assert.Equal(t, n, sent)
	// A slot stands for a second: so many may have been taken just before.
	const mine = n - perSecond - 4
	assert.GreaterOrEqual(t, last.Sub(back), time.Duration(mine)*time.Second/perSecond)
}

// A text that waits for its slot can be cancelled, and expires.
func TestWaitingForASlotIsBeingQueued(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p, func(o *Options) { o.TextsPerSecond = 0.001 })
	running(t, o)
	first, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	assert.Equal(t, []State{Sending, Accepted}, states(t, first))
	second, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	id := second.Message().ID
	require.Eventually(t, func() bool { return rdb.HGet(t.Context(), messageKey(id), "holder").Val() == "" }, time.Minute, time.Millisecond)
	state, err := o.Cancel(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, Cancelled, state)

	// The next slot is when this one has expired: it takes none.
	pace := rdb.Get(t.Context(), rateKey("Acme")).Val()
	brief := request()
	brief.Campaign.Validity = campaigns.Duration(time.Second)
	third, err := o.Send(t.Context(), brief)
	require.NoError(t, err)
	wants(t, o, third.Message().ID, Expired)
	assert.Equal(t, pace, rdb.Get(t.Context(), rateKey("Acme")).Val())
	assert.Len(t, p.texts(), 1)
}

// However many texts of lists are due, and whatever becomes of them, a live one
// that is due goes first.
func TestLiveTextsGoBeforeLists(t *testing.T) {
	rdb := connect(t, startRedis(t))
	const listed = "+14155550100"
	var hanging atomic.Int64
	release := make(chan struct{})
	p, live := &provider{}, inOrder(nil, errLater, errLater)
	p.say(func(ctx context.Context, tx Text) (string, error) {
		if tx.To != listed {
			return live(ctx, tx)
		}
		hanging.Add(1)
		<-release
		return "id", nil
	})
	o := newOutbox(t, rdb, p, func(o *Options) { o.Workers, o.AttemptTimeout = 16, time.Minute })
	running(t, o)
	q := request()
	q.To.E164, q.List = listed, true
	var all []string
	for range 2 * glance {
		pending, err := o.Send(t.Context(), q)
		require.NoError(t, err)
		assert.Empty(t, states(t, pending), "nobody waits for it")
		all = append(all, pending.Message().ID)
	}
	require.Eventually(t, func() bool { return hanging.Load() == 2 }, time.Minute, time.Millisecond, "half of the hands hang")
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	assert.Equal(t, []State{Sending, Accepted}, states(t, pending))

	// A second attempt, which is claimed as those of lists are.
	pending, err = o.Send(t.Context(), request())
	require.NoError(t, err)
	assert.Equal(t, []State{Sending, Queued, Sending, Queued, Sending, Accepted}, states(t, pending))
	assert.EqualValues(t, 2, hanging.Load())
	close(release)
	for _, id := range all {
		wants(t, o, id, Accepted)
		assert.Equal(t, 1, p.count(id))
	}
}

// In one look at the queue, live ones are claimed first, and have the sender's
// slots first.
func TestAClaimPrefersLiveTexts(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	var live, lists []string
	for i := range 10 {
		r := request()
		r.List = true
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		lists = append(lists, pending.Message().ID)
		at := float64(time.Now().UnixMilli() - 60_000 + int64(i)) // Redis orders those of one millisecond by name
		require.NoError(t, rdb.ZAdd(t.Context(), listKey, z(at, lists[i])).Err())
		id := fmt.Sprintf("live%d", i)
		require.NoError(t, rdb.Copy(t.Context(), messageKey(lists[0]), messageKey(id), 0, true).Err())
		require.NoError(t, rdb.HDel(t.Context(), messageKey(id), "list").Err())
		require.NoError(t, rdb.ZAdd(t.Context(), outboxKey, z(at, id)).Err())
		live = append(live, id)
	}
	claim := func(room, roomForLists int, pace int64) (ids []string, answer reply) {
		holder := o.unique()
		answer, err := o.run(t.Context(), claimScript, "test", claimKeys(holder), messagePrefix, ratePrefix, holder, 60_000,
			room, roomForLists, glance, 1000, 1, pace, 0, 0)
		require.NoError(t, err)
		for i := range answer.list(3) {
			ids = append(ids, answer.list(3).list(i).string(0))
		}
		return ids, answer
	}
	ids, answer := claim(4, 4, 0)
	assert.Equal(t, live[:4], ids)
	assert.EqualValues(t, 1, answer.int(2), "there is more")
	ids, _ = claim(8, 1, 0)
	assert.Equal(t, append(live[4:], lists[0]), ids)
	ids, _ = claim(4, 4, 1_000_000) // one a second: the others are due one after another
	assert.Equal(t, lists[1:2], ids)
	due, err := rdb.ZRangeWithScores(t.Context(), listKey, 0, -1).Result()
	require.NoError(t, err)
	var scores []float64
	for _, entry := range due {
		if entry.Member != lists[0] && entry.Member != lists[1] {
			scores = append(scores, entry.Score)
		}
	}
	require.Len(t, scores, 8)
	for i := 1; i < len(scores); i++ {
		assert.InDelta(t, 1000, scores[i]-scores[i-1], 1)
	}
}

// Redis' clock is set back by an hour: what was said of a sender's pace by the
// clock that was ahead moves as far.
func TestAClockThatIsSetBackSilencesNoSender(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p, func(o *Options) { o.TextsPerSecond = 0.1 })
	then := rdb.Time(t.Context()).Val().Add(time.Hour).UnixMilli()
	pace := fmt.Sprintf("%d %d", (then-1)*1000, then)
	require.NoError(t, rdb.Set(t.Context(), rateKey("Acme"), pace, 0).Err())
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	assert.Equal(t, []State{Sending, Accepted}, states(t, pending))
	// The pace itself holds.
	pending, err = o.Send(t.Context(), request())
	require.NoError(t, err)
	id := pending.Message().ID
	require.Eventually(t, func() bool { return rdb.HGet(t.Context(), messageKey(id), "holder").Val() == "" }, time.Minute, time.Millisecond)
	slot, err := rdb.HGet(t.Context(), messageKey(id), "slot").Int64()
	require.NoError(t, err)
	assert.Less(t, slot, then-time.Hour.Milliseconds()+time.Minute.Milliseconds())
	assert.Len(t, p.texts(), 1)
}
