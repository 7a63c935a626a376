package message

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/link"
)

// external is a text that another gateway sends.
func external() Request {
	r := request()
	r.External = true
	return r
}

func TestATextOfAnotherGatewayIsRecordedAndNeverSent(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p, guarded(t, rdb, home()), func(o *Options) { o.Originator = "" })
	running(t, o)
	r := external()
	r.Key, r.List = "key", true
	pending, err := o.Send(t.Context(), r)
	require.NoError(t, err, "it needs no sender of ours")
	assert.Empty(t, states(t, pending))
	made := pending.Message()
	m, err := o.Get(t.Context(), made.ID)
	require.NoError(t, err)
	assert.Equal(t, made, m, "what Send answers is what is kept")
	assert.Equal(t, Accepted, m.State)
	assert.Equal(t, ProviderExternal, m.Provider)
	assert.Empty(t, m.Originator)
	assert.Zero(t, m.Attempts)
	assert.Equal(t, "Acme: pay here "+m.URL, m.Text)
	require.Len(t, m.History, 1)
	assert.Equal(t, Change{At: m.Created, State: Accepted, Cause: "external"}, m.History[0])
	assert.Equal(t, "https://visual.example.com/start?interaction=pay&callerId=%2B14155550132",
		rdb.Get(t.Context(), link.URLKey(m.Link)).Val())
	for _, key := range []string{outboxKey, listKey, queuedKey, doubtedKey} {
		assert.Zero(t, rdb.ZCard(t.Context(), key).Val())
	}

	again, err := o.Send(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, m, again.Message())
	r.External = false
	r.Originator = "Acme"
	_, err = o.Send(t.Context(), r)
	require.ErrorIs(t, err, ErrConflict, "it is another request to have it sent")

	for _, q := range []Query{{To: caller}, {Campaign: "billing"}, {State: Accepted}} {
		found, _, err := o.Search(t.Context(), q)
		require.NoError(t, err)
		assert.Len(t, found, 1)
	}
	state, err := o.Cancel(t.Context(), m.ID)
	require.NoError(t, err)
	assert.Equal(t, Accepted, state, "it is out")
	assert.InDelta(t, 1, testutil.ToFloat64(o.metrics.messages.WithLabelValues("billing", "accepted")), 0)
	assert.InDelta(t, 0, testutil.ToFloat64(o.metrics.messages.WithLabelValues("billing", "queued")), 0)

	// Nobody here will hear of an opt-out by the other gateway's reports.
	n, err := o.Forget(t.Context(), caller)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	m, err = o.Get(t.Context(), m.ID)
	require.NoError(t, err)
	assert.Equal(t, Accepted, m.State)
	assert.Empty(t, m.To+m.Text+m.URL)
	assert.False(t, rdb.HExists(t.Context(), messageKey(m.ID), "person").Val())
	assert.Empty(t, p.texts())
}

// It is guarded and counted as any other.
func TestATextOfAnotherGatewayIsGuarded(t *testing.T) {
	rdb := connect(t, startRedis(t))
	policy := home()
	policy.PerCallerPerDay, policy.SegmentsPerDay = 1, 2
	o := newOutbox(t, rdb, &provider{}, guarded(t, rdb, policy))
	pending, err := o.Send(t.Context(), external())
	require.NoError(t, err)
	assert.Equal(t, Accepted, pending.Message().State)
	_, err = o.Send(t.Context(), external())
	assert.Equal(t, guard.LimitCaller, refusal(t, err).Limit)
	_, err = o.Send(t.Context(), request())
	assert.Equal(t, guard.LimitCaller, refusal(t, err).Limit)
	abroad := external()
	abroad.To = to("+442079460000", "GB")
	_, err = o.Send(t.Context(), abroad)
	assert.Equal(t, guard.CountryNotAllowed, refusal(t, err).Reason)
	optsOut(t, o, caller)
	_, err = o.Send(t.Context(), external())
	assert.Equal(t, guard.OptedOut, refusal(t, err).Reason)
	require.NoError(t, campaigns.NewStore(rdb).SetService(t.Context(), false))
	_, err = o.Send(t.Context(), external())
	require.ErrorIs(t, err, ErrServiceOff)
}

func TestWhatAnotherGatewayShowsIsItsOwnAffair(t *testing.T) {
	o := newOutbox(t, connect(t, startRedis(t)), &provider{})
	for _, c := range []struct{ asked, campaigns, want string }{
		{"", "", ""}, {"", "Bank", "Bank"}, {"+14155550111", "Bank", "+14155550111"},
	} {
		r := external()
		r.Originator, r.Campaign.Originator = c.asked, c.campaigns
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, c.want, pending.Message().Originator)
	}
	bad, test := external(), external()
	bad.Originator, test.Test = "Acme Billing Department", true
	for pointer, r := range map[string]Request{"/originator": bad, "/external": test} {
		_, err := o.Send(t.Context(), r)
		var invalid campaigns.Invalid
		require.ErrorAs(t, err, &invalid)
		require.Len(t, invalid, 1)
		assert.Equal(t, pointer, invalid[0].Pointer)
	}
}

// The script that records it may be lost or run twice.
func TestATextOfAnotherGatewayCountsOnce(t *testing.T) {
	for _, lost := range []bool{false, true} {
		rdb := connect(t, startRedis(t))
		require.NoError(t, enqueueScript.Load(t.Context(), rdb).Err())
		first := true
		rdb.AddHook(&meddler{around: func(script string, run func() error) error {
			if script != "enqueue" || !first {
				return run()
			}
			first = false
			if err := run(); err != nil || lost {
				return errCut
			}
			return run()
		}})
		o := newOutbox(t, rdb, &provider{})
		r := external()
		r.Key = "key"
		pending, err := o.Send(t.Context(), r)
		if lost {
			require.ErrorIs(t, err, ErrStore)
			pending, err = o.Send(t.Context(), r)
		}
		require.NoError(t, err)
		assert.Equal(t, Accepted, pending.Message().State)
		assert.Equal(t, of(1, 0, 0, 0), recent(t, o))
		assert.EqualValues(t, 1, rdb.ZCard(t.Context(), indexKey).Val())
		assert.Empty(t, o.standing(), "there is nothing to withdraw")
	}
}
