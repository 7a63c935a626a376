package ari

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/ari/aritest"
)

// A Run that is told to end while nothing answers ends all the same, and says
// which calls it had to leave.
func TestStopWithoutAsterisk(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	release := make(chan struct{})
	entered := make(chan struct{})
	o := f.options(func(context.Context, *Channel) { close(entered); <-release })
	o.CommandTimeout = 2 * time.Second
	c := newClient(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	eventually(t, c.Up, "up")
	f.come("one")
	<-entered
	f.set(func() {
		f.refuse = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	})
	began := time.Now()
	cancel()
	err := <-ended
	require.ErrorContains(t, err, "1 calls did not end")
	require.ErrorContains(t, err, "1 calls could not be let go")
	require.GreaterOrEqual(t, time.Since(began), drainFor)
	require.Less(t, time.Since(began), drainFor+10*time.Second)
	close(release)
	eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.running == 0 }, "ended")
}

// A channel that enters while Run is ending has no Handle any more: it is let
// go after the websocket is closed.
func TestSweep(t *testing.T) {
	f := newFake(t)
	handle, _ := taken()
	orphans := make(chan Orphan, 1)
	o := f.options(handle)
	o.Poll = time.Minute
	o.Orphan = func(_ context.Context, o Orphan) { orphans <- o }
	c := newClient(t, o)
	stop := run(t, c)
	f.set(func() { f.channels = []string{"late"} })
	stop()
	late := receive(t, orphans)
	require.Equal(t, "late", late.Channel)
	require.True(t, late.Stopping)
	require.True(t, f.inDialplan("late"))
}

// What cannot be let go at the end is told of, by its number.
func TestSweepFails(t *testing.T) {
	f := newFake(t)
	handle, _ := taken()
	o := f.options(handle)
	o.Poll = time.Minute
	orphans := make(chan Orphan, 3)
	o.Orphan = func(_ context.Context, o Orphan) { orphans <- o }
	c := newClient(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	eventually(t, c.Up, "up")
	f.set(func() {
		f.channels = []string{"a", "b", "c"}
		f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/continue") || strings.Contains(r.URL.Path, "/c/") {
				return false
			}
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
	})
	cancel()
	require.ErrorContains(t, <-ended, "node fake: 2 calls could not be let go")
	require.Equal(t, "c", receive(t, orphans).Channel)
	require.Empty(t, orphans, "the others were not let go")
}

// Calls that come while Run is ending do not keep it from that, and are not
// counted against it.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	entered := make(chan string, 100)
	release := map[string]chan struct{}{"early": make(chan struct{}), "late": make(chan struct{})}
	c := newClient(t, f.options(func(_ context.Context, ch *Channel) {
		entered <- ch.ID()
		<-release[ch.ID()]
	}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	eventually(t, c.Up, "up")
	f.come("early")
	require.Equal(t, "early", receive(t, entered))
	cancel()
	eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.stopping }, "stopping")
	f.come("late")
	require.Equal(t, "late", receive(t, entered))
	close(release["early"])
	eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.closing }, "takes no more")
	f.come("too late")
	require.NoError(t, <-ended, "the late one is let go, and no failure")
	require.True(t, f.inDialplan("late"))
	require.True(t, f.inDialplan("too late"))
	require.Empty(t, entered)
	close(release["late"])
	eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.running == 0 }, "ended")
}

// A websocket whose other end does not close it is cut, sooner than the library
// would.
func TestFarewell(t *testing.T) {
	const library = 5 * time.Second // is how long that waits
	cut := func(t *testing.T, stop func()) {
		t.Helper()
		began := time.Now()
		stop()
		require.GreaterOrEqual(t, time.Since(began), closeWithin)
		require.Less(t, time.Since(began), library)
	}
	t.Run("nothing is read", func(t *testing.T) {
		f := newFake(t)
		f.deaf = true
		handle, _ := taken()
		c := newClient(t, f.options(handle))
		cut(t, run(t, c))
	})
	t.Run("events go on", func(t *testing.T) {
		f := newFake(t)
		f.deaf = true
		handle, _ := taken()
		c := newClient(t, f.options(handle))
		stop := run(t, c)
		var quiet atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !quiet.Load() {
				f.send(event("ChannelVarset", "nobody"))
			}
		}()
		cut(t, stop)
		quiet.Store(true)
		<-done
	})
	t.Run("Asterisk is frozen", func(t *testing.T) {
		srv := aritest.New()
		defer srv.Close()
		c := newClient(t, Options{
			Name: "frozen", URL: srv.URL, Username: srv.Username, Password: srv.Password, Application: "deflectd",
			Handle: func(context.Context, *Channel) {},
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		eventually(t, c.Up, "up")
		srv.Freeze()
		began := time.Now()
		cancel()
		require.ErrorContains(t, <-ended, "which calls are left is not known")
		require.Less(t, time.Since(began), library+DefaultCommandTimeout)
	})
}
