package intercept

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/ari/aritest"
	"deflectd/campaigns/report"
)

// recovers waits until a call is deflected. The first ones may be passed on:
// they show that the switch is quick again.
func (x *exchange) recovers() {
	x.t.Helper()
	const offer = "sound:deflectd/offer"
	ctx, cancel := context.WithTimeout(x.t.Context(), 3*patience)
	defer cancel()
	for {
		call := x.call()
		require.NoError(x.t, call.Wait(ctx, func(s aritest.State) bool {
			return heard(s, offer) || s.Where != aritest.InStasis
		}))
		if heard(call.State(), offer) {
			call.Press("1")
			x.ended(call, aritest.Gone, report.Deflected, report.Released)
			return
		}
		time.Sleep(50 * time.Millisecond) // as calls come, not as fast as the machine can
	}
}

// TestManyCalls places 500 calls at once: none is left, each has one record,
// and the daemon recovers by itself. How many are texted and how long they
// wait is for a benchmark to say; the machine that tests may be busy.
func TestManyCalls(t *testing.T) {
	x := newExchange(t)
	calls := make([]*aritest.Call, 500)
	for n := range calls {
		calls[n] = x.call()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	gone := func(s aritest.State) bool { return s.Where != aritest.InStasis }
	var callers sync.WaitGroup
	for _, call := range calls {
		callers.Go(func() {
			_ = call.Wait(ctx, func(s aritest.State) bool { return len(s.Heard) > 0 || gone(s) })
			for ctx.Err() == nil && !gone(call.State()) { // a key may be lost with the events
				call.Press("1")
				again, cancel := context.WithTimeout(ctx, time.Second)
				_ = call.Wait(again, gone)
				cancel()
			}
		})
	}
	callers.Wait()
	ends, longest, unreached := map[report.Reason]int{}, time.Duration(0), 0
	for _, call := range calls {
		state := call.State()
		require.NotEqual(t, aritest.InStasis, state.Where)
		if state.Status == "FAILED" { // it came while the connection was away: the dialplan has it, as it is to be
			unreached++
			continue
		}
		longest = max(longest, state.FirstCommand.Sub(state.Placed))
		ends[x.record(call.ID()).Reason]++
	}
	t.Logf("%v, %d came while the connection was away; the longest wait was %s", ends, unreached, longest)
	require.LessOrEqual(t, int64(ends[report.Released]), x.gateway.taken.Load())
	x.recovers()
}

// TestManyCallsWithoutTheStore places many calls at once while the store is
// frozen: none waits for it for long, and nobody is answered.
func TestManyCallsWithoutTheStore(t *testing.T) {
	x := newExchange(t)
	require.NoError(t, x.redis.Freeze())
	calls := make([]*aritest.Call, 100)
	for n := range calls {
		calls[n] = x.call()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	ends, longest := map[report.Reason]int{}, time.Duration(0)
	for _, call := range calls {
		require.NoError(t, call.Wait(ctx, func(s aritest.State) bool { return s.Where == aritest.InDialplan }))
		got := x.record(call.ID())
		ends[got.Reason]++
		longest = max(longest, got.Ended.Sub(got.Started))
	}
	t.Logf("%v; the longest call took %s", ends, longest)
	require.Zero(t, x.pbx.Requests(aritest.VerbAnswer))
	require.Zero(t, x.gateway.taken.Load())
	require.NoError(t, x.redis.Thaw())
	x.recovers()
}
