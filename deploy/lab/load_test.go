package lab

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	const stay = time.Second
	a := startAsterisk(t, AsteriskOptions{Dialplan: testIVR, Stay: stay})
	r, err := a.Load(t.Context(), Load{Caller: Caller{DNIS: "+18005550100", From: "+14152"}, Rate: 20, Calls: 40})
	require.NoError(t, err)
	require.Equal(t, 40, r.Calls)
	require.Equal(t, 40, r.Good, r.Failures)
	require.Zero(t, r.Failed)
	// Each comes when its time has come, and not when the one before is over.
	require.Greater(t, r.Took, 39*time.Second/20)
	require.Less(t, r.Took, 40*stay)
	require.Len(t, r.Setups, 40)
	require.Len(t, r.Talks, 40)
	t.Log(Quantile(r.Setups, 0.5), Quantile(r.Talks, 1))
	require.Less(t, Quantile(r.Setups, 0.5), 10*time.Second)
	require.Greater(t, Quantile(r.Talks, 0), stay/2)
	callers := map[string]bool{}
	require.Eventually(t, func() bool {
		arrivals, err := a.Arrivals()
		for _, arrival := range arrivals {
			callers[arrival.Caller] = true
		}
		return err == nil && len(arrivals) == 40
	}, time.Minute, 10*time.Millisecond)
	require.Len(t, callers, 40)
	require.Contains(t, callers, "+14152000000")

	r, err = a.Load(t.Context(), Load{Caller: Caller{DNIS: "7004", From: "+14152"}, Rate: 20, Calls: 5})
	require.NoError(t, err)
	require.Equal(t, 5, r.Failed)
	require.NotEmpty(t, r.Failures)
}
