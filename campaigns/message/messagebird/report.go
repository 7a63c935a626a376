package messagebird

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"deflectd/campaigns/message"
)

// maxField is the longest value of a report that is looked at: a reference has
// at most 128 characters.
const maxField = 128

// ReportPattern is where the Reports belong on the public listener's ServeMux.
const ReportPattern = "GET " + reportPath + "{token}"

// states are the statuses of a delivery report. The first three are on the way.
var states = map[string]message.State{
	"scheduled":       message.Accepted,
	"sent":            message.Accepted,
	"buffered":        message.Accepted,
	"delivered":       message.Delivered,
	"expired":         message.Expired,
	"delivery_failed": message.Failed,
}

// reasons are what a report may say of a text that did not arrive.
var reasons = map[string]string{
	"unknown subscriber":       "unknown_subscriber",
	"unavailable subscriber":   "unavailable_subscriber",
	"unidentified subscriber":  "unknown_subscriber",
	"carrier rejected":         "carrier_rejected",
	"capacity limit reached":   "capacity_limit",
	"received network error":   "network_error",
	"insufficient balance":     "no_balance",
	"opted out":                "opted_out",
	"generic delivery failure": "undelivered",
}

// optedOut is the statusErrorCode of a recipient that has opted out.
const optedOut = "103"

// What became of a report, as counted.
const (
	taken          = "taken"
	badToken       = "bad_token"
	noSecret       = "no_secret"
	unknownStatus  = "unknown_status"
	unknownMessage = "unknown_message"
	storeDown      = "store_down"
)

// Reports takes MessageBird's delivery reports:
//
//	GET /webhooks/messagebird/report/{token}?id=…&reference=…&status=…&statusReason=…&statusErrorCode=…
//
// It answers 200 to whatever the right token comes with, for MessageBird
// repeats a report until then; 401 to any other token; and 503 when the report
// could not be written, or not be told from a forged one because the service
// secret is not known yet, and should come again.
type Reports struct {
	secret  func() []byte
	report  func(context.Context, message.Report) error
	log     *slog.Logger
	results *prometheus.CounterVec
}

// NewReports hands every genuine report to report.
func NewReports(secret func() []byte, report func(context.Context, message.Report) error, log *slog.Logger, r prometheus.Registerer) *Reports {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Reports{
		secret: secret, report: report, log: log,
		results: promauto.With(r).NewCounterVec(prometheus.CounterOpts{
			Name: "deflectd_messagebird_reports_total",
			Help: "Delivery reports from MessageBird, by what became of them.",
		}, []string{"result"}),
	}
}

// ServeHTTP implements http.Handler.
func (h *Reports) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	result := h.take(r)
	h.results.WithLabelValues(result).Inc()
	switch result {
	case badToken:
		http.Error(w, "not a report of ours", http.StatusUnauthorized)
	case storeDown, noSecret:
		w.Header().Set("Retry-After", "10")
		http.Error(w, "not now", http.StatusServiceUnavailable)
	default:
		_, _ = w.Write([]byte("OK\n"))
	}
}

// take reads one report and says what became of it.
func (h *Reports) take(r *http.Request) string {
	given, _ := strings.CutPrefix(r.URL.Path, reportPath)
	// Whatever of a query cannot be read is not there.
	query, _ := url.ParseQuery(r.URL.RawQuery)
	id := query.Get("reference")
	secret := h.secret()
	switch {
	case len(id) > maxField:
		return badToken
	case len(secret) == 0:
		return noSecret
	case !validToken(secret, id, given):
		return badToken
	}
	report, ok := parseReport(query)
	if !ok {
		h.log.Warn("a delivery report has an unknown status", "message", id)
		return unknownStatus
	}
	switch err := h.report(r.Context(), report); {
	case err == nil:
		return taken
	case errors.Is(err, message.ErrNotFound):
		return unknownMessage
	default:
		h.log.Warn("a delivery report could not be taken", "message", id, "error", err)
		return storeDown
	}
}

// parseReport reads the query of a delivery report; it answers false for a
// status that is not known.
func parseReport(query url.Values) (message.Report, bool) {
	state, ok := states[query.Get("status")]
	if !ok {
		return message.Report{}, false
	}
	report := message.Report{Message: query.Get("reference"), State: state}
	if id := query.Get("id"); len(id) <= maxField {
		report.ProviderID = id
	}
	if state == message.Failed || state == message.Expired {
		report.Reason = reason(state, query.Get("statusReason"), query.Get("statusErrorCode"))
	}
	return report, true
}

// reason is why a text did not arrive, in a word of ours.
func reason(s message.State, said, code string) string {
	if code == optedOut {
		return "opted_out"
	}
	if known, ok := reasons[strings.ToLower(said)]; ok {
		return known
	}
	if s == message.Expired {
		return "expired"
	}
	return "undelivered"
}
