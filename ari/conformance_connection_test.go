package ari_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/ari"
)

// eventStream sees all events, as they come without a filter.
func eventStream(r *rig) {
	l := r.listen("deflectd")
	r.dial(caller{number: "1", dnis: "18005550100"})
	e, _ := r.await(l, "StasisStart")
	channel := "/channels/" + e.Channel.ID
	require.Equal(r.t, 204, r.ask("POST", channel+"/answer", "").status)
	require.Equal(r.t, 201, r.ask("POST", channel+"/play?media="+minute+"&playbackId=p1", "").status)
	// For a moment after it has begun to play it cannot be stopped.
	r.until("the playback is stopped", func() bool { return r.ask("DELETE", "/playbacks/p1", "").status == 204 })
	require.Equal(r.t, 204, r.ask("POST", channel+"/variable?variable=ARRAY(A,B)&value=1,2", "").status)
	require.Equal(r.t, 204, r.ask("POST", channel+"/continue", "").status)
	_, before := r.await(l, "StasisEnd")
	// Whether the playback had begun when it was stopped is a matter of luck.
	if before[1] == "PlaybackFinished" {
		before = append(before[:1:1], append([]string{"PlaybackStarted"}, before[1:]...)...)
	}
	assert.Equal(r.t, []string{
		"ChannelStateChange", "PlaybackStarted", "PlaybackFinished", "ChannelVarset", "ChannelVarset",
	}, before)

	p := r.dial(caller{number: "2", dnis: "18005550101"})
	e, _ = r.await(l, "StasisStart")
	require.Equal(r.t, 204, r.ask("POST", "/channels/"+e.Channel.ID+"/answer", "").status)
	r.ok(p.waitAnswered)
	p.press("5")
	e, _ = r.await(l, "ChannelDtmfReceived")
	assert.Equal(r.t, "5", e.Digit)
	p.hangup()
	_, before = r.await(l, "StasisEnd")
	assert.Equal(r.t, []string{
		"ChannelVarset", "ChannelVarset", "ChannelVarset", "ChannelVarset", "ChannelVarset", "ChannelHangupRequest",
	}, before)
}

func unsupportedScheme(r *rig) {
	l := r.listen("deflectd")
	r.dial(caller{number: "1", dnis: "18005550100"})
	e, _ := r.await(l, "StasisStart")
	channel := "/channels/" + e.Channel.ID
	require.Equal(r.t, 201, r.ask("POST", channel+"/play?media=nonsense:x&playbackId=never", "").status)
	require.Equal(r.t, 201, r.ask("POST", channel+"/play?media="+second+"&playbackId=next", "").status)
	e, _ = r.await(l, "PlaybackFinished")
	assert.Equal(r.t, "next", e.Playback.ID, "the other one never ends")
	assert.Equal(r.t, 404, r.ask("GET", "/playbacks/never", "").status)
}

func playbackIDTwice(r *rig) {
	l := r.listen("deflectd")
	r.dial(caller{number: "1", dnis: "18005550100"})
	e, _ := r.await(l, "StasisStart")
	for range 2 {
		require.Equal(r.t, 201, r.ask("POST", "/channels/"+e.Channel.ID+"/play?media="+second+"&playbackId=twin", "").status)
	}
	for range 2 {
		e, _ = r.await(l, "PlaybackFinished")
		assert.Equal(r.t, "twin", e.Playback.ID)
		assert.Equal(r.t, "done", e.Playback.State)
	}
}

func eventFilter(r *rig) {
	l := r.listen("deflectd")
	only := `{"allowed":[{"type":"StasisStart"},{"type":"StasisEnd"},{"type":"ApplicationReplaced"}]}`
	require.Equal(r.t, 200, r.ask("PUT", "/applications/deflectd/eventFilter", only).status)
	pass := func() {
		p := r.dial(caller{number: "1", dnis: "18005550100"})
		e, before := r.await(l, "StasisStart")
		require.Empty(r.t, before)
		require.Equal(r.t, 204, r.ask("POST", "/channels/"+e.Channel.ID+"/answer", "").status)
		r.ok(p.waitAnswered)
		p.hangup()
		_, before = r.await(l, "StasisEnd")
		require.Empty(r.t, before)
	}
	pass()
	// It stays with the application when another websocket takes over.
	former := l
	l = r.listen("deflectd")
	_, before := r.await(former, "ApplicationReplaced")
	require.Empty(r.t, before)
	pass()
	require.Equal(r.t, 200, r.ask("PUT", "/applications/deflectd/eventFilter",
		`{"disallowed":[{"type":"StasisEnd"}]}`).status)
	require.Equal(r.t, 200, r.ask("PUT", "/applications/deflectd/eventFilter", "[]").status)
	require.Equal(r.t, 204, r.ask("POST", "/events/user/hello?application=deflectd", "").status)
	r.await(l, "ChannelUserevent")
	// It goes when nobody holds the application any more.
	require.Equal(r.t, 200, r.ask("PUT", "/applications/deflectd/eventFilter", only).status)
	r.until("the channels are gone", func() bool { return r.ask("GET", "/channels", "").body == "[]" })
	_ = l.conn.CloseNow()
	r.until("the application is gone", func() bool { return r.ask("GET", "/applications/deflectd", "").status == 404 })
	r.listen("deflectd")
	assert.Contains(r.t, r.ask("GET", "/applications/deflectd", "").body, `"events_allowed":[]`)
}

// callers says where all channels are, as place does, by who calls.
func (r *rig) callers() map[string]string {
	r.t.Helper()
	var channels []struct {
		channelAt
		Caller struct{ Number string }
	}
	require.NoError(r.t, json.Unmarshal([]byte(r.ask("GET", "/channels", "").body), &channels))
	all := map[string]string{}
	for _, c := range channels {
		all[c.Caller.Number] = c.place()
	}
	return all
}

// callerLands waits until a caller is at one of the places, and says at which.
func (r *rig) callerLands(number string, places ...string) (place string) {
	r.t.Helper()
	r.until(fmt.Sprintf("the call of %s is at %v", number, places), func() bool {
		place = r.callers()[number]
		return slices.Contains(places, place)
	})
	return place
}

func applicationNotThere(r *rig) {
	p := r.dial(caller{number: "49171", dnis: "18005550100"})
	r.callerLands("49171", "ivr")
	p.hangup()
	// An application that only a channel still holds takes no calls either.
	l := r.listen("deflectd")
	r.dial(caller{number: "49172", dnis: "18005550100"})
	r.await(l, "StasisStart")
	_ = l.conn.CloseNow()
	// A call that comes before the end of the websocket is noticed is still taken.
	for end, n := time.Now().Add(patience), 49173; ; n++ {
		number := strconv.Itoa(n)
		p := r.dial(caller{number: number, dnis: "18005550100"})
		if r.callerLands(number, "stasis", "ivr") == "ivr" {
			break
		}
		require.True(r.t, time.Now().Before(end), "calls are still taken")
		p.hangup()
		r.callerLands(number, "", "ivr")
	}
	require.Equal(r.t, 200, r.ask("GET", "/applications/deflectd", "").status)
	r.connect()
	r.orphan("49172")
}

// orphan waits until an orphan is told of.
func (r *rig) orphan(number string) ari.Orphan {
	r.t.Helper()
	select {
	case o := <-r.orphans:
		require.Equal(r.t, number, o.CallerNumber)
		return o
	case <-time.After(patience):
		require.FailNow(r.t, "no orphan was found")
		return ari.Orphan{}
	}
}

func orphanLetGo(r *rig) {
	l := r.listen("deflectd")
	r.dial(caller{number: "49171", dnis: "18005550100"})
	e, _ := r.await(l, "StasisStart")
	channel := "/channels/" + e.Channel.ID
	require.Equal(r.t, 204, r.ask("POST", channel+"/answer", "").status)
	// What a process of ours that has died left playing.
	require.Equal(r.t, 201, r.ask("POST", channel+"/play?media="+minute+"&playbackId=deflectd."+e.Channel.ID+".0", "").status)
	_ = l.conn.CloseNow()
	r.connect()
	o := r.orphan("49171")
	assert.Equal(r.t, e.Channel.ID, o.Channel)
	assert.Equal(r.t, "18005550100", o.Extension)
	assert.Equal(r.t, []string{"dnis=18005550100", "ani=49171", "pres=allowed_not_screened", "rdnis="}, o.Args)
	assert.Equal(r.t, "allowed_not_screened", o.Presentation)
	r.lands(e.Channel.ID, "ivr")
	assert.Equal(r.t, "orphaned", r.variable(e.Channel.ID, "DEFLECTD_REASON"))
	assert.Empty(r.t, r.calls)
}

// A relay stands between a client and the switch, to be cut.
type relay struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
	down     bool // whoever comes is turned away
}

func newRelay(r *rig) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(r.t, err)
	host, _, _ := strings.Cut(strings.TrimPrefix(r.sw.url, "http://"), "/")
	y := &relay{listener: l, target: host}
	y.wg.Go(y.accept)
	r.url = strings.Replace(r.sw.url, host, l.Addr().String(), 1)
	r.t.Cleanup(func() {
		_ = l.Close()
		y.cut()
		y.wg.Wait()
	})
	return y
}

func (y *relay) accept() {
	for {
		near, err := y.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", y.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		y.mu.Lock()
		y.conns = append(y.conns, near, far)
		if y.down {
			_, _ = near.Close(), far.Close()
		}
		y.mu.Unlock()
		for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
			y.wg.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				_, _ = near.Close(), far.Close()
			})
		}
	}
}

// open says whether the relay lets anybody through from now on.
func (y *relay) open(is bool) {
	y.mu.Lock()
	y.down = !is
	y.mu.Unlock()
	if !is {
		y.cut()
	}
}

// cut breaks every connection.
func (y *relay) cut() {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, c := range y.conns {
		_ = c.Close()
	}
	y.conns = nil
}

func websocketDropped(r *rig) {
	y := newRelay(r)
	r.connect()
	p, ch := r.answered("18005550100")
	id := r.play(ch, minute)
	y.cut()
	r.until("the client is back", func() bool { return r.reconnects() == 1 })
	p.press("1")
	r.expect(ch, "digit 1")
	require.NoError(r.t, ch.Stop(r.ctx, id))
	r.expect(ch, "playback done")
	_, other := r.arrive(caller{number: "2", dnis: "18005550101"})
	require.NoError(r.t, other.Continue(r.ctx))
	r.expect(other, "StasisEnd", "closed")
	p.hangup()
	r.expect(ch, "hangup request 0", "StasisEnd", "closed")
	require.NoError(r.t, ch.Err())
	assert.Empty(r.t, r.orphans)
}

// endMissed has calls end while nobody hears of it: the owner of one whose caller
// hung up is told so, and that of one that was moved is not.
func endMissed(r *rig) {
	y := newRelay(r)
	r.connect()
	p, hungUp := r.answered("18005550100")
	_, moved := r.answered("18005550101")
	y.open(false)
	p.hangup()
	require.Equal(r.t, 204, r.ask("POST", "/channels/"+moved.ID()+"/continue", "").status)
	r.lands(hungUp.ID(), "gone")
	r.lands(moved.ID(), "ivr")
	y.open(true)
	r.expect(hungUp, "hangup request 0", "StasisEnd", "closed")
	r.expect(moved, "StasisEnd", "closed")
	require.NoError(r.t, errors.Join(hungUp.Err(), moved.Err()))
	assert.Empty(r.t, r.orphans)
}

func goneWhileAnswering(r *rig) {
	r.connect()
	p, ch := r.arrive(caller{number: "1", dnis: "18005550100"})
	r.playing(ch, minute)
	answered := make(chan error, 1)
	go func() { answered <- ch.Answer(r.ctx) }()
	r.quiet(ch, 100*time.Millisecond) // the answer waits for the prompt
	p.hangup()
	r.expect(ch, "hangup request 127", "playback failed", "StasisEnd", "closed")
	require.ErrorIs(r.t, <-answered, ari.ErrGone)
}

func websocketReplaced(r *rig) {
	r.connect()
	p, ch := r.answered("18005550100")
	l := r.listen("deflectd")
	r.until("the client notices", func() bool { return !r.client.Up() })
	p.press("1")
	e, _ := r.await(l, "ChannelDtmfReceived")
	assert.Equal(r.t, ch.ID(), e.Channel.ID)
	r.dial(caller{number: "2", dnis: "18005550101"})
	e, _ = r.await(l, "StasisStart")
	assert.Empty(r.t, r.calls, "the call is the other's")
	// The verbs go on working: the call can be let go.
	require.NoError(r.t, ch.Continue(r.ctx))
	r.lands(ch.ID(), "ivr")
	require.Equal(r.t, 204, r.ask("POST", "/channels/"+e.Channel.ID+"/continue", "").status)
	r.lands(e.Channel.ID, "ivr")
}

func frozen(r *rig) {
	r.connect()
	p, ch := r.answered("18005550100")
	r.sw.freeze(r.t)
	// A process is not stopped the moment its signal is sent.
	r.until("nothing is answered any more", func() bool {
		ctx, cancel := context.WithTimeout(r.ctx, 500*time.Millisecond)
		defer cancel()
		return errors.Is(ch.Answer(ctx), context.DeadlineExceeded)
	})
	r.sw.thaw(r.t)
	r.until("the client is up", r.client.Up)
	require.NoError(r.t, ch.Err(), "the call was not given up")
	p.press("1")
	r.expect(ch, "digit 1")
	require.NoError(r.t, ch.Continue(r.ctx))
	r.expect(ch, "StasisEnd", "closed")
}

// frozenLong is a freeze in which the client connects again and again: what it
// gave up must not keep it away afterwards.
func frozenLong(r *rig) {
	r.commandTimeout, r.lostAfter = ari.DefaultCommandTimeout, ari.DefaultLostAfter
	r.connect()
	_, ch := r.answered("18005550100")
	r.sw.freeze(r.t)
	r.expect(ch, "closed")
	require.ErrorIs(r.t, ch.Err(), ari.ErrSwitchLost)
	time.Sleep(5 * time.Second)
	r.sw.thaw(r.t)
	require.NoError(r.t, ch.Continue(r.ctx))
	r.lands(ch.ID(), "ivr")
	r.until("the client is up", r.client.Up)
	_, ch = r.answered("18005550101")
	require.NoError(r.t, ch.Continue(r.ctx))
	r.expect(ch, "StasisEnd", "closed")
	assert.Empty(r.t, r.orphans)
}

func restarted(r *rig) {
	r.connect()
	before, err := r.client.Info(r.ctx)
	require.NoError(r.t, err)
	_, ch := r.answered("18005550100")
	r.play(ch, minute)
	time.Sleep(time.Second) // startup times are told apart by the millisecond, channel ids by the second
	r.sw.restart(r.t)
	r.expect(ch, "closed")
	require.ErrorIs(r.t, ch.Err(), ari.ErrSwitchLost)
	r.until("the client is up", r.client.Up)
	after, err := r.client.Info(r.ctx)
	require.NoError(r.t, err)
	assert.True(r.t, after.Started.After(before.Started), fmt.Sprint(before.Started, after.Started))
	assert.Equal(r.t, "gone", r.place(ch.ID()))
	require.ErrorIs(r.t, ch.Continue(r.ctx), ari.ErrGone)
	_, ch = r.answered("18005550101")
	require.NoError(r.t, ch.Continue(r.ctx))
	r.expect(ch, "StasisEnd", "closed")
	assert.Empty(r.t, r.orphans)
}
