package ari_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"deflectd/ari"
)

// patience bounds every wait of a scenario. Nothing comes near it unless
// something is wrong.
const patience = 30 * time.Second

// A switchboard is an Asterisk and a way to call it: all that differs between
// the simulated and the real one.
type switchboard struct {
	url, username, password string
	dial                    func(t *testing.T, c caller) phone
	restart                 func(t *testing.T)
	freeze, thaw            func(t *testing.T)
}

// caller is who calls whom.
type caller struct {
	number, name, dnis, rdnis string
}

// phone is the caller's end of one call.
type phone interface {
	press(key string) // the call must have been answered
	hangup()
	waitAnswered(ctx context.Context) error
	waitEnded(ctx context.Context) error
	close()
}

// A rig is one scenario under way: a switchboard, and a client of package ari
// on it unless the scenario goes without.
type rig struct {
	t       *testing.T
	ctx     context.Context
	sw      switchboard
	url     string // where the client connects; sw.url, or a relay to it
	calls   chan *ari.Channel
	orphans chan ari.Orphan
	client  *ari.Client
	metrics *prometheus.Registry

	// Options of the client: what is late on a busy machine is not lost, unless
	// the scenario is about that.
	commandTimeout, lostAfter time.Duration

	phones      []phone
	connections []func() // end the client and the listeners; may be called twice
}

func newRig(t *testing.T, sw switchboard) *rig {
	r := &rig{
		t: t, ctx: t.Context(), sw: sw, url: sw.url,
		calls: make(chan *ari.Channel, 16), orphans: make(chan ari.Orphan, 16),
		metrics:        prometheus.NewRegistry(),
		commandTimeout: 10 * time.Second, lostAfter: patience,
	}
	t.Cleanup(r.close)
	return r
}

// close leaves the switch as the next scenario must find it. The calls go first:
// where the last call and the websocket go at the same moment, Asterisk may keep
// the application, with its event filter.
func (r *rig) close() {
	r.ctx = context.Background()
	for _, p := range r.phones {
		p.close()
	}
	var left string
	defer func() {
		for _, stop := range r.connections {
			stop()
		}
		if r.t.Failed() {
			r.t.Log("left behind:", left)
		}
	}()
	empty := func(path string) func() bool {
		return func() bool {
			left = r.ask("GET", path, "").body
			return left == "[]"
		}
	}
	r.until("no channel is left", empty("/channels"))
	for _, stop := range r.connections {
		stop()
	}
	r.until("no application is left", empty("/applications"))
}

// connect starts a client and waits until it is up.
func (r *rig) connect() {
	r.t.Helper()
	client, err := ari.New(ari.Options{
		Name: "test", URL: r.url, Username: r.sw.username, Password: r.sw.password, Application: "deflectd",
		Registerer:     r.metrics,
		Poll:           300 * time.Millisecond,
		CommandTimeout: r.commandTimeout, LostAfter: r.lostAfter,
		Handle: func(ctx context.Context, ch *ari.Channel) {
			r.calls <- ch
			<-ctx.Done()
		},
		Orphan: func(_ context.Context, o ari.Orphan) { r.orphans <- o },
	})
	require.NoError(r.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.ctx))
	var running sync.WaitGroup
	running.Go(func() { _ = client.Run(ctx) })
	r.client = client
	r.connections = append(r.connections, func() {
		cancel()
		running.Wait()
	})
	r.until("the client is up", client.Up)
}

// reconnects is how often the client has connected again.
func (r *rig) reconnects() int {
	r.t.Helper()
	families, err := r.metrics.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		if f.GetName() == "deflectd_asterisk_reconnects_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	require.FailNow(r.t, "reconnects are not counted")
	return 0
}

// dial places a call that ends with the scenario.
func (r *rig) dial(c caller) phone {
	r.t.Helper()
	p := r.sw.dial(r.t, c)
	r.phones = append(r.phones, p)
	return p
}

// arrive places a call and waits for its channel.
func (r *rig) arrive(c caller) (phone, *ari.Channel) {
	r.t.Helper()
	p := r.dial(c)
	return p, r.channel()
}

func (r *rig) channel() *ari.Channel {
	r.t.Helper()
	select {
	case ch := <-r.calls:
		return ch
	case <-time.After(patience):
		require.FailNow(r.t, "no call came in")
		return nil
	}
}

// answered places a call and answers it.
func (r *rig) answered(dnis string) (phone, *ari.Channel) {
	r.t.Helper()
	p, ch := r.arrive(caller{number: "4917612345", dnis: dnis})
	require.NoError(r.t, ch.Answer(r.ctx))
	r.ok(p.waitAnswered)
	return p, ch
}

func (r *rig) ok(wait func(context.Context) error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	require.NoError(r.t, wait(ctx))
}

// play plays media and fails the test if Asterisk does not take it.
func (r *rig) play(ch *ari.Channel, media ...string) string {
	r.t.Helper()
	id, err := ch.Play(r.ctx, media...)
	require.NoError(r.t, err)
	return id
}

// playing plays media and waits until it plays: where the caller goes before
// that, a playback may end without an event.
func (r *rig) playing(ch *ari.Channel, media ...string) string {
	r.t.Helper()
	id := r.play(ch, media...)
	r.until("the sound plays", func() bool {
		return strings.Contains(r.ask("GET", "/playbacks/"+id, "").body, `"playing"`)
	})
	return id
}

// event returns the next event of a channel, nil after the last.
func (r *rig) event(ch *ari.Channel) arilib.Event {
	r.t.Helper()
	select {
	case e, ok := <-ch.Events():
		if !ok {
			return nil
		}
		return e
	case <-time.After(patience):
		require.FailNow(r.t, "no event came")
		return nil
	}
}

// expect takes the next events and describes them as describe does.
func (r *rig) expect(ch *ari.Channel, want ...string) {
	r.t.Helper()
	got := []string{}
	for range want {
		got = append(got, describe(r.event(ch)))
	}
	require.Equal(r.t, want, got)
}

// describe says what matters of an event: its type and the digit, cause, or
// state of the playback.
func describe(e arilib.Event) string {
	switch e := e.(type) {
	case nil:
		return "closed"
	case *arilib.ChannelDtmfReceived:
		return "digit " + e.Digit
	case *arilib.PlaybackFinished:
		return "playback " + e.Playback.State
	case *arilib.ChannelHangupRequest:
		return fmt.Sprintf("hangup request %d", e.Cause)
	}
	return e.GetType()
}

// quiet fails the test if a channel has an event within d.
func (r *rig) quiet(ch *ari.Channel, d time.Duration) {
	r.t.Helper()
	select {
	case e := <-ch.Events():
		require.FailNow(r.t, "an event came", describe(e))
	case <-time.After(d):
	}
}

// until waits for something to become true.
func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(r.t, "never came true: "+what)
		}
	}
}

// place says where a channel is: "stasis", the name of its context, or "gone".
func (r *rig) place(id string) string {
	r.t.Helper()
	a := r.ask("GET", "/channels/"+id, "")
	if a.status == http.StatusNotFound {
		return "gone"
	}
	var c channelAt
	require.NoError(r.t, json.Unmarshal([]byte(a.body), &c), a.body)
	return c.place()
}

// channelAt is a channel as Asterisk tells of it: where it is.
type channelAt struct {
	Dialplan struct {
		Context string
		App     string `json:"app_name"`
	}
}

func (c channelAt) place() string {
	if c.Dialplan.App == "Stasis" {
		return "stasis"
	}
	return c.Dialplan.Context
}

// lands waits until a channel is at a place.
func (r *rig) lands(id, place string) {
	r.t.Helper()
	r.until("the call is at "+place, func() bool { return r.place(id) == place })
}

// variable reads a channel variable past the client, wherever the channel is.
func (r *rig) variable(id, name string) string {
	r.t.Helper()
	a := r.ask("GET", "/channels/"+id+"/variable?variable="+url.QueryEscape(name), "")
	var v struct{ Value string }
	require.NoError(r.t, json.Unmarshal([]byte(a.body), &v), a.body)
	return v.Value
}

// reply is what the REST interface said.
type reply struct {
	status int
	body   string
}

// ask sends a request past the client under test.
func (r *rig) ask(method, path, body string) reply {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.sw.url+path, strings.NewReader(body))
	require.NoError(r.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.SetBasicAuth(r.sw.username, r.sw.password)
	req.Close = true // no connection may outlive the test
	res, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(r.t, err)
	return reply{res.StatusCode, string(b)}
}

// A listener is a bare websocket beside the client under test.
type listener struct {
	conn   *websocket.Conn
	events chan rawEvent // closed with the connection
}

// rawEvent is what the scenarios look at in an event as it was sent.
type rawEvent struct {
	Type     string
	Digit    string
	Variable string
	Channel  struct{ ID string }
	Playback struct{ ID, State string }

	raw []byte
}

// listen opens a websocket for the application.
func (r *rig) listen(application string) *listener {
	r.t.Helper()
	q := url.Values{"app": {application}, "api_key": {r.sw.username + ":" + r.sw.password}}
	conn, _, err := websocket.Dial(r.ctx, r.sw.url+"/events?"+q.Encode(), nil) //nolint:bodyclose // the websocket is the body
	require.NoError(r.t, err)
	conn.SetReadLimit(1 << 20)
	l := &listener{conn: conn, events: make(chan rawEvent, 256)}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(l.events)
		for {
			_, b, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			var e rawEvent
			if json.Unmarshal(b, &e) == nil {
				e.raw = b
				l.events <- e
			}
		}
	})
	r.connections = append(r.connections, func() {
		_ = conn.CloseNow()
		reading.Wait()
	})
	return l
}

// event returns the next event of a listener.
func (r *rig) rawEvent(l *listener) rawEvent {
	r.t.Helper()
	select {
	case e := <-l.events:
		return e
	case <-time.After(patience):
		require.FailNow(r.t, "no event came")
		return rawEvent{}
	}
}

// await returns the next event of a type and what came before it.
func (r *rig) await(l *listener, kind string) (e rawEvent, before []string) {
	r.t.Helper()
	for {
		if e = r.rawEvent(l); e.Type == kind {
			return e, before
		}
		require.NotEmpty(r.t, e.Type, "the websocket was closed")
		before = append(before, e.Type)
	}
}
