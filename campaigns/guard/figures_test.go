package guard

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"deflectd/deploy/lab/labtest"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheAlarmComesAt80PercentAndIsWarnedOfOnce(t *testing.T) {
	log := new(labtest.Log)
	count := func(what string) int { return strings.Count(log.String(), what) }
	g := newGuards(t, connect(t), Policy{SegmentsPerDay: 100}, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
	})
	g.every = time.Millisecond
	used := func() float64 { return testutil.ToFloat64(g.metrics.used.WithLabelValues(LimitSegments)) }
	alarm := func() float64 { return testutil.ToFloat64(g.metrics.alarm.WithLabelValues(LimitSegments)) }
	assert.Zero(t, used())
	assert.Zero(t, alarm())

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	eventually := func(ready func() bool) {
		t.Helper()
		require.Eventually(t, ready, time.Minute, time.Millisecond)
	}
	begin := time.Now()
	c := campaign("a", nil)
	require.True(t, send(t, g, begin, c, us(1), "m1", 79, NotExempt).None())
	eventually(func() bool { return used() == 0.79 })
	assert.Zero(t, alarm())
	require.True(t, send(t, g, begin, c, us(1), "m2", 1, NotExempt).None())
	eventually(func() bool { return alarm() == 1 && count("run out") == 1 })
	for i := range 20 {
		require.True(t, send(t, g, begin, c, us(1), strconv.Itoa(i), 1, NotExempt).None())
	}
	eventually(func() bool { return used() == 1 })
	assert.Equal(t, LimitSegments, send(t, g, begin, c, us(1), "m3", 1, NotExempt).Limit)

	uncount(t, g, begin, "a", us(1), "m1", 79)
	eventually(func() bool { return alarm() == 0 && count("segments again") == 1 })
	require.True(t, send(t, g, begin, c, us(1), "m4", 79, NotExempt).None())
	eventually(func() bool { return count("run out") == 2 })
	cancel()
	require.NoError(t, <-done)
	assert.Equal(t, 1., alarm())
	assert.Equal(t, 3, count("\n"), "nothing else was said")
}

func TestWithoutALimitThereAreNoFigures(t *testing.T) {
	g := newGuards(t, connect(t), Policy{})
	require.NoError(t, g.Figures(t.Context()))
	assert.Zero(t, testutil.CollectAndCount(g.metrics.used))
	assert.Zero(t, testutil.CollectAndCount(g.metrics.alarm))
	g = newGuards(t, connect(t), Policy{SegmentsPerDay: 10})
	require.NoError(t, g.Figures(t.Context()))
	assert.Equal(t, 1, testutil.CollectAndCount(g.metrics.used))
}
