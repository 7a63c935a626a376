package messagebird

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"deflectd/campaigns/message"
)

// ReportPattern is where the Reports belong on the public listener's ServeMux.
const ReportPattern = "GET " + reportPath + "{token...}"

// states are the statuses of a delivery report. The first three are on the way.
var states = map[string]message.State{
	"scheduled":       message.Accepted,
	"sent":            message.Accepted,
	"buffered":        message.Accepted,
	"delivered":       message.Delivered,
	"expired":         message.Expired,
	"delivery_failed": message.Failed,
}

// Reports takes MessageBird's delivery reports:
//
//	GET /webhooks/messagebird/report/{token}?id=…&reference=…&status=…&statusReason=…&statusErrorCode=…
//
// What is genuine, and how it is answered, says the documentation of the
// package. Reports may repeat and come in any order.
type Reports struct {
	*webhook
	report func(context.Context, message.Report) error
}

// NewReports hands every genuine report to report, whose errors say that the
// report should come again, but for message.ErrNotFound.
func NewReports(o WebhookOptions, report func(context.Context, message.Report) error) (*Reports, error) {
	h, err := newWebhook(o, http.MethodGet, prometheus.CounterOpts{
		Name: "deflectd_messagebird_reports_total",
		Help: "Delivery reports from MessageBird, by what became of them.",
	})
	if err != nil {
		return nil, fmt.Errorf("take delivery reports: %w", err)
	}
	return &Reports{webhook: h, report: report}, nil
}

// ServeHTTP implements http.Handler.
func (h *Reports) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Whatever of a query cannot be read is not there; of a parameter that is
	// there twice, the first counts: for the token and for the report.
	query, _ := url.ParseQuery(r.URL.RawQuery)
	reference := query.Get("reference")
	genuine := func(secret []byte) bool {
		given, _ := strings.CutPrefix(r.URL.Path, reportPath)
		return len(reference) <= maxField && validToken(secret, reference, given)
	}
	h.serve(w, r, genuine, func(ctx context.Context, _ []byte) result { return h.take(ctx, query) })
}

// take takes one report that is genuine.
func (h *Reports) take(ctx context.Context, query url.Values) result {
	report, ok := parseReport(query)
	switch {
	case !isID(report.Message):
		return unknownMessage
	case !ok:
		h.log.WarnContext(ctx, "a delivery report has an unknown status", "message", report.Message)
		return unknownStatus
	}
	switch err := h.report(ctx, report); {
	case err == nil:
		return taken
	case errors.Is(err, message.ErrNotFound):
		return unknownMessage
	default:
		h.log.WarnContext(ctx, "a delivery report could not be taken", "message", report.Message, "error", err)
		return storeDown
	}
}

// parseReport reads the query of a delivery report; it answers false for a
// status that is not known.
func parseReport(query url.Values) (message.Report, bool) {
	report := message.Report{Message: query.Get("reference")}
	state, ok := states[query.Get("status")]
	if !ok {
		return report, false
	}
	report.State = state
	if id := query.Get("id"); len(id) <= maxField {
		report.ProviderID = id
	}
	if state == message.Failed || state == message.Expired {
		why := failureOf(state, query.Get("statusErrorCode"), query.Get("statusReason"))
		report.Reason = why.reason
		// What expired may only have been sent too late.
		report.Permanent = why.permanent && state == message.Failed
	}
	return report, true
}

// isID tells what may be the id of a message from what certainly is none: texts
// that others send through the same account have references of their own.
func isID(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return s != "" && len(s) <= maxField
}
