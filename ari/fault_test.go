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

// A node that takes a command and never answers costs its owner the timeout
// and no more; one that refuses says why.
func TestCommandFaults(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	o := f.options(handle)
	o.CommandTimeout, o.Poll = 2*time.Second, time.Minute // so that no other command has a latency
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
	require.Less(t, time.Since(began), 5*o.CommandTimeout, "none waits for the others")
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
	c := newClient(t, f.options(handle))
	run(t, c)
	byID := map[string]*Channel{}
	for _, id := range []string{"stays", "leaves", "moves"} {
		f.come(id)
		byID[id] = receive(t, calls)
	}
	over := map[string]string{}
	for id, ch := range byID {
		playback, err := ch.Play(t.Context(), "sound:x")
		require.NoError(t, err)
		over[id] = playback
	}
	f.set(func() { // all at once: the client is not to look in between
		_ = f.ws.CloseNow()
		f.channels, f.dialplan["moves"] = []string{"stays"}, true
	})
	e := next[*arilib.PlaybackFinished](t, byID["stays"])
	require.Equal(t, []string{over["stays"], "done"}, []string{e.Playback.ID, e.Playback.State})
	next[*arilib.ChannelHangupRequest](t, byID["leaves"])
	next[*arilib.StasisEnd](t, byID["leaves"])
	require.NoError(t, drainEvents(byID["leaves"]))
	next[*arilib.StasisEnd](t, byID["moves"])
	require.NoError(t, drainEvents(byID["moves"]))
	f.send(playbackEvent("stays", over["stays"], "done")) // late, after all
	f.send(event("ChannelDtmfReceived", "stays"))
	next[*arilib.ChannelDtmfReceived](t, byID["stays"])
	require.InDelta(t, 1, testutil.ToFloat64(c.m.repaired.WithLabelValues(eventPlayback)), 0)
	eventually(t, func() bool { return testutil.ToFloat64(c.m.repaired.WithLabelValues(eventEnd)) == 2 }, "counted")
	eventually(t, func() bool { return testutil.ToFloat64(c.m.reconnects) == 1 }, "counted")
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
	var asked atomic.Int64
	f.set(func() { // it cannot be said at once what became of it
		f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/ari/channels/one" || asked.Add(1) > 2 {
				return false
			}
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
	})
	f.leave("one")
	next[*arilib.ChannelHangupRequest](t, ch)
	next[*arilib.StasisEnd](t, ch)
	require.NoError(t, over(t, ch))

	var seen atomic.Int64
	f.set(func() { // its start is sent when it is looked at for the second time
		f.refuse = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/ari/applications/deflectd" {
				switch seen.Add(1) {
				case 1:
					f.set(func() { f.channels = append(f.channels, "late") })
				case 2:
					f.send(event("StasisStart", "late"))
				}
			}
			return false
		}
	})
	require.Equal(t, "late", receive(t, calls).ID())
	looks := f.asked("GET /applications")
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
	o.LostAfter = 200 * time.Millisecond
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
	c.latency.Store(int64(time.Minute))
	began := time.Now()
	f.drop()
	require.ErrorIs(t, over(t, ch), ErrSwitchLost)
	require.GreaterOrEqual(t, time.Since(began), o.LostAfter)
	require.Less(t, time.Since(began), 10*time.Second)
	require.False(t, c.Up())
	require.Zero(t, c.CommandLatency(), "a node that is away slows nobody down")
	f.set(func() { f.refuse = nil })
	eventually(t, c.Up, "up again")
	require.Less(t, c.CommandLatency(), o.CommandTimeout)
	require.NoError(t, ch.Continue(t.Context()), "commands work without the stream")
	eventually(t, func() bool { return c.call("one") == nil }, "it has left")
	require.Zero(t, testutil.ToFloat64(c.m.orphans))
}

func TestAsteriskRestarted(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	o := f.options(handle)
	o.LostAfter = 2 * time.Minute // longer than is waited for the end
	c := newClient(t, o)
	run(t, c)
	f.come("one")
	ch := receive(t, calls)
	f.set(func() { // all at once: the client is not to look in between
		_ = f.ws.CloseNow()
		f.channels, f.started = nil, f.started.Add(time.Hour)
	})
	require.ErrorIs(t, over(t, ch), ErrSwitchLost)
	require.Nil(t, c.call("one"))
}
