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

// Handler makes the interface. The listener, its timeouts and its end are the
// caller's.
//
// Without a token it answers /healthz, /readyz, /metrics and /openapi.json,
// which is the same for everybody and holds no secrets.
func Handler(o Options) http.Handler {
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
	s := &server{Options: o}
	s.register(mux)

	mux.HandleFunc("GET /healthz", s.alive)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /openapi.json", serveDocument(document(s.api)))
	if o.Profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return s.observe(s.authenticate(route(mux)))
}

// register puts the API on a mux.
func (s *server) register(mux *http.ServeMux) {
	s.api = humago.New(mux, settings())
	s.api.UseMiddleware(s.guard)
	s.campaignOperations()
	s.messageOperations()
	s.callOperations()
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
