package aritest_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/ari/aritest"
)

// How a switch behaves when nothing is wrong is tested by the conformance suite
// of package ari; these tests are about faults and about the test's own view.

// bench is a server with a bare websocket for its application.
type bench struct {
	*aritest.Server
	t      *testing.T
	client *http.Client
	events chan string // types, or the text of what is not JSON; closed with the websocket
}

func newBench(t *testing.T) *bench {
	srv := aritest.New()
	t.Cleanup(srv.Close)
	b := &bench{Server: srv, t: t, client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
	t.Cleanup(b.client.CloseIdleConnections)
	b.listen()
	return b
}

func (b *bench) listen() {
	q := url.Values{"app": {aritest.Application}, "api_key": {b.Username + ":" + b.Password}}
	conn, _, err := websocket.Dial(b.t.Context(), b.URL+"/events?"+q.Encode(), nil) //nolint:bodyclose // the websocket is the body
	require.NoError(b.t, err)
	events := make(chan string, 100)
	b.events = events
	go func() {
		defer close(events)
		defer func() { _ = conn.CloseNow() }()
		for {
			_, raw, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			var e struct{ Type string }
			if json.Unmarshal(raw, &e) != nil {
				e.Type = string(raw)
			}
			events <- e.Type
		}
	}()
}

func (b *bench) do(method, path string) (int, error) {
	return b.doIn(b.t.Context(), method, path)
}

// unanswered sends a request and gives up a moment after something has happened.
func (b *bench) unanswered(method, path string, happened func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := b.doIn(ctx, method, path)
		ended <- err
	}()
	require.Eventually(b.t, happened, time.Minute, time.Millisecond)
	time.Sleep(100 * time.Millisecond)
	cancel()
	require.ErrorIs(b.t, <-ended, context.Canceled)
}

func (b *bench) doIn(ctx context.Context, method, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, b.URL+path, nil)
	require.NoError(b.t, err)
	req.SetBasicAuth(b.Username, b.Password)
	res, err := b.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

func (b *bench) expect(want ...string) {
	b.t.Helper()
	got := []string{}
	for range want {
		select {
		case e, ok := <-b.events:
			if !ok {
				e = "closed"
			}
			got = append(got, e)
		case <-time.After(time.Minute):
			require.FailNow(b.t, "no event came", "so far %v", got)
		}
	}
	require.Equal(b.t, want, got)
}

func TestVerbFaults(t *testing.T) {
	b := newBench(t)
	call := b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	b.expect("StasisStart")
	path := "/channels/" + call.ID() + "/answer"
	answer := func() (int, error) { return b.do("POST", path) }

	b.Fail(aritest.VerbAnswer, aritest.Fault{Status: 500, Message: "no", Times: 1})
	status, err := answer()
	require.NoError(t, err)
	assert.Equal(t, 500, status)
	assert.False(t, call.Answered())

	b.Fail(aritest.VerbAnswer, aritest.Fault{Cut: true})
	_, err = answer()
	require.Error(t, err)
	assert.False(t, call.Answered())

	for _, f := range []aritest.Fault{{Hang: true}, {Delay: time.Minute}} {
		b.Fail(aritest.VerbAnswer, f)
		before := b.Requests(aritest.VerbAnswer)
		b.unanswered("POST", path, func() bool { return b.Requests(aritest.VerbAnswer) > before })
		assert.False(t, call.Answered())
	}
	b.Fail(aritest.VerbAnswer, aritest.Fault{Mute: true})
	b.unanswered("POST", path, call.Answered) // done, and never said so

	b.Heal()
	status, err = answer()
	require.NoError(t, err)
	assert.Equal(t, 204, status)
	// A request that is cut on a connection in use is tried again by net/http
	// only where that is safe, which a POST is not.
	assert.Equal(t, 6, b.Requests(aritest.VerbAnswer))
}

func TestHealBreaksWhatHangs(t *testing.T) {
	b := newBench(t)
	b.Fail(aritest.VerbInfo, aritest.Fault{Hang: true})
	failed := make(chan error, 1)
	go func() {
		_, err := b.do("POST", "/asterisk/variable?variable=A") // not hit
		if err == nil {
			_, err = b.do("GET", "/asterisk/info")
		}
		failed <- err
	}()
	for b.Requests(aritest.VerbInfo) == 0 {
		time.Sleep(time.Millisecond)
	}
	b.Fail(aritest.VerbInfo, aritest.Fault{Status: 503}) // for net/http, which may try a GET again
	b.Heal()
	select {
	case err := <-failed: // or nil, if net/http asked once more
		t.Log(err)
	case <-time.After(time.Minute):
		require.Fail(t, "the request still hangs")
	}
}

func TestEventFaults(t *testing.T) {
	b := newBench(t)
	b.Swallow("StasisStart")
	b.Duplicate("ChannelDtmfReceived")
	b.Postpone("ChannelHangupRequest")
	call := b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	call.Press("12")
	b.expect("ChannelDtmfReceived", "ChannelDtmfReceived", "ChannelDtmfReceived", "ChannelDtmfReceived")
	call.Hangup()
	b.expect("StasisEnd", "ChannelHangupRequest")
	b.Inject(`{"type":"ChannelToneDetected"}`)
	b.Inject(`this is not JSON`)
	b.expect("ChannelToneDetected", "this is not JSON")
	b.Heal()
	b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	b.expect("StasisStart")
}

func TestDropWebsockets(t *testing.T) {
	b := newBench(t)
	call := b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	b.expect("StasisStart")
	b.DropWebsockets()
	b.expect("closed")
	assert.False(t, b.Connected(aritest.Application))
	assert.Equal(t, aritest.InStasis, call.Where())
	assert.Equal(t, aritest.InDialplan, b.Call(aritest.Caller{Number: "1", DNIS: "2"}).Where())
	b.listen()
	call.Press("1")
	b.expect("ChannelDtmfReceived")
}

func TestRefuse(t *testing.T) {
	b := newBench(t)
	b.Refuse()
	u, err := url.Parse(b.URL)
	require.NoError(t, err)
	_, err = net.Dial("tcp", u.Host)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	b.expect("StasisStart") // the websocket lives on
	require.NoError(t, b.Start())
	status, err := b.do("GET", "/asterisk/info")
	require.NoError(t, err)
	assert.Equal(t, 200, status)
}

func TestRestartLosesCalls(t *testing.T) {
	b := newBench(t)
	call := b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	b.expect("StasisStart")
	b.Stop()
	b.expect("closed")
	assert.Equal(t, aritest.Gone, call.Where())
	assert.Equal(t, "switch", call.State().EndedBy)
	assert.Equal(t, aritest.Gone, b.Call(aritest.Caller{Number: "1", DNIS: "2"}).Where())
	require.NoError(t, b.Start())
	b.listen()
	b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	b.expect("StasisStart")
}

func TestFreeze(t *testing.T) {
	b := newBench(t)
	call := b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	b.expect("StasisStart")
	b.Freeze()
	b.client.Timeout = 100 * time.Millisecond
	_, err := b.do("GET", "/asterisk/info")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	call.Press("1")
	select {
	case e := <-b.events:
		require.Fail(t, "an event came: "+e)
	case <-time.After(50 * time.Millisecond):
	}
	b.Thaw()
	b.expect("ChannelDtmfReceived")
}

func TestCallIsSeenFromOutside(t *testing.T) {
	b := newBench(t)
	b.AddSound("offer", 50*time.Millisecond)
	b.AddSound("long", time.Minute)
	b.AllowTransfer("agents,100,1")
	call := b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	channel := "/channels/" + call.ID()
	_, err := b.do("POST", channel+"/answer")
	require.NoError(t, err)
	_, err = b.do("POST", channel+"/play?playbackId=p&media=sound:offer,sound:long")
	require.NoError(t, err)
	require.NoError(t, call.WaitPlaying(t.Context(), "sound:long"))
	_, err = b.do("DELETE", "/playbacks/p")
	require.NoError(t, err)
	_, err = b.do("POST", channel+"/variable?variable=DEFLECTD_TRANSFER&value=agents,100,1")
	require.NoError(t, err)
	_, err = b.do("POST", channel+"/continue")
	require.NoError(t, err)
	require.NoError(t, call.WaitPlace(t.Context(), aritest.InDialplan))

	s := call.State()
	assert.Equal(t, "agents", s.Context)
	assert.Equal(t, "SUCCESS", s.Status)
	assert.Equal(t, "agents,100,1", call.Variable("DEFLECTD_TRANSFER"))
	require.Len(t, s.Heard, 2)
	assert.Equal(t, "done", s.Heard[0].State)
	assert.False(t, s.Heard[0].Stopped)
	assert.GreaterOrEqual(t, s.Heard[0].Ended.Sub(s.Heard[0].Started), 50*time.Millisecond)
	assert.True(t, s.Heard[1].Stopped)
	for _, times := range [][2]time.Time{{s.Placed, s.FirstCommand}, {s.FirstCommand, s.Answered}, {s.Answered, s.Left}} {
		assert.False(t, times[1].Before(times[0]))
	}
	assert.True(t, s.Ended.IsZero())
	call.Hangup()
	assert.Equal(t, aritest.Gone, call.Where())
	assert.Equal(t, "caller", call.State().EndedBy)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, call.WaitPlaying(ctx, ""), context.DeadlineExceeded)
}

func TestDeadMansSwitch(t *testing.T) {
	b := newBench(t)
	b.SetDeadMan(50 * time.Millisecond)
	call := b.Call(aritest.Caller{Number: "1", DNIS: "2"})
	b.expect("StasisStart", "StasisEnd")
	require.NoError(t, call.WaitPlace(t.Context(), aritest.InDialplan))
}

// TestCloseInTheMiddle closes a server with everything under way at once; what
// is left running is found by goleak.
func TestCloseInTheMiddle(t *testing.T) {
	b := newBench(t)
	b.AddSound("long", time.Minute)
	failed := make(chan error, 3)
	for range 3 {
		call := b.Call(aritest.Caller{Number: "1", DNIS: "2"})
		_, err := b.do("POST", "/channels/"+call.ID()+"/play?media=sound:long")
		require.NoError(t, err)
		go func() {
			_, err := b.do("POST", "/channels/"+call.ID()+"/answer")
			failed <- err
		}()
	}
	b.Fail(aritest.VerbInfo, aritest.Fault{Hang: true})
	go func() { _, _ = b.do("GET", "/asterisk/info") }()
	for b.Requests(aritest.VerbAnswer) < 3 || b.Requests(aritest.VerbInfo) < 1 {
		time.Sleep(time.Millisecond)
	}
	b.Freeze()
	b.Close()
	for range 3 {
		require.Error(t, <-failed, "nothing was answered")
	}
	b.Close()
	require.Error(t, b.Start())
}
