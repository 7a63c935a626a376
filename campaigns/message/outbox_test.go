package message

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/link"
	"deflectd/campaigns/phone"
)

func TestATextIsMadeDurableAndAccepted(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p)
	running(t, o)

	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	first := pending.Message()
	assert.Equal(t, Queued, first.State)
	assert.Equal(t, []State{Sending, Accepted}, states(t, pending))

	m, err := o.Get(t.Context(), first.ID)
	require.NoError(t, err)
	assert.Equal(t, Accepted, m.State)
	assert.Equal(t, "https://txt.example.com/"+m.Link, m.URL)
	assert.Equal(t, "Acme: pay here "+m.URL, m.Text)
	assert.Equal(t, "id-"+m.ID, m.ProviderID)
	assert.Equal(t, []State{Queued, Sending, Accepted}, history(m))
	assert.Equal(t, "requested", m.History[0].Cause)
	assert.Equal(t, 1, m.Attempts)
	assert.Equal(t, "call-1", m.Call)
	assert.Equal(t, GSM7, m.Encoding)
	assert.Equal(t, 15*time.Minute, m.Expires.Sub(m.Created))
	m.History, m.State, m.Attempts, m.Updated, m.Provider, m.ProviderID = first.History, Queued, 0, first.Updated, "", ""
	assert.Equal(t, first, m, "what Send answers is what is kept")

	require.Len(t, p.texts(), 1)
	sent := p.texts()[0]
	assert.InDelta(t, 15*time.Minute, sent.Validity, float64(time.Minute))
	sent.Validity = 0
	assert.Equal(t, Text{Reference: m.ID, To: "+14155550132", Originator: "Acme", Body: m.Text}, sent)

	assert.Equal(t, "https://visual.example.com/start?interaction=pay&callerId=%2B14155550132",
		rdb.Get(t.Context(), link.URLKey(m.Link)).Val())
	assert.InDelta(t, 72*time.Hour, rdb.PTTL(t.Context(), link.URLKey(m.Link)).Val(), float64(time.Minute))
	assert.Equal(t, map[string]string{link.FieldCampaign: "billing", link.FieldMessage: m.ID},
		rdb.HGetAll(t.Context(), link.Key(m.Link)).Val())

	assert.Zero(t, rdb.ZCard(t.Context(), outboxKey).Val())
	assert.Zero(t, rdb.ZCard(t.Context(), queuedKey).Val())
	for _, key := range keys(t, "*") {
		assert.Contains(t, key, "{deflectd}:")
		if key != indexKey {
			assert.Positive(t, rdb.PTTL(t.Context(), key).Val(), "%s is forgotten some day", key)
		}
	}
}

func TestATextTakesThreeRoundTrips(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err) // loads the scripts
	states(t, pending)
	counter := &meddler{}
	rdb.AddHook(counter)
	pending, err = o.Send(t.Context(), request())
	require.NoError(t, err)
	states(t, pending)
	assert.EqualValues(t, 3, counter.commands.Load())
}

func TestAnIdleOutboxCostsLittle(t *testing.T) {
	rdb := connect(t, startRedis(t))
	counter := &meddler{}
	rdb.AddHook(counter)
	o := newOutbox(t, rdb, &provider{})
	stop := running(t, o)
	require.Eventually(t, func() bool { return o.clock.ahead.Load() != 0 }, time.Minute, time.Millisecond, "it has looked once")
	begun, before := time.Now(), counter.commands.Load()
	time.Sleep(3 * time.Second)
	n := counter.commands.Load() - before
	assert.LessOrEqual(t, n, int64(2*time.Since(begun).Seconds()))
	stop()
}

func TestBadRequestsAreRefusedByField(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Originator = "" })
	long := make([]byte, 2000)
	for i := range long {
		long[i] = 'x'
	}
	for name, c := range map[string]struct {
		change  func(*Request)
		pointer string
	}{
		"no campaign":    {func(r *Request) { r.Campaign = nil }, "/campaign"},
		"no number":      {func(r *Request) { r.To = phone.Number{} }, "/to"},
		"no E.164":       {func(r *Request) { r.To.E164 = "911" }, "/to"},
		"bad originator": {func(r *Request) { r.Originator = "Acme Billing Department" }, "/originator"},
		"empty text":     {func(r *Request) { r.Campaign.Text = " \n" }, "/text"},
		"invalid UTF-8":  {func(r *Request) { r.Campaign.Text = "a\xffb" }, "/text"},
		"2000 letters":   {func(r *Request) { r.Campaign.Text = string(long) }, "/text"},
		"unparsable URL": {func(r *Request) { r.Campaign.Interaction.URL = "http://[::1" }, "/interaction/url"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			r.Originator = "Acme"
			c.change(&r)
			_, err := o.Send(t.Context(), r)
			var invalid campaigns.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Len(t, invalid, 1)
			assert.Equal(t, c.pointer, invalid[0].Pointer)
		})
	}
	assert.Empty(t, p.texts())
	assert.Empty(t, keys(t, "*"))
}

func TestTheServiceSwitchIsPartOfTheSameStep(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p)
	store := campaigns.NewStore(rdb)
	require.NoError(t, store.SetService(t.Context(), false))
	_, err := o.Send(t.Context(), request())
	require.ErrorIs(t, err, ErrServiceOff)
	assert.Zero(t, rdb.ZCard(t.Context(), indexKey).Val())
	require.NoError(t, store.SetService(t.Context(), true))
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	states(t, pending)
	assert.Len(t, p.texts(), 1)
}

func TestWhatTheProviderSaysDecides(t *testing.T) {
	rdb := connect(t, startRedis(t))
	for name, c := range map[string]struct {
		err    error
		state  State
		reason string
		seen   []State
	}{
		"refused":      {&SendError{Verdict: Refused, Reason: "recipient_refused"}, Failed, "recipient_refused", []State{Sending, Failed}},
		"ambiguous":    {&SendError{Verdict: Ambiguous, Reason: "no_answer"}, Unknown, "no_answer", []State{Sending, Unknown}},
		"unclassified": {errors.New("what?"), Unknown, "unclassified", []State{Sending, Unknown}},
		"wrapped":      {fmt.Errorf("sending: %w", &SendError{Verdict: Refused, Reason: "rejected"}), Failed, "rejected", []State{Sending, Failed}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &provider{answer: func(context.Context, Text) (string, error) { return "", c.err }}
			o := newOutbox(t, rdb, p)
			running(t, o)
			pending, err := o.Send(t.Context(), request())
			require.NoError(t, err)
			assert.Equal(t, c.seen, states(t, pending))
			m := wants(t, o, pending.Message().ID, c.state)
			assert.Equal(t, c.reason, m.Reason)
			assert.Equal(t, c.reason, m.History[len(m.History)-1].Cause)
			time.Sleep(50 * time.Millisecond)
			assert.Len(t, p.texts(), 1, "never sent again")
		})
	}
}

func TestWhatWasNotProcessedIsTriedAgain(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: fails(SendError{Verdict: NotProcessed, Reason: "unavailable"})}
	o := newOutbox(t, rdb, p)
	running(t, o)
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	id := pending.Message().ID
	require.Eventually(t, func() bool { return p.count(id) >= 3 }, time.Minute, time.Millisecond)
	p.say(nil)
	m := wants(t, o, id, Accepted)
	assert.Equal(t, p.count(id), m.Attempts)
	assert.Empty(t, m.Reason)
	seen := states(t, pending)
	assert.Equal(t, []State{Sending, Accepted}, seen[len(seen)-2:])
	assert.Equal(t, []State{Queued, Sending, Queued, Sending}, history(m)[:4])
}

func TestRetryAfterIsHonoured(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: fails(SendError{Verdict: NotProcessed, Reason: "rate_limited", RetryAfter: time.Second, Healthy: true})}
	o := newOutbox(t, rdb, p)
	running(t, o)
	begun := time.Now()
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(p.texts()) > 0 }, time.Minute, time.Millisecond)
	p.say(nil)
	wants(t, o, pending.Message().ID, Accepted)
	assert.GreaterOrEqual(t, time.Since(begun), 900*time.Millisecond)
}

func TestATextExpires(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: fails(SendError{Verdict: NotProcessed, Reason: "unavailable"})}
	o := newOutbox(t, rdb, p)
	running(t, o)
	r := request()
	r.Campaign.Validity = campaigns.Duration(300 * time.Millisecond)
	pending, err := o.Send(t.Context(), r)
	require.NoError(t, err)
	seen := states(t, pending)
	assert.Equal(t, Expired, seen[len(seen)-1])
	m := wants(t, o, pending.Message().ID, Expired)
	assert.Equal(t, "validity_over", m.Reason)
	assert.False(t, m.Updated.Before(m.Expires))
	tries := len(p.texts())
	time.Sleep(200 * time.Millisecond)
	assert.Len(t, p.texts(), tries)
}

func TestAProviderThatHangsLeavesTheTextUnknown(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: hangs}
	o := newOutbox(t, rdb, p, func(o *Options) { o.AttemptTimeout = 100 * time.Millisecond })
	running(t, o)
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	seen := states(t, pending) // where the time is over before the provider is asked, it begins once more
	assert.Equal(t, []State{Sending, Unknown}, seen[len(seen)-2:])
	assert.Len(t, p.texts(), 1)
}

func TestACallersTextNeverWaitsBehindOthers(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	p.say(func(ctx context.Context, tx Text) (string, error) {
		if tx.To == "+14155550100" {
			return "", &SendError{Verdict: NotProcessed, Reason: "unavailable", Healthy: true}
		}
		return "id", nil
	})
	o := newOutbox(t, rdb, p, func(o *Options) { o.Workers, o.AttemptTimeout = 8, time.Minute })
	running(t, o)
	r := request()
	r.To.E164 = "+14155550100"
	var others []string
	for range 50 {
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		others = append(others, pending.Message().ID)
	}
	require.Eventually(t, func() bool { // no first attempt of theirs is left
		return !slices.ContainsFunc(others, func(id string) bool { return p.count(id) < 2 })
	}, time.Minute, time.Millisecond)
	release := make(chan struct{})
	var hanging atomic.Int64
	p.say(func(ctx context.Context, tx Text) (string, error) {
		if tx.To == "+14155550100" {
			hanging.Add(1)
			<-release
		}
		return "id", nil
	})
	require.Eventually(t, func() bool { return hanging.Load() == 2 }, time.Minute, time.Millisecond, "all that may run at once hang")
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	assert.Equal(t, []State{Sending, Accepted}, states(t, pending))
	close(release)
}

func TestWhileTheProviderIsDownTextsWait(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: fails(SendError{Verdict: NotProcessed, Reason: "unreachable"})}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Breaker = Breaker{Failures: 3, Pause: time.Second} })
	running(t, o)
	assert.True(t, o.ProviderUp())
	var all []*Pending
	for range 20 {
		pending, err := o.Send(t.Context(), request())
		require.NoError(t, err, "it is durable all the same")
		all = append(all, pending)
	}
	require.Eventually(t, func() bool {
		// The breaker is open all the time, and whatever was let through before
		// has ended: unless the machine was too slow for that.
		o.mu.Lock()
		flying := len(o.flights)
		o.mu.Unlock()
		begun, tries := time.Now(), len(p.texts())
		if o.ProviderUp() || flying > 0 {
			return false
		}
		time.Sleep(o.opts.Breaker.Pause / 2)
		return !o.ProviderUp() && time.Since(begun) < o.opts.Breaker.Pause && len(p.texts()) == tries
	}, time.Minute, time.Millisecond, "the provider is left alone")
	p.say(nil)
	for _, pending := range all {
		seen := states(t, pending)
		assert.Equal(t, Accepted, seen[len(seen)-1])
	}
	assert.Eventually(t, o.ProviderUp, time.Minute, time.Millisecond)
}

func TestHealthyErrorsDoNotStopOthers(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: fails(SendError{Verdict: Refused, Reason: "recipient_refused", Healthy: true})}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Breaker.Failures = 3 })
	for range 10 {
		pending, err := o.Send(t.Context(), request())
		require.NoError(t, err)
		assert.Equal(t, []State{Sending, Failed}, states(t, pending))
	}
	assert.True(t, o.ProviderUp())
}

func TestCancel(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: fails(SendError{Verdict: NotProcessed, Reason: "unavailable", RetryAfter: time.Minute})}
	o := newOutbox(t, rdb, p)
	running(t, o)
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	id := pending.Message().ID
	sees(t, pending, Sending, Queued)
	for range 2 {
		state, err := o.Cancel(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, Cancelled, state)
	}
	assert.Equal(t, []State{Cancelled}, states(t, pending))
	assert.Zero(t, rdb.ZCard(t.Context(), outboxKey).Val())
	_, err = o.Cancel(t.Context(), "nosuch")
	require.ErrorIs(t, err, ErrNotFound)

	p.say(nil)
	pending, err = o.Send(t.Context(), request())
	require.NoError(t, err)
	states(t, pending)
	state, err := o.Cancel(t.Context(), pending.Message().ID)
	require.NoError(t, err)
	assert.Equal(t, Accepted, state)
}

func TestCancellingRacesWithSending(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p)
	running(t, o)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ended := map[string]State{}
	for i := range 200 {
		wg.Go(func() {
			pending, err := o.Send(t.Context(), request())
			if !assert.NoError(t, err) {
				return
			}
			time.Sleep(time.Duration(i%7) * 100 * time.Microsecond)
			_, err = o.Cancel(t.Context(), pending.Message().ID)
			assert.NoError(t, err)
			seen := states(t, pending)
			mu.Lock()
			defer mu.Unlock()
			if assert.NotEmpty(t, seen) {
				ended[pending.Message().ID] = seen[len(seen)-1]
			}
		})
	}
	wg.Wait()
	cancelled := 0
	for id, s := range ended {
		m, err := o.Get(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, m.State, s)
		if s == Cancelled {
			cancelled++
			assert.Zero(t, p.count(id), "a cancelled text was sent")
		} else {
			assert.Equal(t, 1, p.count(id))
		}
	}
	t.Logf("%d of %d were cancelled", cancelled, len(ended))
}

func TestNobodyNeedReadTheStates(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: fails(SendError{Verdict: NotProcessed, Reason: "unavailable", Healthy: true})}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Backoff = Backoff{Initial: time.Millisecond, Max: time.Millisecond} })
	running(t, o)
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(p.texts()) > 2*pendingSize }, time.Minute, time.Millisecond)
	p.say(nil)
	wants(t, o, pending.Message().ID, Accepted)
	require.Eventually(t, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.pending) == 0
	}, time.Minute, time.Millisecond)
	seen := states(t, pending)
	assert.Len(t, seen, pendingSize)
	assert.Equal(t, Accepted, seen[len(seen)-1], "the last state is never left out")
}

func TestTheHistoryIsBounded(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: fails(SendError{Verdict: NotProcessed, Reason: "unavailable", Healthy: true})}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Backoff = Backoff{Initial: time.Millisecond, Max: time.Millisecond} })
	running(t, o)
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(p.texts()) > 60 }, time.Minute, time.Millisecond)
	p.say(nil)
	m := wants(t, o, pending.Message().ID, Accepted)
	require.Len(t, m.History, 100)
	assert.Equal(t, Queued, m.History[0].State)
	assert.Equal(t, Accepted, m.History[99].State)
}

func TestMetrics(t *testing.T) {
	rdb := connect(t, startRedis(t))
	reg := prometheus.NewPedanticRegistry()
	p := &provider{}
	o := newOutbox(t, rdb, p, func(o *Options) { o.Registerer = reg })
	for _, test := range []bool{false, true} {
		r := request()
		r.Test = test
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		states(t, pending)
		require.NoError(t, o.Report(t.Context(), Report{Message: pending.Message().ID, State: Delivered}))
	}
	p.say(fails(SendError{Verdict: NotProcessed, Reason: "unavailable", RetryAfter: time.Hour}))
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	sees(t, pending, Sending, Queued)
	running(t, o)
	for state, n := range map[State]float64{Queued: 3, Sending: 2, Accepted: 1, Delivered: 1, Failed: 0} {
		require.Eventually(t, func() bool {
			return testutil.ToFloat64(o.metrics.messages.WithLabelValues("billing", string(state))) == n
		}, time.Minute, time.Millisecond, "%s: tests are not counted", state)
	}
	assert.Eventually(t, func() bool {
		return testutil.ToFloat64(o.metrics.outbox.WithLabelValues("queued")) == 1 &&
			testutil.ToFloat64(o.metrics.outbox.WithLabelValues("sending")) == 0 &&
			testutil.ToFloat64(o.metrics.oldest) >= 0
	}, time.Minute, time.Millisecond)
	assert.EqualValues(t, 1, testutil.ToFloat64(o.metrics.errors.WithLabelValues("unavailable", "not_processed")))
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	assert.Empty(t, problems)
}
