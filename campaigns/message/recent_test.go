package message

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// recent is what Recent says of the campaign of the tests.
func recent(t testing.TB, o *Outbox) campaigns.Texts {
	t.Helper()
	found, err := o.Recent(t.Context(), []string{"billing"}, 7)
	require.NoError(t, err)
	return found["billing"]
}

// of is a figure of the last seven days.
func of(sent, delivered, failed, unknown int64) campaigns.Texts {
	return campaigns.Texts{Days: 7, Sent: sent, Delivered: delivered, Failed: failed, Unknown: unknown}
}

func TestRecentSaysWhatBecameOfTexts(t *testing.T) {
	report := func(states ...State) func(t *testing.T, o *Outbox, id string) {
		return func(t *testing.T, o *Outbox, id string) {
			t.Helper()
			for _, s := range states {
				require.NoError(t, o.Report(t.Context(), Report{Message: id, State: s}))
			}
		}
	}
	test, external := request(), request()
	test.Test, external.External = true, true
	for name, c := range map[string]struct {
		request Request
		says    *SendError
		waits   bool // it is queued again
		then    func(t *testing.T, o *Outbox, id string)
		want    campaigns.Texts
	}{
		"accepted":           {want: of(1, 0, 0, 0)},
		"delivered":          {then: report(Delivered), want: of(1, 1, 0, 0)},
		"delivered twice":    {then: report(Accepted, Delivered, Delivered, Failed), want: of(1, 1, 0, 0)},
		"failed on its way":  {then: report(Failed, Failed, Delivered), want: of(1, 0, 1, 0)},
		"expired on its way": {then: report(Expired), want: of(1, 0, 1, 0)},
		"refused":            {says: errRefused, want: of(0, 0, 1, 0)},
		"unknown":            {says: errDoubt, want: of(0, 0, 0, 1)},
		"unknown, delivered": {says: errDoubt, then: report(Delivered), want: of(1, 1, 0, 0)},
		"unknown, failed":    {says: errDoubt, then: report(Failed), want: of(1, 0, 1, 0)},
		"queued":             {says: errLater, waits: true},
		"queued, taken":      {says: errLater, waits: true, then: report(Accepted), want: of(1, 0, 0, 0)},
		"queued, failed":     {says: errLater, waits: true, then: report(Failed), want: of(1, 0, 1, 0)},
		"cancelled":          {says: errLater, waits: true, then: func(t *testing.T, o *Outbox, id string) { _, _ = o.Cancel(t.Context(), id) }},
		"forgotten":          {then: func(t *testing.T, o *Outbox, id string) { _, _ = o.Forget(t.Context(), caller) }, want: of(1, 0, 0, 0)},
		"a test":             {request: test, then: report(Delivered)},
		"external":           {request: external, want: of(1, 0, 0, 0)},
		"never sent and expired": {says: errLater, waits: true, then: func(t *testing.T, o *Outbox, id string) {
			timeIsOver(t, o.rdb, id)
			running(t, o)
			wants(t, o, id, Expired)
		}, want: of(0, 0, 1, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := connect(t, startRedis(t))
			p := &provider{}
			if c.says != nil {
				later := *c.says
				later.RetryAfter = time.Hour
				p.say(fails(later))
			}
			o := newOutbox(t, rdb, p, guarded(t, rdb, home()))
			r := c.request
			if r.Campaign == nil {
				r = request()
			}
			pending, err := o.Send(t.Context(), r)
			require.NoError(t, err)
			if c.waits {
				sees(t, pending, Sending, Queued)
			} else {
				states(t, pending)
			}
			if c.then != nil {
				c.then(t, o, pending.Message().ID)
			}
			c.want.Days = 7
			assert.Equal(t, c.want, recent(t, o))
		})
	}
}

// awaitDay waits until the day of UTC has begun, where it is about to.
func awaitDay() {
	if left := time.Until(time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)); left < 30*time.Second {
		time.Sleep(left)
	}
}

// What is sent once more is one text, and what happens to it later counts on the
// day it was made.
func TestATextCountsOnceOnTheDayItWasMade(t *testing.T) {
	awaitDay() // six days ago is not to become seven
	rdb := connect(t, startRedis(t))
	p := &provider{answer: inOrder(errDoubt, nil)}
	o := newOutbox(t, rdb, p, func(o *Options) { o.ResendAfter = 20 * time.Millisecond })
	running(t, o)
	pending, err := o.Send(t.Context(), resendable())
	require.NoError(t, err)
	id := pending.Message().ID
	wants(t, o, id, Accepted)
	assert.Equal(t, of(1, 0, 0, 0), recent(t, o))

	// As if it had been made six days ago, and then a day before that.
	made := pending.Message().Created.Add(-6 * 24 * time.Hour)
	require.NoError(t, rdb.Rename(t.Context(), textsKey("billing", dayOf(pending.Message().Created)), textsKey("billing", dayOf(made))).Err())
	require.NoError(t, rdb.HSet(t.Context(), messageKey(id), "created", made.UnixMilli()).Err())
	assert.Equal(t, of(1, 0, 0, 0), recent(t, o), "today is one of the seven")
	require.NoError(t, o.Report(t.Context(), Report{Message: id, State: Delivered}))
	assert.Equal(t, of(1, 1, 0, 0), recent(t, o))
	key := textsKey("billing", dayOf(made))
	end := time.Unix(0, 0).Add(time.Duration(dayOf(made)+1) * 24 * time.Hour).Add(31 * 24 * time.Hour)
	assert.WithinDuration(t, end, time.Now().Add(rdb.PTTL(t.Context(), key).Val()), time.Minute)

	found, err := o.Recent(t.Context(), []string{"billing"}, 6)
	require.NoError(t, err)
	assert.Equal(t, campaigns.Texts{Days: 6}, found["billing"])
	for asked, days := range map[int]int{-1: 1, 0: 1, 31: 31, 500: 31} {
		found, err = o.Recent(t.Context(), []string{"billing"}, asked)
		require.NoError(t, err)
		assert.Equal(t, days, found["billing"].Days)
	}

	// News of one whose day is kept no more leaves nothing behind.
	long := made.Add(-40 * 24 * time.Hour)
	require.NoError(t, rdb.HSet(t.Context(), messageKey(id), "created", long.UnixMilli(), "state", "accepted").Err())
	require.NoError(t, o.Report(t.Context(), Report{Message: id, State: Failed}))
	assert.Zero(t, rdb.Exists(t.Context(), textsKey("billing", dayOf(long))).Val())
}

// A page of campaigns costs one round trip, and every one of them is answered.
func TestRecentTakesOneRoundTrip(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	var ids []string
	for i := range 50 {
		ids = append(ids, fmt.Sprintf("campaign-%d", i))
		r := request()
		r.Campaign.ID, r.External = ids[i], true
		for range i % 3 {
			_, err := o.Send(t.Context(), r)
			require.NoError(t, err)
		}
	}
	counter := &meddler{}
	rdb.AddHook(counter)
	_, err := o.Recent(t.Context(), ids, 7)
	require.NoError(t, err) // a connection is made
	counter.commands.Store(0)
	found, err := o.Recent(t.Context(), append(ids, ids...), 7)
	require.NoError(t, err)
	assert.EqualValues(t, 1, counter.commands.Load())
	require.Len(t, found, 50)
	for i, id := range ids {
		assert.Equal(t, of(int64(i%3), 0, 0, 0), found[id], id)
	}
	found, err = o.Recent(t.Context(), nil, 7)
	require.NoError(t, err)
	assert.Empty(t, found)
	assert.EqualValues(t, 1, counter.commands.Load(), "nothing is asked for nobody")

	require.NoError(t, rdb.HSet(t.Context(), textsKey("campaign-1", dayOf(time.Now())), "sent", "many").Err())
	_, err = o.Recent(t.Context(), ids, 7)
	require.ErrorIs(t, err, ErrStore)
	away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: 100 * time.Millisecond, DialerRetries: 1})
	t.Cleanup(func() { _ = away.Close() })
	_, err = newOutbox(t, away, &provider{}).Recent(t.Context(), ids, 7)
	require.ErrorIs(t, err, ErrStore)
}

func BenchmarkRecentOf50Campaigns(b *testing.B) {
	rdb := connect(b, startRedis(b))
	o := newOutbox(b, rdb, &provider{})
	var ids []string
	for i := range 50 {
		ids = append(ids, fmt.Sprintf("campaign-%d", i))
		for day := range int64(7) {
			require.NoError(b, rdb.HSet(b.Context(), textsKey(ids[i], dayOf(time.Now())-day), "sent", 12, "delivered", 11, "failed", 1).Err())
		}
	}
	for b.Loop() {
		_, err := o.Recent(b.Context(), ids, 7)
		require.NoError(b, err)
	}
}
