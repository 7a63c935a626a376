package aritest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// asteriskID is the entity id every event carries; it survives restarts.
const asteriskID = "02:00:5e:00:53:01"

// application is one Stasis application. It exists while a websocket or a
// channel holds it.
type application struct {
	name                string
	socket              *socket // nil: not active
	channels            map[string]*channel
	allowed, disallowed []filter
}

// filter is one entry of an event filter. Only the type is compared, the rest is
// kept to be shown, as Asterisk does.
type filter struct {
	kind string
	raw  json.RawMessage
}

func (a *application) lets(kind string) bool {
	is := func(f filter) bool { return f.kind == kind }
	return !slices.ContainsFunc(a.disallowed, is) && (len(a.allowed) == 0 || slices.ContainsFunc(a.allowed, is))
}

func (a *application) wire() wireApplication {
	w := wireApplication{
		Name: a.name, Channels: []string{}, Bridges: []string{}, Endpoints: []string{}, Devices: []string{},
		Allowed: []json.RawMessage{}, Disallowed: []json.RawMessage{},
	}
	for id := range a.channels {
		w.Channels = append(w.Channels, id)
	}
	slices.Sort(w.Channels)
	for _, f := range a.allowed {
		w.Allowed = append(w.Allowed, f.raw)
	}
	for _, f := range a.disallowed {
		w.Disallowed = append(w.Disallowed, f.raw)
	}
	return w
}

// setFilter takes the body of an eventFilter request: a filter that is not
// mentioned stays, an empty object or no body clears both. It returns false if
// the body is no filter.
func (a *application) setFilter(body []byte) bool {
	var request map[string]json.RawMessage
	if len(body) > 0 && json.Unmarshal(body, &request) != nil {
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil {
			return false
		}
	}
	for name, to := range map[string]*[]filter{"disallowed": &a.disallowed, "allowed": &a.allowed} {
		raw, mentioned := request[name]
		if !mentioned && len(request) > 0 {
			continue
		}
		var items []json.RawMessage
		if mentioned && json.Unmarshal(raw, &items) != nil {
			return false
		}
		filters := make([]filter, 0, len(items))
		for _, item := range items {
			var f struct{ Type string }
			if json.Unmarshal(item, &f) != nil || f.Type == "" {
				return false
			}
			filters = append(filters, filter{f.Type, item})
		}
		*to = filters
	}
	return true
}

// send delivers an event to the application's websocket, if there is one and the
// filter lets it. Callers hold the server's lock, which makes the order of
// events the order of what happened.
func (s *Server) send(a *application, e event) {
	if a.socket == nil || !a.lets(e.Type) {
		return
	}
	e.Timestamp = wireTime(time.Now())
	e.AsteriskID = asteriskID
	e.Application = a.name
	b, err := json.Marshal(e)
	if err != nil {
		panic("aritest: marshalling an event: " + err.Error())
	}
	a.socket.push(s.faults.apply(e.Type, b)...)
}

// retire removes an application nobody holds any more. Callers hold the lock.
func (s *Server) retire(a *application) {
	if a.socket == nil && len(a.channels) == 0 && s.apps[a.name] == a {
		delete(s.apps, a.name)
	}
}

// socket is one websocket. What is to be sent waits in a queue without bound:
// dropping events is the business of faults alone.
type socket struct {
	cut  context.CancelFunc // breaks the connection
	wake chan struct{}

	mu    sync.Mutex
	queue [][]byte
}

func (k *socket) push(messages ...[]byte) {
	if len(messages) == 0 {
		return
	}
	k.mu.Lock()
	k.queue = append(k.queue, messages...)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *socket) take() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	q := k.queue
	k.queue = nil
	return q
}

// events serves GET /events: the websocket of one or more applications.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	names := strings.FieldsFunc(r.URL.Query().Get("app"), func(c rune) bool { return c == ',' })
	if len(names) == 0 {
		http.Error(w, "HTTP request is missing param: [app]", http.StatusBadRequest)
		return
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.Error(w, "Upgrade Required", http.StatusUpgradeRequired)
		return
	}
	// As in Asterisk the application is there before the handshake is over, so
	// that a call right after it finds it.
	ctx, cut := context.WithCancel(s.ctx)
	defer cut()
	k := &socket{cut: cut, wake: make(chan struct{}, 1)}
	if !s.attach(k, names) {
		return
	}
	defer s.wg.Done()
	defer s.detach(k)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true,
		Subprotocols:       []string{"ari"},
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	k.serve(ctx, conn)
}

// serve sends what is queued until the connection breaks or ctx ends. It reads
// only to see pings and the end: requests over the websocket are not imitated.
func (k *socket) serve(ctx context.Context, conn *websocket.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	read := make(chan struct{})
	defer func() {
		cancel()
		<-read
	}()
	go func() {
		defer close(read)
		defer cancel()
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
		for _, m := range k.take() {
			if conn.Write(ctx, websocket.MessageText, m) != nil {
				return
			}
		}
	}
}

// attach gives the applications to a new websocket. Whoever had them is told so
// and hears nothing more, but is not disconnected. It returns false when the
// server is being closed.
func (s *Server) attach(k *socket, names []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	for _, name := range names {
		a := s.apps[name]
		if a == nil {
			a = &application{name: name, channels: map[string]*channel{}}
			s.apps[name] = a
		}
		s.send(a, event{Type: "ApplicationReplaced"})
		a.socket = k
	}
	return true
}

// detach makes the applications that this websocket still has inactive.
func (s *Server) detach(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		if a.socket == k {
			a.socket = nil
			s.retire(a)
		}
	}
}

// Connected says whether an application has a websocket.
func (s *Server) Connected(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[name]
	return a != nil && a.socket != nil
}

// Filter returns the event types an application allows; none means all.
func (s *Server) Filter(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kinds []string
	if a := s.apps[name]; a != nil {
		for _, f := range a.allowed {
			kinds = append(kinds, f.kind)
		}
	}
	return kinds
}

// DropWebsockets breaks the websocket of every application without a close
// frame, as a dying network does. The server notices at once.
func (s *Server) DropWebsockets() {
	s.mu.Lock()
	var sockets []*socket
	for _, a := range s.apps {
		if a.socket != nil {
			sockets = append(sockets, a.socket)
			a.socket = nil
			s.retire(a)
		}
	}
	s.mu.Unlock()
	for _, k := range sockets {
		k.cut()
	}
}

// Inject sends a message as it is to every connected application: an event of an
// unknown type, or something that is not JSON at all.
func (s *Server) Inject(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		if a.socket != nil {
			a.socket.push([]byte(message))
		}
	}
}
