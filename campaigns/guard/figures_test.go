package guard

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.b.String(), what)
}

func TestTheAlarmComesAt80PercentAndIsWarnedOfOnce(t *testing.T) {
	log := &buffer{}
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
		require.Eventually(t, ready, 10*time.Second, time.Millisecond)
	}
	begin := time.Now()
	c := campaign("a", nil)
	require.True(t, send(t, g, begin, c, us(1), "m1", 79, NotExempt).None())
	eventually(func() bool { return used() == 0.79 })
	assert.Zero(t, alarm())
	require.True(t, send(t, g, begin, c, us(1), "m2", 1, NotExempt).None())
	eventually(func() bool { return alarm() == 1 && log.count("run out") == 1 })
	for i := range 20 {
		require.True(t, send(t, g, begin, c, us(1), strconv.Itoa(i), 1, NotExempt).None())
	}
	eventually(func() bool { return used() == 1 })
	assert.Equal(t, LimitSegments, send(t, g, begin, c, us(1), "m3", 1, NotExempt).Limit)

	uncount(t, g, begin, "a", us(1), "m1", 79)
	eventually(func() bool { return alarm() == 0 && log.count("segments again") == 1 })
	require.True(t, send(t, g, begin, c, us(1), "m4", 79, NotExempt).None())
	eventually(func() bool { return log.count("run out") == 2 })
	cancel()
	require.NoError(t, <-done)
	assert.Equal(t, 1., alarm())
	assert.Equal(t, 3, log.count("\n"), "nothing else was said")
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
