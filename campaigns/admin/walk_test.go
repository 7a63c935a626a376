package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/campaigns/sender"
)

// TestEveryDocumentedStatus provokes each answer that the description
// promises, and finds no other.
func TestEveryDocumentedStatus(t *testing.T) {
	f := newGuarded(t, guard.Policy{Countries: []string{"US"}, Suppress: time.Hour})
	var d description
	require.NoError(t, json.Unmarshal([]byte(f.do("GET", "/openapi.json", "").body), &d))
	seen := map[string]map[string]bool{}
	note := func(method, path string, code int) {
		path, _, _ = strings.Cut(path, "?")
		for template, methods := range d.Paths {
			form := "^" + regexp.MustCompile(`{[^}]+}`).ReplaceAllString(template, "[^/]+") + "$"
			op, ok := methods[strings.ToLower(method)]
			if !ok || !regexp.MustCompile(form).MatchString(path) {
				continue
			}
			if seen[op.OperationID] == nil {
				seen[op.OperationID] = map[string]bool{}
			}
			seen[op.OperationID][strconv.Itoa(code)] = true
			_, documented := op.Responses[strconv.Itoa(code)]
			require.True(t, documented, "%s answers %d, which is not documented", op.OperationID, code)
		}
	}
	do := func(code int, method, path, body string, headers ...string) {
		t.Helper()
		note(method, path, f.do(method, path, body, headers...).want(code).code)
	}
	const one, send = "/v1/campaigns/billing", "/v1/campaigns/billing/messages"
	const optOut, person, suppression = optOutsPath + "/+14155550139", "/v1/people/+14155550139", "/v1/suppressions/+14155550139"
	const available, obtained = sendersPath + "/available?country=US", sendersPath + "/" + numberToLet
	const csv, isCSV = "number\n+14155550138\n", "Content-Type: " + csvType
	match, sms := "If-Match: *", `{"to":"+14155550132"}`
	all := []struct{ method, path, body string }{
		{"GET", campaignsPath, ""},
		{"POST", campaignsPath, billing},
		{"GET", one, ""},
		{"PUT", one, billing},
		{"PATCH", one, `{"name":"x"}`},
		{"DELETE", one, ""},
		{"POST", send, sms},
		{"GET", messagesPath, ""},
		{"GET", messagesPath + "/x", ""},
		{"GET", callsPath, ""},
		{"GET", callsPath + "/x", ""},
		{"GET", optOutsPath, ""},
		{"POST", optOutsPath, csv},
		{"GET", optOut, ""},
		{"PUT", optOut, `{"reason":"asked by letter"}`},
		{"DELETE", optOut, ""},
		{"GET", sendersPath, ""},
		{"GET", available, ""},
		{"POST", sendersPath, obtain},
		{"DELETE", obtained, ""},
		{"DELETE", person, ""},
		{"DELETE", suppression, ""},
		{"GET", "/v1/service", ""},
		{"PUT", "/v1/service", `{"enabled":true}`},
	}
	and := func(path, query string) string {
		return path + map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + query
	}
	for _, o := range all {
		media := "Content-Type:"
		limit := maxBody
		switch {
		case o.body == csv:
			media, limit = isCSV, maxList
		case o.method == "PATCH":
			media += patchType
		case o.body != "":
			media += jsonType
		}
		do(400, o.method, and(o.path, "a="), o.body, match, media)
		do(401, o.method, o.path, o.body, "Authorization:")
		do(403, o.method, o.path, o.body, "Authorization: Bearer look")
		do(422, o.method, and(o.path, "a=b"), o.body, match, media)
		if o.body != "" {
			do(413, o.method, o.path, strings.Repeat(" ", limit+1), match, media)
			do(415, o.method, o.path, o.body, match, "Content-Type: text/plain")
		}
		note(o.method, o.path, f.broken(o.method, o.path, o.body, media))
	}
	do(404, "GET", one, "")
	do(404, "PUT", one, billing, match)
	do(404, "PATCH", one, `{"name":"x"}`, match)
	do(404, "DELETE", one, "", match)
	do(404, "POST", send, sms)
	do(404, "GET", messagesPath+"/x", "")
	do(404, "GET", callsPath+"/x", "")
	do(201, "POST", campaignsPath, billing)
	do(409, "POST", campaignsPath, billing)
	do(201, "POST", campaignsPath, campaign("other", "1234567"))
	do(200, "GET", campaignsPath, "")
	do(200, "GET", one, "")
	do(304, "GET", one, "", `If-None-Match: "1"`)
	do(200, "PUT", one, billing, match)
	do(409, "PUT", one, campaign("billing", "1234567"), match)
	do(409, "PATCH", one, `{"dnis":["1234567"]}`, match)
	do(200, "PATCH", one, `{"name":"x"}`, match)
	for _, o := range all[3:6] {
		do(412, o.method, o.path, o.body, `If-Match: "99"`)
		do(428, o.method, o.path, o.body)
	}
	r := f.do("POST", send, sms)
	note("POST", send, r.want(202).code)
	do(200, "GET", r.header.Get("Location"), "")
	do(200, "GET", messagesPath, "")
	do(200, "GET", callsPath, "")
	f.recorded("x")
	do(200, "GET", callsPath+"/x", "")
	do(404, "GET", optOut, "")
	do(404, "DELETE", optOut, "")
	do(201, "PUT", optOut, "")
	do(200, "PUT", optOut, "")
	do(200, "GET", optOut, "")
	do(200, "GET", optOutsPath, "")
	do(200, "GET", optOutsPath+"?format=csv", "")
	do(200, "POST", optOutsPath, csv, isCSV)
	do(204, "DELETE", optOut, "")
	do(200, "DELETE", person, "")
	do(404, "DELETE", suppression, "")
	f.failed("+14155550139")
	do(204, "DELETE", suppression, "")
	do(200, "GET", sendersPath, "")
	do(200, "GET", available, "")
	do(404, "DELETE", obtained, "")
	f.shop.fail(sender.ErrNotAllowed)
	do(409, "GET", available, "")
	f.shop.fail(sender.ErrProvider)
	do(502, "GET", available, "")
	do(502, "POST", sendersPath, obtain)
	f.shop.fail(nil)
	do(201, "POST", sendersPath, obtain)
	do(409, "POST", sendersPath, obtain)
	f.shop.fail(sender.ErrNotAllowed)
	do(409, "DELETE", obtained, "")
	f.shop.fail(sender.ErrProvider)
	do(502, "DELETE", obtained, "")
	f.shop.fail(nil)
	do(204, "DELETE", obtained, "")
	do(200, "GET", "/v1/service", "")
	do(200, "PUT", "/v1/service", `{"enabled":false}`)
	do(409, "POST", send, sms)
	do(204, "DELETE", one, "", match)
	require.NoError(t, f.redis.Kill())
	for _, o := range all {
		switch {
		case o.body == csv:
			do(503, o.method, o.path, o.body, isCSV)
		case o.path != available: // the provider alone is asked
			do(503, o.method, o.path, o.body, match)
		}
	}
	for _, methods := range d.Paths {
		for _, op := range methods {
			for code := range op.Responses {
				require.True(t, seen[op.OperationID][code], "%s never answered %s", op.OperationID, code)
			}
		}
	}
}

// broken asks a daemon that lacks what it works with.
func (f *fixture) broken(method, path, body, media string) int {
	f.t.Helper()
	o := f.options
	o.Campaigns, o.Outbox, o.Recorder, o.Registerer = nil, nil, nil, prometheus.NewRegistry()
	o.OptOuts, o.Guards, o.Senders = nil, nil, nil
	listener := httptest.NewServer(Handler(o))
	defer listener.Close()
	with := *f
	with.url = listener.URL
	return with.do(method, path, body, "If-Match: *", media).want(http.StatusInternalServerError).code
}

// recorded waits until a call has its record.
func (f *fixture) recorded(id string) {
	f.t.Helper()
	f.options.Recorder.Record(report.Call{ID: id, Outcome: report.Passed, Reason: report.NoCampaign})
	f.awaitCall(id)
}

// failed has a text to a number fail for good.
func (f *fixture) failed(e164 string) {
	f.t.Helper()
	m := f.texted(`{"to":"` + e164 + `"}`)
	require.NoError(f.t, f.outbox.Report(f.t.Context(), message.Report{
		Message: m.ID, ProviderID: "p1", State: message.Failed, Reason: "unknown_number", Permanent: true,
	}))
}
