package message

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every script runs twice each time, and what is heard is what it answers the
// second time, as when a connection breaks and the Redis client repeats the
// command: all that happened is counted, and once.
func TestAScriptThatRunsTwiceIsCountedOnce(t *testing.T) {
	rdb := connect(t, startRedis(t))
	require.NoError(t, claimScript.Load(t.Context(), rdb).Err())
	rdb.AddHook(&meddler{around: func(_ string, run func() error) error {
		if err := run(); err != nil {
			return err
		}
		return run()
	}})
	refused := &SendError{Verdict: NotProcessed, Reason: "unavailable"}
	later := &SendError{Verdict: NotProcessed, Reason: "unavailable", RetryAfter: time.Minute}
	answer := make(chan error)
	p := &provider{answer: func(ctx context.Context, _ Text) (string, error) {
		select {
		case err := <-answer:
			return "id", err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}}
	a, o := newOutbox(t, rdb, p), newOutbox(t, rdb, p)
	var ids []string
	begin := func(o *Outbox, r Request) *Pending {
		t.Helper()
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		ids = append(ids, pending.Message().ID)
		return pending
	}
	cancel := func(id string, want State) {
		t.Helper()
		state, err := o.Cancel(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, want, state)
	}

	// Nothing may happen to a message between the two runs of a script, so what
	// comes next waits for what this process says of it, not for the record.
	pending := begin(a, request()) // it does not run: it is taken for dead
	dead := pending.Message().ID
	sees(t, pending, Sending)
	require.NoError(t, rdb.ZAdd(t.Context(), outboxKey, z(1, dead)).Err())
	running(t, o)
	wants(t, o, dead, Unknown)
	hand(t, answer, refused)
	require.NoError(t, o.Report(t.Context(), Report{Message: dead, State: Delivered}))

	pending = begin(o, request())
	twice := pending.Message().ID
	hand(t, answer, refused)
	hand(t, answer, nil)
	require.Equal(t, []State{Sending, Queued, Sending, Accepted}, states(t, pending))
	for range 3 { // the provider repeats itself: that is not counted again
		require.NoError(t, o.Report(t.Context(), Report{Message: twice, State: Delivered}))
	}

	pending = begin(o, request())
	waiting := pending.Message().ID
	hand(t, answer, later)
	sees(t, pending, Sending, Queued)
	cancel(waiting, Cancelled)
	cancel(waiting, Cancelled)

	pending = begin(o, request())
	withdrawn := pending.Message().ID
	sees(t, pending, Sending)
	cancel(withdrawn, Sending)
	hand(t, answer, refused)
	wants(t, o, withdrawn, Cancelled)

	pending = begin(o, request())
	expired := pending.Message().ID
	hand(t, answer, later)
	sees(t, pending, Sending, Queued)
	timeIsOver(t, rdb, expired)
	wants(t, o, expired, Expired)

	count := map[State]float64{}
	for _, id := range ids {
		m, err := o.Get(t.Context(), id)
		require.NoError(t, err)
		for _, c := range m.History {
			count[c.State]++
		}
	}
	assert.Equal(t, map[State]float64{
		Queued: 9, Sending: 6, Unknown: 1, Accepted: 1, Delivered: 2, Cancelled: 2, Expired: 1,
	}, count)
	for _, s := range States() {
		assert.Eventually(t, func() bool {
			counted := 0.0
			for _, o := range []*Outbox{a, o} {
				counted += testutil.ToFloat64(o.metrics.messages.WithLabelValues("billing", string(s)))
			}
			return counted == count[s]
		}, time.Minute, time.Millisecond, "%s: %v times", s, count[s])
	}
	assert.InDelta(t, 2, testutil.ToFloat64(o.metrics.reports.WithLabelValues("changed")), 0)
	assert.InDelta(t, 2, testutil.ToFloat64(o.metrics.reports.WithLabelValues("stale")), 0)
}
