package ari

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/deploy/lab"
)

// The calls of these tests are Local channels: one half is the caller, the
// other runs through this dialplan.
const tryDialplan = `
[try]
exten => _X!,1,Set(CALLERID(rdnis)=+14155550999)
 same => n,Stasis(${DEFLECTD_APPLICATION},dnis=${EXTEN},ani=${FILTER(0-9+,${CALLERID(num)})})
 same => n,Set(LET_GO=${STASISSTATUS})
 same => n,Wait(20)
[twice]
exten => _X!,1,Stasis(${DEFLECTD_APPLICATION},first)
 same => n,Stasis(${DEFLECTD_APPLICATION},second)
 same => n,Wait(20)
[caller]
exten => s,1,Wait(60)
`

const application = "deflectd-try" // with a dash, as several daemons have

func startAsterisk(t *testing.T) *lab.Asterisk {
	t.Helper()
	a, err := lab.StartAsterisk(t.Context(), lab.AsteriskOptions{
		Dir: t.TempDir(), Dialplan: tryDialplan, Application: application,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, a.Stop())
		if t.Failed() {
			t.Log(a.Logs())
		}
	})
	return a
}

var callNumber atomic.Int64

// place calls a context of the dialplan and returns the ids of the channel
// there and of the caller.
func place(t *testing.T, c *Client, dialplan string) (channel, caller string) {
	t.Helper()
	n := callNumber.Add(1)
	caller, channel = fmt.Sprintf("caller %d", n), fmt.Sprintf("call/%d %%;ü", n)
	q := url.Values{
		"endpoint": {"Local/100@" + dialplan + "/n"}, "context": {"caller"}, "extension": {"s"}, "priority": {"1"},
		"callerId": {`"Ann, dnis=1" <+14155550123>`}, "channelId": {caller}, "otherChannelId": {channel},
	}
	require.NoError(t, c.command(t.Context(), verbChannel, http.MethodPost, "/channels?"+q.Encode(), nil))
	return channel, caller
}

func realOptions(a *lab.Asterisk, handle func(context.Context, *Channel)) Options {
	return Options{
		Name: "pbx", URL: a.ARIURL, Username: a.Username, Password: a.Password, Application: application,
		Logger: slog.New(slog.DiscardHandler), Poll: time.Second, Handle: handle,
		CommandTimeout: 10 * time.Second, // what is late on a busy machine is not lost
	}
}

// variable reads a variable of a channel wherever it is.
func variable(t *testing.T, c *Client, channel, name string) string {
	t.Helper()
	v, err := c.newChannel(channel, Start{}, 0).Variable(t.Context(), name)
	require.NoError(t, err)
	return v
}

// playing tells whether a playback has begun to be heard.
func playing(t *testing.T, c *Client, id string) func() bool {
	return func() bool {
		var said struct{ State string }
		require.NoError(t, c.command(t.Context(), verbPlayback, http.MethodGet, "/playbacks/"+url.PathEscape(id), &said))
		return said.State == "playing"
	}
}

func letGoStatus(t *testing.T, c *Client, channel string) func() bool {
	return func() bool { return variable(t, c, channel, "LET_GO") == "SUCCESS" }
}

func TestRealCall(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t)
	handle, calls := taken()
	c := newClient(t, realOptions(a, handle))
	run(t, c)
	ctx := t.Context()

	info, err := c.Info(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, info.Version)
	require.WithinDuration(t, time.Now(), info.Started, time.Minute)

	t.Run("let go with variables", func(t *testing.T) {
		channel, _ := place(t, c, "try")
		ch := receive(t, calls)
		require.Equal(t, channel, ch.ID())
		start := ch.Start()
		require.WithinDuration(t, time.Now(), start.Created, time.Minute)
		start.Created = time.Time{}
		require.Equal(t, Start{
			Args: []string{"dnis=100", "ani=+14155550123"}, Extension: "100",
			CallerNumber: "+14155550123", RDNIS: "+14155550999",
		}, start)
		require.NoError(t, ch.Answer(ctx))
		require.NoError(t, ch.Answer(ctx), "twice")

		names := []string{"DEFLECTD_TRANSFER", "A", "B", "C", "D", "E", "F", "G", "H"}
		values := []string{
			"agents,100,1", "", `a "quoted" one, and \ back\\slash`, "100% ümlaut €", " spaces ",
			"(open [and", "|pipe|${EXTEN};&=+#", "", strings.Repeat(`x,"`, 1500),
		}
		require.NoError(t, ch.Set(ctx, names, values))
		require.NoError(t, ch.Set(ctx, []string{"ONE"}, []string{`1,"2"\`}))
		for i, name := range names {
			got, err := ch.Variable(ctx, name)
			require.NoError(t, err)
			require.Equal(t, values[i], got, name)
		}
		require.NoError(t, ch.Set(ctx, []string{"Y", "Z"}, []string{"y", ""}))
		require.Equal(t, `1,"2"\`, variable(t, c, channel, "ONE"))
		got, err := ch.Variable(ctx, "CALLERID(num)")
		require.NoError(t, err)
		require.Equal(t, "+14155550123", got)
		got, err = ch.Variable(ctx, "NEVER_SET")
		require.NoError(t, err)
		require.Empty(t, got)

		require.NoError(t, ch.Continue(ctx))
		next[*arilib.StasisEnd](t, ch)
		require.NoError(t, over(t, ch))
		require.Eventually(t, letGoStatus(t, c, channel), time.Minute, time.Millisecond)
		require.Equal(t, "agents,100,1", variable(t, c, channel, "DEFLECTD_TRANSFER"))
		require.ErrorIs(t, ch.Answer(ctx), ErrGone, "in the dialplan")
		require.ErrorIs(t, ch.Continue(ctx), ErrGone)
		require.NoError(t, ch.Hangup(ctx), "hanging up works anywhere")
		require.Eventually(t, func() bool { return isGone(ch.Hangup(ctx)) }, time.Minute, 10*time.Millisecond)
		_, err = ch.Variable(ctx, "NEVER_SET")
		require.ErrorIs(t, err, ErrGone)
		require.ErrorIs(t, ch.Set(ctx, []string{"A", "B"}, []string{"", ""}), ErrGone)
		_, err = ch.Play(ctx, lab.SoundSecond)
		require.ErrorIs(t, err, ErrGone)
	})

	t.Run("playbacks", func(t *testing.T) {
		_, caller := place(t, c, "try")
		ch := receive(t, calls)
		require.NoError(t, ch.Answer(ctx))
		began := time.Now()
		id, err := ch.Play(ctx, lab.SoundSecond, lab.SoundSecond)
		require.NoError(t, err)
		e := next[*arilib.PlaybackFinished](t, ch)
		require.Equal(t, id, e.Playback.ID)
		require.Equal(t, "done", e.Playback.State)
		require.Greater(t, time.Since(began), 1900*time.Millisecond, "two sounds of a second")

		id, err = ch.Play(ctx, "sound:not-there")
		require.NoError(t, err)
		e = next[*arilib.PlaybackFinished](t, ch)
		require.Equal(t, []string{id, "failed"}, []string{e.Playback.ID, e.Playback.State})

		for range 2 * maxPlaybacks { // ids are used again
			id, err = ch.Play(ctx, lab.SoundMinute)
			require.NoError(t, err)
			require.NoError(t, ch.Stop(ctx, id))
			e = next[*arilib.PlaybackFinished](t, ch)
			require.Equal(t, id, e.Playback.ID)
		}
		require.NoError(t, ch.Stop(ctx, id), "over already")

		id, err = ch.Play(ctx, lab.SoundMinute)
		require.NoError(t, err)
		eventually(t, playing(t, c, id), "it may end without an event before it plays")
		require.NoError(t, c.newChannel(caller, Start{}, 0).Hangup(ctx))
		next[*arilib.ChannelHangupRequest](t, ch)
		require.Equal(t, "failed", next[*arilib.PlaybackFinished](t, ch).Playback.State)
		next[*arilib.StasisEnd](t, ch)
		require.NoError(t, over(t, ch))
	})

	t.Run("the same channel again", func(t *testing.T) {
		channel, _ := place(t, c, "twice")
		for _, arg := range []string{"first", "second"} {
			ch := receive(t, calls)
			require.Equal(t, channel, ch.ID())
			require.Equal(t, []string{arg}, ch.Start().Args)
			require.NoError(t, ch.Continue(ctx))
			next[*arilib.StasisEnd](t, ch)
			require.NoError(t, over(t, ch))
		}
	})
	require.Zero(t, testutil.ToFloat64(c.m.orphans))
	require.Zero(t, testutil.ToFloat64(c.m.repaired.WithLabelValues(eventEnd)))
	require.Zero(t, testutil.ToFloat64(c.m.malformed))
	require.Positive(t, c.CommandLatency())
}

func isGone(err error) bool { return gone(err) }

// A call whose Handle is over and that is still there, in a long prompt, is
// let go; so is that of a Handle that panics.
func TestRealLeftovers(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t)
	var panics atomic.Bool
	o := realOptions(a, func(ctx context.Context, ch *Channel) {
		assert.NoError(t, ch.Answer(ctx))
		_, err := ch.Play(ctx, lab.SoundMinute)
		assert.NoError(t, err)
		if panics.Load() {
			panic("on purpose")
		}
	})
	o.Orphan = func(context.Context, Orphan) { t.Error("it has an owner") }
	c := newClient(t, o)
	run(t, c)
	channel, _ := place(t, c, "try")
	require.Eventually(t, letGoStatus(t, c, channel), time.Minute, 10*time.Millisecond)
	require.Empty(t, variable(t, c, channel, "DEFLECTD_OUTCOME"))

	panics.Store(true)
	channel, _ = place(t, c, "try")
	require.Eventually(t, letGoStatus(t, c, channel), time.Minute, 10*time.Millisecond)
	require.Equal(t, "failed", variable(t, c, channel, "DEFLECTD_OUTCOME"))
	require.Equal(t, "internal", variable(t, c, channel, "DEFLECTD_REASON"))
	eventually(t, func() bool { return testutil.ToFloat64(c.m.leftovers) == 2 }, "it has heard of it itself")
}

// Without the module that has ARRAY no variables are set, and calls are let go
// all the same.
func TestRealWithoutArray(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t)
	handle, calls := taken()
	c := newClient(t, realOptions(a, handle))
	run(t, c)
	out, err := a.CLI(t.Context(), "module unload func_strings.so")
	require.NoError(t, err, out)
	channel, _ := place(t, c, "try")
	ch := receive(t, calls)
	require.NoError(t, ch.Set(t.Context(), []string{"A", "B"}, []string{"1", "2"}))
	require.Empty(t, variable(t, c, channel, "B"))
	require.NoError(t, ch.Set(t.Context(), []string{"B"}, []string{"2"}))
	require.Equal(t, "2", variable(t, c, channel, "B"))
	require.NoError(t, ch.Continue(t.Context()))
	require.Eventually(t, letGoStatus(t, c, channel), time.Minute, 10*time.Millisecond)
}

// A client that takes an application over finds the calls of the one before,
// deep in a prompt, and lets them go; the one before gives them up.
func TestRealOrphans(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t)
	handle, calls := taken()
	first := newClient(t, realOptions(a, handle))
	run(t, first)
	const n = 20
	ids := map[string]bool{}
	for range n {
		channel, _ := place(t, first, "try")
		ids[channel] = true
	}
	owned := make([]*Channel, n)
	for i := range owned {
		owned[i] = receive(t, calls)
		require.NoError(t, owned[i].Answer(t.Context()))
		_, err := owned[i].Play(t.Context(), lab.SoundMinute)
		require.NoError(t, err)
	}

	orphans := make(chan Orphan, 100)
	o := realOptions(a, func(context.Context, *Channel) { t.Error("no call starts") })
	o.Orphan = func(_ context.Context, o Orphan) { orphans <- o }
	second := newClient(t, o)
	stop := run(t, second)
	unasked := 0
	for range n {
		o := receive(t, orphans)
		require.True(t, ids[o.Channel])
		if o.Presentation == "" { // there was no time to ask for it, on a busy machine
			unasked++
			o.Presentation = "allowed_not_screened"
		}
		delete(ids, o.Channel)
		require.WithinDuration(t, time.Now(), o.Created, time.Minute)
		require.Equal(t, Orphan{
			Node: "pbx", Channel: o.Channel, Args: []string{"dnis=100", "ani=+14155550123"},
			Extension: "100", CallerNumber: "+14155550123", RDNIS: "+14155550999",
			Presentation: "allowed_not_screened", Created: o.Created,
		}, o)
		require.Eventually(t, letGoStatus(t, second, o.Channel), time.Minute, 10*time.Millisecond)
		require.Equal(t, "orphaned", variable(t, second, o.Channel, "DEFLECTD_REASON"))
	}
	require.Less(t, unasked, n/2)
	require.InDelta(t, n, testutil.ToFloat64(second.m.orphans), 0)
	eventually(t, func() bool { return !first.Up() }, "it was told that it is replaced")
	for _, ch := range owned {
		require.ErrorIs(t, drainEvents(ch), ErrSwitchLost)
	}
	stop()
	require.Eventually(t, first.Up, time.Minute, 10*time.Millisecond, "the other has gone")
	require.Empty(t, orphans)
}

// drainEvents waits for the end of a call's events.
func drainEvents(ch *Channel) error {
	for range ch.Events() {
	}
	return ch.Err()
}

func TestRealRestart(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t)
	handle, calls := taken()
	c := newClient(t, realOptions(a, handle))
	run(t, c)
	place(t, c, "try")
	ch := receive(t, calls)
	require.NoError(t, a.Kill())
	require.NoError(t, a.Restart(t.Context()))
	require.ErrorIs(t, drainEvents(ch), ErrSwitchLost)
	require.Eventually(t, c.Up, time.Minute, 10*time.Millisecond)
	eventually(t, func() bool { return testutil.ToFloat64(c.m.reconnects) == 1 }, "counted")
	place(t, c, "try")
	require.NoError(t, receive(t, calls).Continue(t.Context()))
}

// A call that comes while the client is being stopped is not left behind.
func TestRealStop(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t)
	stopping := make(chan struct{})
	o := realOptions(a, func(ctx context.Context, ch *Channel) {
		<-ctx.Done()
		close(stopping)
		time.Sleep(300 * time.Millisecond) // events and commands still work
		assert.NoError(t, ch.Continue(context.WithoutCancel(ctx)))
		_, ok := (<-ch.Events()).(*arilib.StasisEnd)
		assert.True(t, ok)
	})
	c := newClient(t, o)
	stop := run(t, c)
	channel, _ := place(t, c, "try")
	require.Eventually(t, func() bool { return c.call(channel) != nil }, time.Minute, time.Millisecond)
	began := time.Now()
	stop()
	<-stopping
	require.Less(t, time.Since(began), drainFor)
	require.False(t, c.Up())
	require.Eventually(t, letGoStatus(t, c, channel), time.Minute, 10*time.Millisecond)

	// Now nobody is there: the dialplan goes on at once.
	channel, _ = place(t, c, "try")
	require.Eventually(t, func() bool { return variable(t, c, channel, "LET_GO") == "FAILED" }, time.Minute, time.Millisecond)
}
