package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// line is the network between deflectd and Asterisk: it carries everything,
// until it is told otherwise.
type line struct {
	asterisk  *url.URL
	address   string
	transport *http.Transport
	ctx       context.Context // ends with the line
	wg        sync.WaitGroup

	mu      sync.Mutex
	cut     bool                 // no event stream is let through
	hung    string               // commands whose path ends so wait for restore
	healed  chan struct{}        // closed by restore
	streams map[*stream]struct{} // those open
}

// stream is one websocket through the line.
type stream struct{ down, up *websocket.Conn }

// withLine puts a line between the deflectd that is started next and Asterisk.
func (w *world) withLine(t *testing.T) *line {
	t.Helper()
	target, err := url.Parse(w.asterisk.ARIURL)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	l := &line{
		asterisk: target, address: listener.Addr().String(), ctx: ctx,
		transport: &http.Transport{}, streams: map[*stream]struct{}{}, healed: make(chan struct{}),
	}
	rest := &httputil.ReverseProxy{
		Transport:    l.transport,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: target.Host}) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			l.carry(rw, r)
			return
		}
		select {
		case <-l.passage(r.URL.Path):
			rest.ServeHTTP(rw, r)
		case <-r.Context().Done():
		case <-ctx.Done():
		}
	})}
	l.wg.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		end()
		l.drop(true)
		require.NoError(t, server.Close())
		l.wg.Wait()
		l.transport.CloseIdleConnections()
	})
	nodes, err := json.Marshal([]map[string]string{{
		"name": "pbx", "url": "http://" + l.address + target.Path,
		"username": w.asterisk.Username, "password": w.asterisk.Password,
	}})
	require.NoError(t, err)
	w.environ = append(w.environ, "DEFLECTD_ASTERISK_NODES="+string(nodes))
	return l
}

// carry takes one websocket through.
func (l *line) carry(rw http.ResponseWriter, r *http.Request) {
	l.wg.Add(1)
	defer l.wg.Done()
	l.mu.Lock()
	cut := l.cut
	l.mu.Unlock()
	if cut {
		rw.WriteHeader(http.StatusBadGateway)
		return
	}
	up, _, err := websocket.Dial(l.ctx, "http://"+l.asterisk.Host+r.URL.RequestURI(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: l.transport},
		HTTPHeader: http.Header{"Authorization": r.Header["Authorization"]},
	})
	if err != nil {
		rw.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = up.CloseNow() }()
	down, err := websocket.Accept(rw, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = down.CloseNow() }()
	up.SetReadLimit(-1)
	s := &stream{down, up}
	l.mu.Lock()
	l.streams[s] = struct{}{}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.streams, s)
	}()
	back := make(chan struct{})
	go func() {
		defer close(back)
		relay(l.ctx, up, down)
	}()
	relay(l.ctx, down, up)
	<-back
}

// relay copies messages until one of the two is closed; then it closes the
// other, in the same way as far as that is known.
func relay(ctx context.Context, to, from *websocket.Conn) {
	for {
		kind, data, err := from.Read(ctx)
		if status := websocket.CloseStatus(err); err != nil && status > 0 && status != websocket.StatusNoStatusRcvd {
			_ = to.Close(status, "")
		}
		if err == nil {
			err = to.Write(ctx, kind, data)
		}
		if err != nil {
			_ = to.CloseNow()
			return
		}
	}
}

// drop breaks the event streams; none is let through again until restore,
// where it is cut.
func (l *line) drop(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	for s := range l.streams {
		_ = s.down.CloseNow()
		_ = s.up.CloseNow()
	}
}

// restore lets everything through again.
func (l *line) restore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.hung = false, ""
	close(l.healed)
	l.healed = make(chan struct{})
}

// hang has commands whose path ends so taken, and neither carried out nor
// answered until restore.
func (l *line) hang(suffix string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hung = suffix
}

// passage is closed when a command may go on.
func (l *line) passage(path string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hung != "" && strings.HasSuffix(path, l.hung) {
		return l.healed
	}
	open := make(chan struct{})
	close(open)
	return open
}

// inject sends messages to deflectd as if they came from Asterisk.
func (l *line) inject(t *testing.T, messages ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Len(t, l.streams, 1)
	for s := range l.streams {
		for _, m := range messages {
			kind := websocket.MessageText
			if strings.HasPrefix(m, "\x00") {
				kind = websocket.MessageBinary
			}
			require.NoError(t, s.down.Write(t.Context(), kind, []byte(m)))
		}
	}
}
