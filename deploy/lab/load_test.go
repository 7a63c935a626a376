package lab

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t, AsteriskOptions{Dialplan: testIVR})
	r, err := a.Load(t.Context(), Load{Caller: Caller{DNIS: "+18005550100", From: "+14152"}, Rate: 20, Calls: 40})
	require.NoError(t, err)
	require.Equal(t, 40, r.Calls)
	require.Equal(t, 40, r.Good, r.Failures)
	require.Zero(t, r.Failed)
	require.InDelta(t, 2.5, r.Took.Seconds(), 1)
	require.Len(t, r.Setups, 40)
	require.Len(t, r.Talks, 40)
	t.Log(Quantile(r.Setups, 0.5), Quantile(r.Talks, 1))
	require.Less(t, Quantile(r.Setups, 0.5), 200*time.Millisecond)
	require.Greater(t, Quantile(r.Talks, 0), 150*time.Millisecond)
	arrivals, err := a.Arrivals()
	require.NoError(t, err)
	require.Len(t, arrivals, 40)
	require.Equal(t, "+14152000000", arrivals[0].Caller)

	r, err = a.Load(t.Context(), Load{Caller: Caller{DNIS: "7004", From: "+14152"}, Rate: 20, Calls: 5})
	require.NoError(t, err)
	require.Equal(t, 5, r.Failed)
	require.NotEmpty(t, r.Failures)
}
