package optout

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

func startList(t *testing.T) (l *List, r *lab.Redis, log *labtest.Log) {
	t.Helper()
	r, err := lab.StartRedis(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Stop() })
	log = new(labtest.Log)
	l = newList(labtest.Dial(t, r, labtest.Patience), func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	return l, r, log
}

// run runs a list until the function it answers is called.
func run(t *testing.T, l *List) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func TestWhatCannotBeWrittenNowIsWrittenLater(t *testing.T) {
	l, r, log := startList(t)
	require.NoError(t, r.Kill())
	l.Later(Entry{Number: number(1), Source: Keypress})
	run(t, l)
	l.Later(Entry{Number: number(2), Source: Keypress})
	l.Later(Entry{Number: number(2), Source: Keypress})
	require.Eventually(t, func() bool { return bytes.Contains([]byte(log.String()), []byte("cannot be written yet")) },
		time.Minute, 5*time.Millisecond)
	require.NoError(t, r.Restart(t.Context()))
	require.Eventually(t, func() bool {
		found, _, err := l.List(t.Context(), Query{})
		return err == nil && len(found) == 2
	}, time.Minute, 20*time.Millisecond)
	assert.NotContains(t, log.String(), number(1)[1:])
}

// Until it is written, this process knows of it; and when Redis is back it is
// written soon, however long Redis was away.
func TestWhatWaitsIsKnown(t *testing.T) {
	l, r, log := startList(t)
	assert.False(t, l.Waiting(number(1)))
	require.NoError(t, r.Kill())
	run(t, l)
	l.Later(Entry{Number: number(1), Source: Keypress})
	assert.True(t, l.Waiting(number(1)))
	assert.False(t, l.Waiting(number(2)))
	require.Eventually(t, func() bool { return bytes.Contains([]byte(log.String()), []byte("cannot be written yet")) },
		time.Minute, 5*time.Millisecond)
	require.NoError(t, r.Restart(t.Context()))
	require.Eventually(t, func() bool { return !l.Waiting(number(1)) }, time.Minute, time.Millisecond)
	_, err := l.Get(t.Context(), number(1))
	require.NoError(t, err, "what waits no more is written")
	assert.LessOrEqual(t, retryMax, 250*time.Millisecond)
}

func TestAtTheEndItIsTriedOnceMore(t *testing.T) {
	l, _, log := startList(t)
	stop := run(t, l)
	l.Later(Entry{Number: number(1), Source: Keypress})
	stop()
	_, err := l.Get(t.Context(), number(1))
	require.NoError(t, err)
	assert.Empty(t, log.String())
}

func TestWhatIsLostIsLoggedWithoutTheNumber(t *testing.T) {
	l, r, log := startList(t)
	l.o.StoreTimeout = 100 * time.Millisecond
	stop := run(t, l)
	require.NoError(t, r.Freeze())
	t.Cleanup(func() { _ = r.Thaw() })
	l.Later(Entry{Number: number(1), Source: Keypress})
	l.Later(Entry{Number: number(2), Source: Keypress})
	stop()
	assert.Contains(t, log.String(), "opt-outs are lost")
	assert.Contains(t, log.String(), "count=2")

	l.Later(Entry{Number: number(3), Source: Keypress})
	assert.Contains(t, log.String(), "an opt-out is lost")
	for i := range 3 {
		assert.True(t, l.Waiting(number(i+1)), "it is known for as long as the process lives")
	}
	l.Later(Entry{Number: "call 4155550132", Source: Keypress})
	assert.Contains(t, log.String(), "not valid")
	assert.NotContains(t, log.String(), "415555")
}

func TestWhatWaitsIsBounded(t *testing.T) {
	l, _, log := startList(t)
	for i := range maxWaiting {
		l.Later(Entry{Number: number(i), Source: Keypress})
	}
	assert.Empty(t, log.String())
	l.Later(Entry{Number: number(7), Source: Keypress}) // waits already
	assert.Empty(t, log.String())
	l.Later(Entry{Number: "+442079460000", Source: Keypress})
	assert.Contains(t, log.String(), "an opt-out is lost")
	assert.Len(t, l.waiting, maxWaiting)
}
