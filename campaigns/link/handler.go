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
)

// HandlerOptions are the settings of a Handler.
type HandlerOptions struct {
	Store      *Store
	Timeout    time.Duration // for one look into the store; 2 s by default
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Handler answers GET and HEAD /{code} with a redirect to the interaction. It
// is what the internet reaches: it changes nothing but counters, ignores
// queries, and tells a stranger nothing about who a link is for.
type Handler struct {
	o     HandlerOptions
	opens *prometheus.CounterVec
}

// NewHandler makes a Handler and registers its metrics.
func NewHandler(o HandlerOptions) *Handler {
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{o: o, opens: promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "deflectd_link_opens_total",
		Help: "Short links opened, by campaign and by who seems to have opened them (human or bot).",
	}, []string{"campaign", "visitor"})}
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		respond(w, r, http.StatusMethodNotAllowed, pageMethod)
		return
	}
	code := strings.TrimPrefix(r.URL.Path, "/")
	ctx, cancel := context.WithTimeout(r.Context(), h.o.Timeout)
	defer cancel()
	by := visitorOf(r)
	link, err := h.o.Store.open(ctx, code, by)
	switch {
	case errors.Is(err, ErrUnknown):
		respond(w, r, http.StatusNotFound, pageUnknown)
	case errors.Is(err, ErrExpired):
		respond(w, r, http.StatusGone, pageExpired)
	case err != nil:
		h.o.Logger.ErrorContext(ctx, "short link cannot be looked up", "error", err)
		w.Header().Set("Retry-After", "5")
		respond(w, r, http.StatusServiceUnavailable, pageUnavailable)
	default:
		h.opens.WithLabelValues(link.Campaign, string(by)).Inc()
		w.Header().Set("Location", link.URL)
		respond(w, r, http.StatusFound, pageFound)
	}
}
