package link

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"
)

// What strangers may ask of the store, which live calls wait for too.
const (
	// maxAtOnce is how many look-ups are under way at most: a quarter of the 64
	// connections to Redis. Each takes well below a millisecond, so that more
	// are under way only where Redis is slow, and then calls come first.
	maxAtOnce = 16
	// maxPerSecond is how many are begun at most, and as many may come at once.
	// Two hundred texts a second, each opened by a preview and by its reader,
	// take less than half of it; trying codes at that rate finds none of them.
	maxPerSecond = 1000
)

// retryAfter is when to try again, in seconds.
const retryAfter = "5"

// HandlerOptions are the settings of a Handler.
type HandlerOptions struct {
	Redis      redis.UniversalClient
	Timeout    time.Duration // for one look into the store; 2 s by default
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Handler answers GET and HEAD /{code} with a redirect to the interaction. It
// is what the internet reaches: it changes nothing but counters, ignores
// queries, and tells a stranger nothing about who a link is for.
//
// Look-ups are bounded, at once and by the second, over all clients together:
// who asks for more is told to try again (503). The share of one client is not
// bounded here: behind a proxy all clients have the proxy's address, and which
// of its headers can be believed only its operator knows.
type Handler struct {
	o       HandlerOptions
	busy    chan struct{} // a place for each look-up under way
	pace    *rate.Limiter
	opens   *prometheus.CounterVec
	refused prometheus.Counter
}

// NewHandler makes a Handler and registers its metrics.
func NewHandler(o HandlerOptions) *Handler {
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	metrics := promauto.With(o.Registerer)
	return &Handler{
		o:    o,
		busy: make(chan struct{}, maxAtOnce),
		pace: rate.NewLimiter(maxPerSecond, maxPerSecond),
		opens: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "deflectd_link_opens_total",
			Help: "Short links opened, by campaign and by who seems to have opened them (human or bot).",
		}, []string{"campaign", "visitor"}),
		refused: metrics.NewCounter(prometheus.CounterOpts{
			Name: "deflectd_link_refused_total",
			Help: "Short links not looked up, because too many were asked for at the time.",
		}),
	}
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		respond(w, r, http.StatusMethodNotAllowed, pageMethod)
		return
	}
	code := strings.TrimPrefix(r.URL.Path, "/")
	if !isCode(code) {
		respond(w, r, http.StatusNotFound, pageUnknown)
		return
	}
	select {
	case h.busy <- struct{}{}:
		defer func() { <-h.busy }()
	default:
		h.refuse(w, r)
		return
	}
	if !h.pace.Allow() {
		h.refuse(w, r)
		return
	}
	h.redirect(w, r, code)
}

// refuse turns away who comes while too much is asked for.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request) {
	h.refused.Inc()
	w.Header().Set("Retry-After", retryAfter)
	respond(w, r, http.StatusServiceUnavailable, pageUnavailable)
}

// redirect looks a code up and leads to the interaction.
func (h *Handler) redirect(w http.ResponseWriter, r *http.Request, code string) {
	ctx, cancel := context.WithTimeout(r.Context(), h.o.Timeout)
	defer cancel()
	by := visitorOf(r)
	link, err := open(ctx, h.o.Redis, code, by)
	switch {
	case errors.Is(err, errUnknown):
		respond(w, r, http.StatusNotFound, pageUnknown)
	case errors.Is(err, errExpired):
		respond(w, r, http.StatusGone, pageExpired)
	case err != nil:
		h.o.Logger.ErrorContext(ctx, "short link cannot be looked up", "error", err)
		w.Header().Set("Retry-After", retryAfter)
		respond(w, r, http.StatusServiceUnavailable, pageUnavailable)
	default:
		h.opens.WithLabelValues(link.campaign, string(by)).Inc()
		w.Header().Set("Location", link.url)
		respond(w, r, http.StatusFound, pageFound)
	}
}
