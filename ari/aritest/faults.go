package aritest

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"
)

// Verb names one request of the REST interface, for faults and counting.
type Verb string

// The verbs this server knows.
const (
	VerbConnect      Verb = "connect"       // GET /events, the websocket
	VerbInfo         Verb = "info"          // GET /asterisk/info
	VerbGetGlobal    Verb = "get global"    // GET /asterisk/variable
	VerbSetGlobal    Verb = "set global"    // POST /asterisk/variable
	VerbApplications Verb = "applications"  // GET /applications
	VerbApplication  Verb = "application"   // GET /applications/{app}
	VerbFilter       Verb = "filter"        // PUT /applications/{app}/eventFilter
	VerbListChannels Verb = "list channels" // GET /channels
	VerbChannel      Verb = "channel"       // GET /channels/{id}
	VerbHangup       Verb = "hangup"        // DELETE /channels/{id}
	VerbAnswer       Verb = "answer"        // POST /channels/{id}/answer
	VerbContinue     Verb = "continue"      // POST /channels/{id}/continue
	VerbPlay         Verb = "play"          // POST /channels/{id}/play
	VerbGet          Verb = "get variable"  // GET /channels/{id}/variable
	VerbSet          Verb = "set variable"  // POST /channels/{id}/variable
	VerbPlayback     Verb = "playback"      // GET /playbacks/{id}
	VerbStop         Verb = "stop playback" // DELETE /playbacks/{id}
	VerbSound        Verb = "sound"         // GET /sounds/{id}
	VerbUserEvent    Verb = "user event"    // POST /events/user/{name}
)

// Fault is what goes wrong with a verb. The zero value does nothing; the fields
// combine, Delay comes first.
type Fault struct {
	// Delay passes before the request is looked at. It is carried out even if
	// the client has given up by then, as by an Asterisk that is busy.
	Delay time.Duration
	// Status, if not 0, answers the request without carrying it out, with
	// Message or else the status's own text.
	Status  int
	Message string
	// Hang accepts the request, does not carry it out and never answers: until
	// the client gives up, Heal is called or the server is closed.
	Hang bool
	// Mute carries the request out and then never answers, as Hang.
	Mute bool
	// Cut closes the connection without carrying the request out.
	Cut bool
	// Times is how many requests are hit; 0 means all until Heal.
	Times int
}

// faults holds the faults in force and counts requests.
type faults struct {
	mu       sync.Mutex
	verbs    map[Verb]*Fault
	healed   chan struct{} // closed by Heal; nil when nobody hangs
	counts   map[Verb]int
	kinds    map[string]tampering
	heldBack [][]byte
}

// tampering is what is done with the events of one type.
type tampering int

const (
	untouched tampering = iota
	swallowed
	duplicated
	postponed
)

// Fail lets a verb go wrong from now on. A later Fail for the verb replaces it.
func (s *Server) Fail(v Verb, f Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	if s.faults.verbs == nil {
		s.faults.verbs = map[Verb]*Fault{}
	}
	s.faults.verbs[v] = &f
}

// Heal ends all faults of verbs and events. Requests that hang lose their
// connection without an answer.
func (s *Server) Heal() {
	s.faults.mu.Lock()
	s.faults.verbs = nil
	s.faults.kinds = nil
	if s.faults.healed != nil {
		close(s.faults.healed)
		s.faults.healed = nil
	}
	held := s.faults.heldBack
	s.faults.heldBack = nil
	s.faults.mu.Unlock()
	for _, m := range held {
		s.Inject(string(m))
	}
}

// Requests returns how often a verb was asked for, failed ones included.
func (s *Server) Requests(v Verb) int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return s.faults.counts[v]
}

// Swallow drops the events of these types before they reach an application, as
// an overrun queue would.
func (s *Server) Swallow(kinds ...string) { s.faults.tamper(swallowed, kinds) }

// Duplicate sends the events of these types twice.
func (s *Server) Duplicate(kinds ...string) { s.faults.tamper(duplicated, kinds) }

// Postpone sends each event of these types after the next event of another type,
// whatever channel that belongs to.
func (s *Server) Postpone(kinds ...string) { s.faults.tamper(postponed, kinds) }

func (f *faults) tamper(t tampering, kinds []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kinds == nil {
		f.kinds = map[string]tampering{}
	}
	for _, k := range kinds {
		f.kinds[k] = t
	}
}

// apply returns what is really sent for one event.
func (f *faults) apply(kind string, message []byte) [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := [][]byte{message}
	switch f.kinds[kind] {
	case swallowed:
		return nil
	case postponed:
		f.heldBack = append(f.heldBack, message)
		return nil
	case duplicated:
		out = append(out, message)
	case untouched:
	}
	out = append(out, f.heldBack...)
	f.heldBack = nil
	return out
}

// begin counts a request and returns the fault that hits it.
func (f *faults) begin(v Verb) (Fault, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[Verb]int{}
	}
	f.counts[v]++
	fault := f.verbs[v]
	if fault == nil {
		return Fault{}, nil
	}
	if f.healed == nil {
		f.healed = make(chan struct{})
	}
	hit := *fault
	if fault.Times > 0 {
		if fault.Times--; fault.Times == 0 {
			delete(f.verbs, v)
		}
	}
	return hit, f.healed
}

// broken makes a handler subject to the faults of its verb.
func (s *Server) broken(v Verb, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault, healed := s.faults.begin(v)
		if healed == nil {
			next(w, r)
			return
		}
		if fault.Delay > 0 {
			s.rest(s.ctx, fault.Delay, healed)
		}
		switch {
		case fault.Cut:
			panic(http.ErrAbortHandler)
		case fault.Hang:
			s.rest(r.Context(), 0, healed)
			panic(http.ErrAbortHandler)
		case fault.Mute:
			next(&deaf{header: http.Header{}}, r)
			s.rest(r.Context(), 0, healed)
			panic(http.ErrAbortHandler)
		case fault.Status != 0:
			refuse(w, fault.Status, cmp.Or(fault.Message, http.StatusText(fault.Status)))
		default:
			next(w, r)
		}
	}
}

// rest waits for d, or for ever if d is 0, unless ctx, Heal or Close ends it
// sooner.
func (s *Server) rest(ctx context.Context, d time.Duration, healed <-chan struct{}) {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-healed:
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
}

// deaf takes an answer that nobody is to see.
type deaf struct{ header http.Header }

func (d *deaf) Header() http.Header         { return d.header }
func (d *deaf) WriteHeader(int)             {}
func (d *deaf) Write(b []byte) (int, error) { return len(b), nil }
