package messagebird

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
)

// target is the path and query of a report on message m1.
func target(query string) string {
	return reportPath + token(testSecret, "m1") + "?reference=m1&" + query
}

func TestDeliveryReports(t *testing.T) {
	var got message.Report
	var answer error
	reg := prometheus.NewPedanticRegistry()
	h, err := NewReports(WebhookOptions{Secret: secret, Registerer: reg}, func(_ context.Context, r message.Report) error {
		got = r
		return answer
	})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(ReportPattern, h)

	report := func(s message.State, reason string) message.Report {
		return message.Report{Message: "m1", ProviderID: "x", State: s, Reason: reason}
	}
	for name, c := range map[string]struct {
		target string
		store  error
		status int
		result result
		report message.Report
	}{
		"sent":      {target: target("id=x&status=sent"), status: 200, result: taken, report: report(message.Accepted, "")},
		"buffered":  {target: target("id=x&status=buffered"), status: 200, result: taken, report: report(message.Accepted, "")},
		"scheduled": {target: target("id=x&status=scheduled"), status: 200, result: taken, report: report(message.Accepted, "")},
		"delivered": {
			target: target("id=x&status=delivered&statusReason=successfully+delivered&statusErrorCode=0&recipient=14155550132" +
				"&statusDatetime=2026-01-02T10:03:05%2B00:00&mccmnc=310410&messagePartCount=1&price[amount]=0.07&price[currency]=EUR"),
			status: 200, result: taken, report: report(message.Delivered, ""),
		},
		"expired":   {target: target("id=x&status=expired"), status: 200, result: taken, report: report(message.Expired, "expired")},
		"failed":    {target: target("id=x&status=delivery_failed"), status: 200, result: taken, report: report(message.Failed, "undelivered")},
		"opted out": {target: target("id=x&status=delivery_failed&statusErrorCode=103"), status: 200, result: taken, report: report(message.Failed, "opted_out")},
		"unknown subscriber": {
			target: target("id=x&status=delivery_failed&statusReason=Unknown+subscriber&statusErrorCode=1"),
			status: 200, result: taken, report: message.Report{
				Message: "m1", ProviderID: "x", State: message.Failed, Reason: "unknown_subscriber", Permanent: true,
			},
		},
		"long id":         {target: target("id=" + strings.Repeat("x", 200) + "&status=sent"), status: 200, result: taken, report: message.Report{Message: "m1", State: message.Accepted}},
		"unknown status":  {target: target("id=x&status=teleported"), status: 200, result: unknownStatus},
		"no status":       {target: target("id=x"), status: 200, result: unknownStatus},
		"unknown message": {target: target("id=x&status=sent"), store: message.ErrNotFound, status: 200, result: unknownMessage, report: report(message.Accepted, "")},
		"store away":      {target: target("id=x&status=sent"), store: message.ErrStore, status: 503, result: storeDown, report: report(message.Accepted, "")},
		"other error":     {target: target("id=x&status=sent"), store: errors.New("?"), status: 503, result: storeDown, report: report(message.Accepted, "")},
		"wrong token":     {target: reportPath + "AAAAAAAAAAAAAAAAAAAAAA?reference=m1&status=sent", status: 401, result: badToken},
		"other message":   {target: reportPath + token(testSecret, "m2") + "?reference=m1&status=sent", status: 401, result: badToken},
		"no reference":    {target: reportPath + token(testSecret, "m1") + "?status=sent", status: 401, result: badToken},
		"long reference":  {target: reportPath + token(testSecret, strings.Repeat("m", 200)) + "?status=sent&reference=" + strings.Repeat("m", 200), status: 401, result: badToken},
		"broken query":    {target: reportPath + token(testSecret, "m1") + "?reference=%zz;&status=sent", status: 401, result: badToken},
	} {
		t.Run(name, func(t *testing.T) {
			got, answer = message.Report{}, c.store
			before := testutil.ToFloat64(h.results.WithLabelValues(string(c.result)))
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.target, nil))
			assert.Equal(t, c.status, w.Code)
			assert.Equal(t, c.report, got)
			assert.InDelta(t, before+1, testutil.ToFloat64(h.results.WithLabelValues(string(c.result))), 0)
		})
	}
	for _, method := range []string{http.MethodPost, http.MethodHead} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, target("status=delivered"), nil))
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
	}
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

// No token is right while the secret is unknown; but a genuine report must come
// again, and MessageBird repeats what is not answered 200.
func TestWithoutTheSecretReportsComeAgain(t *testing.T) {
	var known []byte
	taken := 0
	h, err := NewReports(WebhookOptions{Secret: func() []byte { return known }}, func(context.Context, message.Report) error {
		taken++
		return nil
	})
	require.NoError(t, err)
	ask := func(token string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, reportPath+token+"?reference=m1&status=sent", nil))
		return w
	}
	for _, token := range []string{token(testSecret, "m1"), token(nil, "m1"), "AAAAAAAAAAAAAAAAAAAAAA"} {
		w := ask(token)
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Equal(t, "10", w.Header().Get("Retry-After"))
	}
	assert.Zero(t, taken)
	assert.InDelta(t, 3, testutil.ToFloat64(h.results.WithLabelValues(string(noSecret))), 0)
	known = testSecret
	assert.Equal(t, http.StatusUnauthorized, ask(token(nil, "m1")).Code)
	assert.Equal(t, http.StatusOK, ask(token(testSecret, "m1")).Code)
	assert.Equal(t, 1, taken)
}

// What a report says in codes and words has one meaning each.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		status, code, words string
		reason              string
		permanent           bool
	}{
		{"delivery_failed", "1", "", "unknown_subscriber", true},
		{"delivery_failed", "1", "generic delivery failure", "unknown_subscriber", true},
		{"delivery_failed", "5", "unknown subscriber", "unknown_subscriber", false},
		{"delivery_failed", "9", "unknown subscriber", "unknown_subscriber", true},
		{"delivery_failed", "11", "unknown subscriber", "no_sms_service", true},
		{"delivery_failed", "13", "", "barred", false},
		{"delivery_failed", "27", "unavailable subscriber", "unavailable_subscriber", false},
		{"delivery_failed", "33", "", "capacity_limit", false},
		{"delivery_failed", "34", "received network error", "network_error", false},
		{"delivery_failed", "103", "", "opted_out", false},
		{"delivery_failed", "103", "unknown subscriber", "opted_out", false},
		{"delivery_failed", "", "Opted Out", "opted_out", false},
		{"delivery_failed", "0", "unknown subscriber", "unknown_subscriber", true},
		{"delivery_failed", "", "unknown_subscriber", "unknown_subscriber", true},
		{"delivery_failed", "", "carrier rejected", "carrier_rejected", false},
		{"delivery_failed", "4711", "insufficient balance", "no_balance", false},
		{"delivery_failed", "", "", "undelivered", false},
		{"delivery_failed", "x", "it has 14155550132 in it", "undelivered", false},
		{"expired", "", "", "expired", false},
		{"expired", "27", "", "unavailable_subscriber", false},
		{"expired", "1", "", "unknown_subscriber", false},
		{"delivered", "1", "unknown subscriber", "", false},
		{"buffered", "27", "", "", false},
	} {
		r, ok := parseReport(url.Values{
			"reference": {"m1"}, "status": {c.status}, "statusErrorCode": {c.code}, "statusReason": {c.words},
		})
		require.True(t, ok)
		assert.Equal(t, c.reason, r.Reason, c)
		assert.Equal(t, c.permanent, r.Permanent, c)
	}
}

// Of a parameter that is there twice the first counts: for the token and for the
// report. So nobody who knows the token of one text can report on another.
func TestParametersThatAreThereTwice(t *testing.T) {
	l := listen(t, nil, func(o *WebhookOptions) { o.SigningKey = "" })
	assert.Equal(t, 200, l.do(t, report("status=delivered&reference=m2&status=sent&id=a&id=b")))
	assert.Equal(t, []message.Report{{Message: "m1", ProviderID: "a", State: message.Delivered}}, l.got)
	c := call{method: http.MethodGet, target: reportPath + token(testSecret, "m2") + "?reference=m1&reference=m2&status=delivered"}
	assert.Equal(t, 401, l.do(t, c))
	assert.Equal(t, 200, l.do(t, texting("originator=14155550132&body=STOP&body=START&originator=14155550133")))
	require.Len(t, l.heard, 1)
	assert.Equal(t, "14155550132", l.heard[0].From)
	assert.Equal(t, "STOP", l.heard[0].Body)
}

// A signed report needs no token; but of whom it speaks must be one of ours.
func TestSignedReportsOnOthersTexts(t *testing.T) {
	l := listen(t, connect(t, server))
	for _, reference := range []string{"", "&reference=", "&reference=the+weather", "&reference=a:b", "&reference=" + strings.Repeat("m", 129)} {
		c := call{method: http.MethodGet, target: reportPath + "?status=delivered" + reference}
		assert.Equal(t, 401, l.do(t, c))
		assert.Equal(t, 200, l.do(t, c.signed(t)))
	}
	assert.Zero(t, l.taken())
	assert.Equal(t, 5, l.counted(unknownMessage))
}

func TestTokens(t *testing.T) {
	assert.Len(t, token(testSecret, "m1"), 22)
	assert.NotEqual(t, token(testSecret, "m1"), token(testSecret, "m2"))
	assert.Equal(t, token(testSecret, "m1"), url.PathEscape(token(testSecret, "m1")), "it needs no escaping")
}

func FuzzReport(f *testing.F) {
	for _, s := range []string{
		"", "status=delivered", "id=x&reference=m1&status=sent", "status=delivery_failed&statusErrorCode=103",
		"status=expired&statusReason=unknown+subscriber", "%zz", "status=sent;reference=m1", "reference=m1&reference=m2",
		"id=" + strings.Repeat("x", 300) + "&status=buffered", "price[amount]=0.07&status=DELIVERED",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		query, _ := url.ParseQuery(raw)
		r, ok := parseReport(query)
		if !ok {
			return
		}
		known := r.State == message.Accepted || r.State == message.Delivered || r.State == message.Failed || r.State == message.Expired
		if !known || len(r.ProviderID) > maxField || len(r.Reason) > 32 || r.Message != query.Get("reference") {
			t.Fatalf("%q is read as %+v", raw, r)
		}
		if r.Permanent && r.State != message.Failed {
			t.Fatalf("%q is read as %+v", raw, r)
		}
		if bad := r.State == message.Failed || r.State == message.Expired; bad != (r.Reason != "") {
			t.Fatalf("%q is read as %+v", raw, r)
		}
	})
}
