package intercept

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGateMax(t *testing.T) {
	g := gate{max: 2, latency: func() time.Duration { return 0 }}
	for n := range 4 {
		g.enter()
		g.settled()
		require.Equal(t, n >= 2, g.refuses(), n)
	}
	g.leave()
	g.leave()
	require.False(t, g.refuses(), "it recovers")
}

// TestGateShare checks that the share that is taken falls evenly with the
// latency and with the calls in set-up, and comes back by itself.
func TestGateShare(t *testing.T) {
	var latency time.Duration
	g := gate{latency: func() time.Duration { return latency }}
	taken := func() (n int) {
		longest, row := 0, 0
		for range 1000 {
			if g.refuses() {
				row++
				longest = max(longest, row)
				continue
			}
			row = 0
			n++
		}
		if n > 0 {
			require.LessOrEqual(t, longest, 1000/n+1, "evenly spread")
		}
		return n
	}
	for _, test := range []struct {
		latency time.Duration
		setting int64
		want    int
	}{
		{0, 0, 1000},
		{latencyFine, setupFine, 1000},
		{(latencyFine + latencyBusy) / 2, setupFew + 1, 500},
		{time.Hour, setupFew, 1000},
		{0, setupFine + (setupBusy-setupFine)/4, 750},
		{(latencyFine + latencyBusy) / 2, setupFine + (setupBusy-setupFine)/4, 500},
		{latencyBusy, setupFine, 0},
		{0, setupBusy, 0},
		{time.Hour, 100_000, 0},
		{latencyFine, 0, 1000},
	} {
		latency = test.latency
		g.setting.Store(test.setting)
		require.InDelta(t, test.want, taken(), 1, "%+v", test)
	}
}

func BenchmarkGate(b *testing.B) {
	g := gate{latency: func() time.Duration { return (latencyFine + latencyBusy) / 2 }}
	g.setting.Store(setupFine)
	for b.Loop() {
		g.refuses()
	}
}
