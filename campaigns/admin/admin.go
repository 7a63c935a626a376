// Package admin is the HTTP interface for the people and programs that run
// deflectd: the API, its description, health and metrics.
package admin

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/inbound"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
	"deflectd/campaigns/sender"
)

// Options are what the interface needs.
type Options struct {
	Campaigns *campaigns.Store
	Outbox    *message.Outbox
	Recorder  *report.Recorder
	OptOuts   *optout.List
	Guards    *guard.Guards
	Senders   *sender.Senders
	Inbox     *inbound.Inbox
	// InboundURL is where the provider is to send what people text back, with
	// its token; nil, or "" while it is not known: not shown.
	InboundURL func() string
	// Active gives the calls under way on this daemon; nil: none.
	Active func() []report.Call
	// Decide says what would become of a call; nil where no calls are handled.
	Decide func(context.Context, report.Question) (report.Decision, error)
	// Sounds says whether an Asterisk that is connected has a sound; an error
	// where none can be asked, and nil where there is none at all: nothing is
	// said of prompts then.
	Sounds func(ctx context.Context, name string) (known bool, err error)

	Rules campaigns.Rules // what campaigns are checked against

	Tokens []Token
	// Health says whether calls can be taken; it must answer within ctx.
	Health func(context.Context) Health
	// Timeout bounds the work on one request; 10 seconds when zero.
	Timeout time.Duration
	// Profiling opens /debug/pprof/ to those who have a token.
	Profiling bool

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer // what /metrics shows
}

// server is what the operations work with.
type server struct {
	Options
	api huma.API
}

// Server is the interface: the API for programs, and what a page for people
// needs of it. It is safe for concurrent use.
type Server struct {
	in       *server
	own      http.Handler // all but the page, for who comes in from outside
	inner    http.Handler // the same for who is known already
	attempts *attempts
}

// New makes the interface. Its parts register their metrics once, so there is
// one Server to a Registerer.
func New(o Options) *Server {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Active == nil {
		o.Active = func() []report.Call { return nil }
	}
	if o.InboundURL == nil {
		o.InboundURL = func() string { return "" }
	}
	mux := http.NewServeMux()
	s := &Server{in: &server{Options: o}, attempts: newAttempts(o.Logger, o.Registerer)}
	s.in.register(mux)

	mux.HandleFunc("GET /healthz", s.in.alive)
	mux.HandleFunc("GET /readyz", s.in.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /openapi.json", serveDocument(document(s.in.api)))
	if o.Profiling {
		for path, profile := range map[string]http.HandlerFunc{
			"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
			"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
		} {
			mux.Handle("GET "+path, only(RoleAdmin, profile))
		}
	}
	s.inner = route(mux)
	s.own = s.authenticate(s.inner)
	return s
}

// Handler is what the admin listener answers: the API, its description, health
// and metrics, and at every other address the page for people; without a page
// (nil) there is nothing there. The listener, its timeouts and its end are the
// caller's. It is called once.
//
// Without a token it answers /healthz, /readyz, /metrics and /openapi.json,
// which is the same for everybody and holds no secrets. Whom the page lets in
// is the page's to decide (SignIn).
func (s *Server) Handler(page http.Handler) http.Handler {
	if page == nil {
		return s.in.observe(s.own)
	}
	return s.in.observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ours(r.URL.Path) {
			s.own.ServeHTTP(w, r)
			return
		}
		page.ServeHTTP(w, r)
	}))
}

// ours says whether an address belongs to programs. Spellings of one that a
// mux would clean ("//v1/x", "/./v1") belong to the page, which sends nobody
// anywhere but to its own addresses.
func ours(path string) bool {
	return open[path] || path == "/v1" || strings.HasPrefix(path, "/v1/") ||
		path == "/debug" || strings.HasPrefix(path, "/debug/")
}

// register puts the API on a mux.
func (s *server) register(mux *http.ServeMux) {
	s.api = humago.New(mux, settings())
	s.api.UseMiddleware(s.guard)
	s.campaignOperations()
	s.historyOperations()
	s.previewOperations()
	s.linkOperations()
	s.messageOperations()
	s.callOperations()
	s.decisionOperations()
	s.optOutOperations()
	s.senderOperations()
	s.peopleOperations()
	s.serviceOperations()
}

// unescaped reads a number in a query. A "+" that was not escaped arrives as a
// space there, with which no number begins.
func unescaped(number string) string {
	if rest, found := strings.CutPrefix(number, " "); found {
		return "+" + rest
	}
	return number
}

// number reads a number that a request filters by or sends to.
func (s *server) number(text string, where func(detail string) Detail) (phone.Number, error) {
	n, err := phone.Parse(text, s.Rules.Region)
	if err != nil {
		return n, invalid(where("is not a telephone number: write it in E.164 (\"+14155550132\")"))
	}
	return n, nil
}
