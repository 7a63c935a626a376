package aritest

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Application is the Stasis application the dialplan of this server calls where
// a Caller names no other.
const Application = "deflectd"

// deadMan is how long a call may stay in Stasis before the dialplan takes it
// back, as the sample dialplan has it.
const deadMan = 45 * time.Second

// Server is one simulated Asterisk. It is made by New and must be closed.
type Server struct {
	// URL is the base of the REST interface, such as http://127.0.0.1:40001/ari.
	// It stays the same over Stop, Start and Restart.
	URL string
	// Username and Password are the only ones the server lets in.
	Username, Password string

	addr   string
	http   *http.Server
	gate   *gate
	faults faults
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // websockets, channel threads, accept loops; added to under mu

	mu        sync.Mutex   // guards all below, and every channel and application
	listener  net.Listener // nil: the port refuses
	running   bool         // between Start and Stop
	closed    bool
	started   time.Time
	counter   int
	apps      map[string]*application
	channels  map[string]*channel
	playbacks map[string]*playback
	globals   map[string]string
	sounds    map[string]time.Duration
	targets   map[string]bool
	deadMan   time.Duration
}

// New starts a server on a free port of the loopback interface. It panics if
// there is none, as httptest does. It knows one sound, "beep" of 100 ms.
func New() *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		Username: "deflectd",
		Password: "secret",
		gate:     newGate(),
		ctx:      ctx,
		cancel:   cancel,
		sounds:   map[string]time.Duration{"beep": 100 * time.Millisecond},
		targets:  map[string]bool{},
		deadMan:  deadMan,
	}
	s.http = &http.Server{
		Handler:           s.routes(),
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
	}
	s.forget()
	s.addr = "127.0.0.1:0"
	if err := s.listen(); err != nil {
		panic(fmt.Sprintf("aritest: %v", err))
	}
	s.URL = "http://" + s.addr + "/ari"
	return s
}

// Close ends all calls and connections. When it returns nothing of the server is
// left running. It may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.Stop()
	s.gate.thaw()
	// Every connection is cut by now, so this waits for handlers alone.
	_ = s.http.Shutdown(context.Background())
	s.wg.Wait()
}

// Stop is Asterisk killed: its port refuses, its connections break, its calls
// and everything it knew but sounds and transfer targets are gone. Callers are
// left hanging with Where() == Gone.
func (s *Server) Stop() {
	s.Refuse()
	s.gate.cut() // first, so that nobody is told anything
	s.mu.Lock()
	for _, c := range s.channels {
		c.vanish("switch")
	}
	s.forget()
	s.running = false
	s.mu.Unlock()
	s.gate.cut() // who had only just come in
}

// Start brings a stopped server back on its old port, with a new startup time
// and no calls; after Refuse alone it only opens the port again. It fails after
// Close, or if something else took the port.
func (s *Server) Start() error {
	return s.listen()
}

// Restart is Stop and Start.
func (s *Server) Restart() error {
	s.Stop()
	return s.Start()
}

// Refuse closes the port: new connections are refused while those that exist
// live on, until Start.
func (s *Server) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
}

// Freeze is Asterisk stopped by SIGSTOP, seen from the network: connections are
// accepted by the kernel and nothing is ever read or written, until Thaw.
func (s *Server) Freeze() { s.gate.freeze() }

// Thaw ends Freeze. What was held back in both directions goes out.
func (s *Server) Thaw() { s.gate.thaw() }

// AddSound makes a sound known that takes d to play. Its id has no scheme, such
// as "deflectd/offer".
func (s *Server) AddSound(id string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sounds[id] = d
}

// AllowTransfer makes a place of the dialplan known, written as
// "context,extension,priority". A call that is let go with DEFLECTD_TRANSFER set
// to it goes there, every other call to "ivr".
func (s *Server) AllowTransfer(target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.targets[target] = true
}

// SetDeadMan sets how long calls placed from now on may stay in Stasis before
// the dialplan takes them back; the default is 45 s, 0 means for ever.
func (s *Server) SetDeadMan(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadMan = d
}

// Global returns a global variable, as set by POST /asterisk/variable.
func (s *Server) Global(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.globals[name]
}

// Count returns how many calls are at a place.
func (s *Server) Count(p Place) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.channels {
		if c.place == p {
			n++
		}
	}
	return n
}

// forget resets what Asterisk keeps in memory. Callers hold the lock.
func (s *Server) forget() {
	s.apps = map[string]*application{}
	s.channels = map[string]*channel{}
	s.playbacks = map[string]*playback{}
	s.globals = map[string]string{}
}

// listen opens the port and serves it. The port is the server's own, so if it is
// taken, which can only be for a moment, listen tries again.
func (s *Server) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return http.ErrServerClosed
	}
	if s.listener != nil {
		return nil
	}
	var (
		l   net.Listener
		err error
	)
	for range 100 {
		if l, err = net.Listen("tcp", s.addr); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("listening again: %w", err)
	}
	s.addr = l.Addr().String()
	if !s.running {
		s.started = time.Now()
	}
	s.running = true
	s.listener = l
	s.wg.Go(func() { _ = s.http.Serve(s.gate.listener(l)) })
	return nil
}

// authorised checks Basic authentication and the api_key parameter.
func (s *Server) authorised(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	if !ok {
		return subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("api_key")), []byte(s.Username+":"+s.Password)) == 1
	}
	return user == s.Username && password == s.Password
}
