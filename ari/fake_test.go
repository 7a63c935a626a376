package ari

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
)

// fake is as much of an Asterisk as it takes to break it in ways a real one
// does not on demand.
type fake struct {
	*httptest.Server
	t       *testing.T
	over    chan struct{}                                     // closed with the test
	refuse  func(w http.ResponseWriter, r *http.Request) bool // answers instead, if it wants
	sockets chan *websocket.Conn                              // one for each connect

	mu       sync.Mutex
	ws       *websocket.Conn
	channels []string
	started  time.Time
	dialplan map[string]bool // channels that have gone on
	mute     bool            // heartbeats are swallowed
	deaf     bool            // websockets are not read
	log      []string
	turned   int // requests of whoever is not let in
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, over: make(chan struct{}), sockets: make(chan *websocket.Conn, 100), started: time.Now(), dialplan: map[string]bool{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(func() {
		close(f.over)
		f.drop()
		f.Close()
	})
	return f
}

// options are those of a client that looks often, and to which what is late on a
// busy machine is not lost.
func (f *fake) options(handle func(context.Context, *Channel)) Options {
	return Options{
		Name: "fake", URL: f.URL + "/ari", Username: "user", Password: "pass word", Application: "deflectd",
		CommandTimeout: 10 * time.Second, Poll: 100 * time.Millisecond, LostAfter: 30 * time.Second,
		Handle: handle,
	}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != "user" || password != "pass word" {
		f.set(func() { f.turned++ })
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/ari")
	f.mu.Lock()
	f.log = append(f.log, r.Method+" "+path)
	refuse := f.refuse
	f.mu.Unlock()
	if refuse != nil && refuse(w, r) {
		return
	}
	switch {
	case path == "/events":
		f.accept(w, r)
	case path == "/asterisk/info":
		f.mu.Lock()
		defer f.mu.Unlock()
		fmt.Fprintf(w, `{"status":{"startup_time":%q}}`, f.started.Format("2006-01-02T15:04:05.000-0700"))
	case path == "/applications/deflectd":
		f.mu.Lock()
		defer f.mu.Unlock()
		assert.NoError(f.t, json.NewEncoder(w).Encode(map[string]any{"name": "deflectd", "channel_ids": f.channels}))
	case strings.HasPrefix(path, "/events/user/"):
		f.mu.Lock()
		mute := f.mute
		f.mu.Unlock()
		if !mute {
			f.send(`{"type":"ChannelUserevent","application":"deflectd","eventname":"` + strings.TrimPrefix(path, "/events/user/") + `","userevent":{}}`)
		}
	case strings.HasSuffix(path, "/continue"):
		f.proceed(strings.Split(path, "/")[2])
	case r.Method == http.MethodGet && strings.HasPrefix(path, "/channels/"):
		f.describe(w, strings.Split(path, "/"))
	case strings.HasPrefix(path, "/playbacks/"):
		w.WriteHeader(http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// describe answers for a channel, or for its one variable.
func (f *fake) describe(w http.ResponseWriter, path []string) {
	id := path[2]
	f.mu.Lock()
	there := f.dialplan[id] || slices.Contains(f.channels, id)
	f.mu.Unlock()
	switch {
	case !there:
		w.WriteHeader(http.StatusNotFound)
	case len(path) > 3:
		fmt.Fprint(w, `{"value":"allowed_not_screened"}`)
	default:
		fmt.Fprintf(w, `{"id":%q,"caller":{"number":"1"},"creationtime":"2026-01-02T03:04:05.678+0000","caller_rdnis":"3",`+
			`"dialplan":{"exten":"2","app_name":"Stasis","app_data":"deflectd,dnis=2,pres=x"}}`, id)
	}
}

// accept takes a websocket, as Asterisk does also in place of another.
func (f *fake) accept(w http.ResponseWriter, r *http.Request) {
	// Nothing else is answered until the websocket is in place.
	f.mu.Lock()
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		f.mu.Unlock()
		return
	}
	f.ws = ws
	deaf := f.deaf
	f.mu.Unlock()
	f.sockets <- ws
	if deaf {
		<-f.over
	}
	_, _, _ = ws.Read(context.Background())
	_ = ws.CloseNow()
}

func (f *fake) send(message string) {
	f.mu.Lock()
	ws := f.ws
	f.mu.Unlock()
	write(ws, message)
}

func write(ws *websocket.Conn, message string) {
	_ = ws.Write(context.Background(), websocket.MessageText, []byte(message))
}

// drop cuts the websocket.
func (f *fake) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ws != nil {
		_ = f.ws.CloseNow()
	}
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// come lets a channel enter the application: nobody finds it there before its
// start is sent.
func (f *fake) come(id string) {
	f.set(func() {
		f.channels = append(f.channels, id)
		write(f.ws, event("StasisStart", id))
	})
}

// proceed lets a channel go on in the dialplan.
func (f *fake) proceed(id string) {
	f.set(func() {
		f.remove(id)
		f.dialplan[id] = true
		write(f.ws, event("StasisEnd", id))
	})
}

// leave lets a channel leave; nobody is told.
func (f *fake) leave(id string) { f.set(func() { f.remove(id) }) }

// remove takes a channel out of the application. The caller holds the lock.
func (f *fake) remove(id string) {
	f.channels = slices.DeleteFunc(f.channels, func(c string) bool { return c == id })
}

func (f *fake) inDialplan(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dialplan[id]
}

func (f *fake) asked(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, line := range f.log {
		if strings.HasPrefix(line, what) {
			n++
		}
	}
	return n
}

func event(kind, channel string) string {
	return `{"type":"` + kind + `","timestamp":"2026-01-02T03:04:05.678+0000","application":"deflectd","args":[],"digit":"1",` +
		`"channel":{"id":"` + channel + `","name":"PJSIP/x","state":"Up","protocol_id":"p","caller":{"name":"","number":"+14155550123"},` +
		`"caller_rdnis":"+14155550999","dialplan":{"context":"c","exten":"100","priority":3},"creationtime":"2026-01-02T03:04:05.678+0000"}}`
}

func playbackEvent(channel, id, state string) string {
	return `{"type":"PlaybackFinished","application":"deflectd","playback":{"id":"` + id + `","media_uri":"sound:x","target_uri":"channel:` +
		channel + `","state":"` + state + `"}}`
}
