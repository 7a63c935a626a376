package ari

import (
	"context"
	"log/slog"
	"testing"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	c, err := New(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// run starts a client and waits until it is up. The function it returns ends
// it and may be called twice.
func run(t *testing.T, c *Client) (stop func()) {
	t.Helper()
	stop = start(t, c)
	require.Eventually(t, c.Up, time.Minute, 5*time.Millisecond)
	return stop
}

func start(t *testing.T, c *Client) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx); close(ended) }()
	stop = func() { cancel(); assert.NoError(t, <-ended) }
	t.Cleanup(stop)
	return stop
}

// next takes the next event of a call, of the type wanted.
func next[E arilib.Event](t *testing.T, ch *Channel) E {
	t.Helper()
	var none E
	select {
	case e, ok := <-ch.Events():
		require.True(t, ok, "events are over (%v), want %T", ch.Err(), none)
		require.IsType(t, none, e)
		return e.(E)
	case <-time.After(time.Minute):
		require.FailNow(t, "no event", "want %T", none)
	}
	return none
}

func over(t *testing.T, ch *Channel) error {
	t.Helper()
	select {
	case e, ok := <-ch.Events():
		require.False(t, ok, "unexpected event %T", e)
	case <-time.After(time.Minute):
		require.FailNow(t, "events go on")
	}
	return ch.Err()
}

// taken is a Handle that hands its calls to the test, and ends with them.
func taken() (func(context.Context, *Channel), chan *Channel) {
	calls := make(chan *Channel, 100)
	return func(ctx context.Context, ch *Channel) {
		calls <- ch
		select {
		case <-ch.left:
		case <-ctx.Done():
		}
	}, calls
}

// receive takes what another goroutine hands over.
func receive[T any](t *testing.T, from <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(time.Minute):
		require.FailNow(t, "nothing came", "want %T", got)
	}
	return got
}

// eventually waits for something that other goroutines do.
func eventually(t *testing.T, what func() bool, why string) {
	t.Helper()
	require.Eventually(t, what, time.Minute, time.Millisecond, why)
}
