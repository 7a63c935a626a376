package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// durable is a Redis that keeps what it was told through a kill: what it has
// written to its file is with the kernel before it answers. It does not wait for
// the disk, which only a power cut asks for and which other tests keep busy.
var durable = []string{"--appendonly", "yes", "--appendfsync", "no"}

// Redis goes away with calls in every step, and comes back: it is needed when
// a text is to be made durable, and nowhere else.
func TestFaultRedisAway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ away, back func(*testing.T, *world) }{
		"stopped": {
			func(t *testing.T, w *world) { require.NoError(t, w.redis.Program.Stop()) },
			func(t *testing.T, w *world) { require.NoError(t, w.redis.Restart(t.Context())) },
		},
		"killed": {
			func(t *testing.T, w *world) { require.NoError(t, w.redis.Kill()) },
			func(t *testing.T, w *world) { require.NoError(t, w.redis.Restart(t.Context())) },
		},
		"frozen": {
			func(t *testing.T, w *world) { require.NoError(t, w.redis.Freeze()) },
			func(t *testing.T, w *world) { require.NoError(t, w.redis.Thaw()) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testRedisAway(t, test.away, test.back)
		})
	}
}

func testRedisAway(t *testing.T, away, back func(*testing.T, *world)) {
	w := newWorld(t, worldOptions{redis: durable})
	d := w.serve(t)
	offered, told, asked := w.campaign(t, prompting), w.campaign(t, telling), w.campaign(t, send(3*time.Second))
	sendNew, askNew := w.campaign(t, waiting), w.campaign(t)
	off := w.campaign(t, func(c *campaigns.Campaign) { c.Enabled = new(bool) })

	// Before: one that has its text, one that will press the key when Redis is
	// away, and one that waits for the provider.
	has := w.place(t, told, lab.Caller{Steps: givesUp(8 * time.Second)}).at(t, "prompt sent")
	offer := w.place(t, offered, lab.Caller{Steps: pressesAfter(5*time.Second, "1")}).at(t, "prompt offer")
	w.provider.Then(lab.Slow(2 * time.Second))
	slow := w.place(t, asked, lab.Caller{}).at(t, "text sending")
	away(t, w)
	broken := time.Now()

	// While it is away: one that is texted without asking, one that is asked
	// and presses the key, and two that are passed on.
	unasked := w.place(t, sendNew, lab.Caller{})
	asking := w.place(t, askNew, lab.Caller{Steps: pressesAfter(500*time.Millisecond, "1")})
	passed := []*ongoing{w.place(t, off, lab.Caller{}), w.place(t, askNew, lab.Caller{From: "anonymous"})}
	for _, c := range passed {
		a := c.inIVR(t, "a passed call needs no Redis", broken)
		require.Equal(t, "Ring", a.State)
		require.Equal(t, string(report.Passed), a.Variables["DEFLECTD_OUTCOME"])
	}
	for what, c := range map[string]*ongoing{"a text without asking": unasked, "a key pressed": asking} {
		r := c.over(t)
		needed := r.Answered
		if c == asking {
			needed = needed.Add(500 * time.Millisecond)
		}
		a := c.inIVR(t, "Redis is away, "+what, needed)
		require.Equal(t, string(report.StoreDown), a.Variables["DEFLECTD_REASON"])
	}
	r := offer.over(t)
	a := offer.inIVR(t, "Redis went during a prompt of a minute, key pressed", r.Answered.Add(5*time.Second))
	require.Equal(t, string(report.StoreDown), a.Variables["DEFLECTD_REASON"])
	// What became of its text cannot be known while Redis is away.
	a = slow.inIVR(t, "Redis went while a caller waited for the provider, for 3 s", slow.over(t).Answered)
	require.Equal(t, string(report.MessageTimeout), a.Variables["DEFLECTD_REASON"])
	require.Equal(t, lab.ByCaller, has.over(t).HungUpBy, "who has the text needs no Redis")
	eventually(t, func() error { return w.readyz(t, http.StatusServiceUnavailable, "Redis does not answer") })
	require.Positive(t, w.metric(t, "deflectd_call_records_pending"))

	back(t, w)
	restored := time.Now()
	eventually(t, func() error { return w.readyz(t, http.StatusOK, `"ready"`) })
	for _, c := range []*ongoing{unasked, offer} {
		c.recorded(t, report.Failed, report.StoreDown)
	}
	has.recorded(t, report.Deflected, report.CallerHungUp)
	passed[0].recorded(t, report.Passed, report.CampaignDisabled)
	w.message(t, slow.recorded(t, report.Failed, report.MessageTimeout).Message, message.Accepted)
	t.Logf("measured: Redis is back: all records written after %.1f s", time.Since(restored).Seconds())
	w.serves(t)
	// What could not be promised is not sent later either.
	time.Sleep(time.Until(restored.Add(3 * time.Second)))
	w.onceEach(t, []string{slow.caller, has.caller}, []string{unasked.caller, asking.caller, offer.caller})
	w.audit(t, d, 0)
}

// Redis is restarted in the middle of a call: nobody notices.
func TestFaultRedisRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{redis: durable})
	d := w.serve(t)
	w.provider.Then(lab.Slow(2 * time.Second))
	asked, offered := w.campaign(t, waiting), w.campaign(t, prompting)
	slow := w.place(t, asked, lab.Caller{}).at(t, "text sending")
	offer := w.place(t, offered, lab.Caller{Steps: pressesAfter(6*time.Second, "1")}).at(t, "prompt offer")
	began := time.Now()
	require.NoError(t, w.redis.Restart(t.Context()))
	t.Logf("measured: Redis is restarted: it took %.1f s", time.Since(began).Seconds())
	for _, c := range []*ongoing{slow, offer} {
		w.released(t, c.over(t))
		c.recorded(t, report.Deflected, report.Released)
	}
	w.serves(t)
	w.onceEach(t, []string{slow.caller, offer.caller}, nil)
	w.audit(t, d, 0)
}

// deflectd starts without Redis: calls are let by, and recorded when Redis
// comes; then all is as ever.
func TestFaultRedisAwayAtStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{redis: durable})
	require.NoError(t, w.redis.Freeze())
	d := w.begin(t)
	eventually(t, func() error {
		if w.metric(t, `deflectd_asterisk_up{node="pbx"}`) == 0 {
			return errNotYet
		}
		return nil
	})
	placed := time.Now()
	call := w.place(t, campaigns.Campaign{DNIS: []string{w.dnis()}}, lab.Caller{})
	a := call.inIVR(t, "a call comes before Redis was ever there", placed)
	require.Equal(t, []string{"Ring", string(report.StoreDown)}, []string{a.State, a.Variables["DEFLECTD_REASON"]})
	require.NoError(t, w.redis.Thaw())
	w.awaitReady(t, d.done, d.log.String)
	eventually(t, func() error {
		if len(w.records(t, url.Values{"ani": {call.caller}})) == 0 {
			return errNotYet
		}
		return nil
	})
	w.serves(t)
	w.audit(t, d, 0)
}

// Redis answers, and takes nothing: it is full, or a replica.
func TestFaultRedisTakesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ away, back []any }{
		"full":      {[]any{"config", "set", "maxmemory", "1"}, []any{"config", "set", "maxmemory", "0"}},
		"a replica": {[]any{"replicaof", "127.0.0.1", "1"}, []any{"replicaof", "no", "one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{redis: durable})
			d := w.serve(t)
			rdb := redis.NewClient(&redis.Options{Addr: w.redis.Addr})
			t.Cleanup(func() { require.NoError(t, rdb.Close()) })
			offered, asked := w.campaign(t, prompting), w.campaign(t, waiting)
			offer := w.place(t, offered, lab.Caller{Steps: pressesAfter(4*time.Second, "1")}).at(t, "prompt offer")
			require.NoError(t, rdb.Do(t.Context(), test.away...).Err())
			unasked := w.place(t, asked, lab.Caller{})
			for _, c := range []*ongoing{offer, unasked} {
				needed := c.over(t).Answered
				if c == offer {
					needed = needed.Add(4 * time.Second)
				}
				a := c.inIVR(t, "Redis is "+name, needed)
				require.Equal(t, string(report.StoreDown), a.Variables["DEFLECTD_REASON"])
			}
			require.NoError(t, rdb.Do(t.Context(), test.back...).Err())
			for _, c := range []*ongoing{offer, unasked} {
				c.recorded(t, report.Failed, report.StoreDown)
			}
			w.serves(t)
			w.onceEach(t, nil, []string{offer.caller, unasked.caller})
			w.audit(t, d, 0)
		})
	}
}
