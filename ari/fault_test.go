package ari

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// Whatever comes on the stream, it is counted and nothing stops.
// A node that takes a command and never answers costs its owner the timeout
// and no more; one that refuses says why.
func TestCommandFaults(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	o := f.options(handle)
	c := newClient(t, o)
	run(t, c)
	f.come("one")
	ch := receive(t, calls)

	var status atomic.Int64
	release := make(chan struct{})
	f.set(func() {
		f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/ari/channels/") && !strings.HasPrefix(r.URL.Path, "/ari/playbacks/") {
				return false
			}
			if s := status.Load(); s != 0 {
				w.WriteHeader(int(s))
				_, _ = w.Write([]byte(`{"message":"` + strings.Repeat("no ", 1000) + `"}`))
			} else {
				<-release
			}
			return true
		}
	})
	verbs := map[string]func(context.Context) error{
		"answer":   ch.Answer,
		"play":     func(ctx context.Context) error { _, err := ch.Play(ctx, "sound:x"); return err },
		"stop":     func(ctx context.Context) error { return ch.Stop(ctx, "p") },
		"set":      func(ctx context.Context) error { return ch.Set(ctx, []string{"A"}, []string{"b"}) },
		"continue": ch.Continue,
		"hangup":   ch.Hangup,
		"variable": func(ctx context.Context) error { _, err := ch.Variable(ctx, "A"); return err },
	}
	began := time.Now()
	errs := make(chan error)
	for _, do := range verbs {
		go func() { errs <- do(t.Context()) }()
	}
	for range verbs {
		require.ErrorIs(t, <-errs, context.DeadlineExceeded)
	}
	require.Less(t, time.Since(began), 2*o.CommandTimeout)
	require.Greater(t, c.CommandLatency(), o.CommandTimeout/8)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	require.ErrorIs(t, ch.Answer(ctx), context.DeadlineExceeded)
	cancel()
	close(release)

	for _, s := range []int{500, 503, 400, 401, 302, 404, 409, 412} {
		status.Store(int64(s))
		for name, do := range verbs {
			err := do(t.Context())
			var refused *StatusError
			switch goneAway := s == 404 || s == 409 || s == 412; {
			case name == "stop" && goneAway:
				require.NoError(t, err, "it is over")
			default:
				require.ErrorAs(t, err, &refused)
				require.Equal(t, []any{name, s}, []any{refused.Command, refused.Status})
				require.Less(t, len(err.Error()), 400)
				require.Equal(t, goneAway, errors.Is(err, ErrGone), "%s %d", name, s)
			}
		}
	}
	require.Error(t, ch.Set(t.Context(), nil, nil))
	require.Error(t, ch.Set(t.Context(), []string{"A"}, nil))
	status.Store(503)
	f.set(func() { f.refuse = nil })
	require.NoError(t, ch.Answer(t.Context()))
}

func TestOverflow(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	o := f.options(handle)
	o.QueueSize = 3
	c := newClient(t, o)
	run(t, c)
	f.come("one")
	f.come("two")
	one, two := receive(t, calls), receive(t, calls)
	if one.ID() == "two" {
		one, two = two, one
	}
	for range 4 {
		f.send(event("ChannelDtmfReceived", "one"))
	}
	f.send(event("ChannelDtmfReceived", "two"))
	next[*arilib.ChannelDtmfReceived](t, two)
	for range 3 {
		next[*arilib.ChannelDtmfReceived](t, one)
	}
	require.ErrorIs(t, over(t, one), ErrOverflow)
	require.InDelta(t, 1, testutil.ToFloat64(c.m.dropped), 0)
	require.NoError(t, one.Continue(t.Context()))
	eventually(t, func() bool { return c.call("one") == nil }, "it has left")
	require.ErrorIs(t, one.Err(), ErrOverflow)
	require.Zero(t, testutil.ToFloat64(c.m.orphans))
}

// A short interruption costs a call nothing: what was missed is made up for.
func TestShortInterruption(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	o := f.options(handle)
	o.LostAfter = 5 * time.Second
	c := newClient(t, o)
	run(t, c)
	byID := map[string]*Channel{}
	for _, id := range []string{"stays", "leaves"} {
		f.come(id)
		byID[id] = receive(t, calls)
	}
	over := map[string]string{}
	for id, ch := range byID {
		playback, err := ch.Play(t.Context(), "sound:x")
		require.NoError(t, err)
		over[id] = playback
	}
	f.drop()
	f.leave("leaves")
	e := next[*arilib.PlaybackFinished](t, byID["stays"])
	require.Equal(t, []string{over["stays"], "done"}, []string{e.Playback.ID, e.Playback.State})
	next[*arilib.StasisEnd](t, byID["leaves"])
	require.NoError(t, drainEvents(byID["leaves"]))
	f.send(playbackEvent("stays", over["stays"], "done")) // late, after all
	f.send(event("ChannelDtmfReceived", "stays"))
	next[*arilib.ChannelDtmfReceived](t, byID["stays"])
	require.InDelta(t, 1, testutil.ToFloat64(c.m.repaired.WithLabelValues(eventPlayback)), 0)
	require.InDelta(t, 1, testutil.ToFloat64(c.m.repaired.WithLabelValues(eventEnd)), 0)
	require.InDelta(t, 1, testutil.ToFloat64(c.m.reconnects), 0)
	require.Zero(t, testutil.ToFloat64(c.m.orphans))
}

// An end that was missed while connected is found, too, and a start that is
// on its way is waited for.
func TestMissedAndLate(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	o := f.options(handle)
	o.Orphan = func(context.Context, Orphan) { t.Error("not an orphan") }
	c := newClient(t, o)
	run(t, c)
	f.come("one")
	ch := receive(t, calls)
	f.leave("one")
	next[*arilib.StasisEnd](t, ch)
	require.NoError(t, over(t, ch))

	f.set(func() { f.channels = append(f.channels, "late") })
	looks := f.asked("GET /applications")
	eventually(t, func() bool { return f.asked("GET /applications") > looks }, "a look")
	f.send(event("StasisStart", "late"))
	require.Equal(t, "late", receive(t, calls).ID())
	looks = f.asked("GET /applications")
	eventually(t, func() bool { return f.asked("GET /applications") > looks+3 }, "more looks")

	f.send(event("StasisStart", "late")) // its StasisEnd was missed
	ch = receive(t, calls)
	require.NoError(t, ch.Continue(t.Context()))
	next[*arilib.StasisEnd](t, ch)
}

func TestLost(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	o := f.options(handle)
	o.Orphan = func(context.Context, Orphan) { t.Error("it had an owner") }
	c := newClient(t, o)
	run(t, c)
	f.come("one")
	ch := receive(t, calls)
	f.set(func() {
		f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/ari/events" {
				return false
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
	})
	f.drop()
	began := time.Now()
	require.ErrorIs(t, over(t, ch), ErrSwitchLost)
	require.InDelta(t, o.LostAfter.Seconds(), time.Since(began).Seconds(), .15)
	require.False(t, c.Up())
	f.set(func() { f.refuse = nil })
	eventually(t, c.Up, "up again")
	require.NoError(t, ch.Continue(t.Context()), "commands work without the stream")
	eventually(t, func() bool { return c.call("one") == nil }, "it has left")
	require.Zero(t, testutil.ToFloat64(c.m.orphans))
}

func TestOrphan(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	orphans := make(chan Orphan, 10)
	o := f.options(handle)
	o.Orphan = func(_ context.Context, o Orphan) { orphans <- o; panic("on purpose") }
	c := newClient(t, o)
	var refusals atomic.Int64
	f.set(func() {
		f.channels = []string{"old"}
		f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/continue") || refusals.Add(1) > 2 {
				return false
			}
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
	})
	run(t, c)
	require.Equal(t, Orphan{
		Node: "fake", Channel: "old", Extension: "2", CallerNumber: "1",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
	}, receive(t, orphans))
	eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.channels) == 0 }, "let go")
	require.Equal(t, 3*maxPlaybacks, f.asked("DELETE /playbacks/deflectd.old."))
	require.Equal(t, 3, f.asked("POST /channels/old/variable"))
	require.Empty(t, orphans, "told once")
	require.InDelta(t, 1, testutil.ToFloat64(c.m.orphans), 0)
	f.come("new")
	require.Equal(t, "new", receive(t, calls).ID())
}

// The websocket is open and answers pings, and nothing comes through it.
func TestZombie(t *testing.T) {
	f := newFake(t)
	handle, _ := taken()
	c := newClient(t, f.options(handle))
	run(t, c)
	receive(t, f.sockets)
	f.set(func() { f.mute = true })
	eventually(t, func() bool { return !c.Up() }, "noticed")
	receive(t, f.sockets)
	f.set(func() { f.mute = false })
	eventually(t, c.Up, "up again")
}

func TestReplaced(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	c := newClient(t, f.options(handle))
	c.replacedFor = time.Second
	run(t, c)
	f.come("one")
	ch := receive(t, calls)
	f.send(`{"type":"ApplicationReplaced","application":"deflectd"}`)
	began := time.Now()
	require.ErrorIs(t, over(t, ch), ErrSwitchLost)
	require.False(t, c.Up())
	eventually(t, c.Up, "takes it back in the end")
	require.Greater(t, time.Since(began), 400*time.Millisecond)
}

func TestAsteriskRestarted(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	o := f.options(handle)
	o.LostAfter = time.Minute
	c := newClient(t, o)
	run(t, c)
	f.come("one")
	ch := receive(t, calls)
	f.leave("one")
	f.set(func() { f.started = f.started.Add(time.Hour) })
	f.drop()
	require.ErrorIs(t, over(t, ch), ErrSwitchLost)
	require.Nil(t, c.call("one"))
}

// The password is sent in the header alone and shows up nowhere.
// A Run that is told to end while nothing answers ends all the same, and says
// which calls it had to leave.
func TestStopWithoutAsterisk(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	release := make(chan struct{})
	entered := make(chan struct{})
	c := newClient(t, f.options(func(context.Context, *Channel) { close(entered); <-release }))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	eventually(t, c.Up, "up")
	f.come("one")
	<-entered
	f.set(func() {
		f.refuse = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	})
	cancel()
	began := time.Now()
	require.ErrorContains(t, <-ended, "1 calls did not end")
	require.InDelta(t, drainFor.Seconds(), time.Since(began).Seconds(), 2)
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
	require.Equal(t, "late", receive(t, orphans).Channel)
	require.Equal(t, 1, f.asked("POST /channels/late/continue"))
}
