package admin

import (
	"context"
	"encoding/json"
	"errors"
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

const (
	one           = campaignsPath + "/billing"
	sendBilling   = one + "/messages"
	linkBilling   = one + "/links"
	optOut        = optOutsPath + "/+14155550139"
	person        = "/v1/people/+14155550139"
	suppression   = "/v1/suppressions/+14155550139"
	available     = sendersPath + "/available?country=US"
	obtained      = sendersPath + "/" + numberToLet
	backToFirst   = one + "/history/1/restore"
	listOfNumbers = "number\n+14155550138\n"

	match = "If-Match: *"
	sms   = `{"to":"+14155550132"}`
)

// operations are all that the API does: a request that is fine, and the role it
// needs.
var operations = []struct {
	method, path, body string
	media              string // of the body; "" for none
	role               Role
	writes             bool // it needs If-Match
}{
	{"GET", campaignsPath, "", "", RoleViewer, false},
	{"POST", campaignsPath, billing, jsonType, RoleEditor, false},
	{"GET", one, "", "", RoleViewer, false},
	{"PUT", one, billing, jsonType, RoleEditor, true},
	{"PATCH", one, `{"name":"x"}`, patchType, RoleEditor, true},
	{"DELETE", one, "", "", RoleEditor, true},
	{"POST", one + "/restore", "", "", RoleEditor, true},
	{"GET", one + "/history", "", "", RoleViewer, false},
	{"GET", one + "/history/1", "", "", RoleViewer, false},
	{"POST", backToFirst, "", "", RoleEditor, true},
	{"POST", one + "/preview", `{"to":"+14155550132"}`, jsonType, RoleViewer, false},
	{"POST", linkBilling, `{"to":"+14155550132"}`, jsonType, RoleAdmin, false},
	{"POST", sendBilling, sms, jsonType, RoleEditor, false},
	{"GET", messagesPath, "", "", RoleViewer, false},
	{"GET", messagesPath + "/x", "", "", RoleViewer, false},
	{"GET", callsPath, "", "", RoleViewer, false},
	{"GET", callsPath + "/x", "", "", RoleViewer, false},
	{"POST", decisionsPath, `{"dnis":"+18005550101","ani":"+14155550132"}`, jsonType, RoleViewer, false},
	{"GET", optOutsPath, "", "", RoleViewer, false},
	{"POST", optOutsPath, listOfNumbers, csvType, RoleEditor, false},
	{"GET", optOut, "", "", RoleViewer, false},
	{"PUT", optOut, `{"reason":"asked by letter"}`, jsonType, RoleEditor, false},
	{"DELETE", optOut, "", "", RoleEditor, false},
	{"GET", sendersPath, "", "", RoleViewer, false},
	{"GET", available, "", "", RoleViewer, false},
	{"POST", sendersPath, obtain, jsonType, RoleAdmin, false},
	{"DELETE", obtained, "", "", RoleAdmin, false},
	{"DELETE", person, "", "", RoleAdmin, false},
	{"DELETE", suppression, "", "", RoleAdmin, false},
	{"GET", "/v1/service", "", "", RoleViewer, false},
	{"PUT", "/v1/service", `{"enabled":true}`, jsonType, RoleAdmin, false},
}

// walk asks, and keeps which answers each operation has given.
type walk struct {
	*fixture
	d    description
	seen map[string]map[string]bool
}

// TestEveryDocumentedStatus provokes each answer that the description
// promises, and finds no other.
func TestEveryDocumentedStatus(t *testing.T) {
	w := &walk{fixture: newGuarded(t, guard.Policy{Countries: []string{"US"}, Suppress: time.Hour}), seen: map[string]map[string]bool{}}
	require.NoError(t, json.Unmarshal([]byte(w.do("GET", "/openapi.json", "").body), &w.d))
	w.refusals()
	w.tooMany()
	w.campaigns()
	w.texts()
	w.optOuts()
	w.senders()
	w.away()
	for path, methods := range w.d.Paths {
		for method, op := range methods {
			require.NotEmpty(t, w.seen[op.OperationID], "%s %s is not among the operations", method, path)
			for code := range op.Responses {
				require.True(t, w.seen[op.OperationID][code], "%s never answered %s", op.OperationID, code)
			}
		}
	}
}

// note keeps an answer, which must be a documented one.
func (w *walk) note(method, path string, code int) {
	w.t.Helper()
	path, _, _ = strings.Cut(path, "?")
	for template, methods := range w.d.Paths {
		form := "^" + regexp.MustCompile(`{[^}]+}`).ReplaceAllString(template, "[^/]+") + "$"
		op, ok := methods[strings.ToLower(method)]
		if !ok || !regexp.MustCompile(form).MatchString(path) {
			continue
		}
		if w.seen[op.OperationID] == nil {
			w.seen[op.OperationID] = map[string]bool{}
		}
		w.seen[op.OperationID][strconv.Itoa(code)] = true
		_, documented := op.Responses[strconv.Itoa(code)]
		require.True(w.t, documented, "%s answers %d, which is not documented", op.OperationID, code)
	}
}

func (w *walk) get(code int, method, path, body string, headers ...string) reply {
	w.t.Helper()
	r := w.do(method, path, body, headers...).want(code)
	w.note(method, path, r.code)
	return r
}

// refusals are what every operation may answer.
func (w *walk) refusals() {
	and := func(path, query string) string {
		return path + map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + query
	}
	broken := w.broken()
	below := map[Role]string{RoleEditor: "look", RoleAdmin: "write"}
	for _, o := range operations {
		media, limit := "Content-Type:"+o.media, maxBody
		if o.media == csvType {
			limit = maxList
		}
		w.get(400, o.method, and(o.path, "a="), o.body, match, media)
		w.get(401, o.method, o.path, o.body, "Authorization:")
		if secret := below[o.role]; secret != "" {
			p := w.get(403, o.method, o.path, o.body, match, media, as(secret)).problem()
			require.Equal(w.t, "role", p.Reason)
			require.Contains(w.t, p.Detail, string(o.role))
		}
		w.get(422, o.method, and(o.path, "a=b"), o.body, match, media)
		if o.body != "" {
			w.get(413, o.method, o.path, strings.Repeat(" ", limit+1), match, media)
			w.get(415, o.method, o.path, o.body, match, "Content-Type: text/plain")
		}
		if o.writes {
			w.get(428, o.method, o.path, o.body)
		}
		w.note(o.method, o.path, broken.do(o.method, o.path, o.body, match, media).want(500).code)
	}
	w.get(403, "POST", sendBilling, sms, as("write")) // what is no test
	w.get(403, "GET", optOutsPath+"?format=csv", "", as("look"))
}

// other is another daemon with other options.
func (f *fixture) other(o Options) *fixture {
	o.Registerer = prometheus.NewRegistry()
	listener := httptest.NewServer(New(o).Handler(nil))
	f.t.Cleanup(listener.Close)
	with := *f
	with.url = listener.URL
	return &with
}

// broken is a daemon that lacks what it works with.
func (f *fixture) broken() *fixture {
	o := f.options
	o.Campaigns, o.Outbox, o.Recorder = nil, nil, nil
	o.OptOuts, o.Guards, o.Senders = nil, nil, nil
	o.Decide = func(context.Context, report.Question) (report.Decision, error) {
		return report.Decision{}, errors.New("some fault")
	}
	return f.other(o)
}

// tooMany asks a daemon that has heard too many wrong tokens.
func (w *walk) tooMany() {
	with := w.other(w.options)
	for _, o := range operations {
		var r reply
		require.Eventually(w.t, func() bool { // one more is looked at now and then
			r = with.do(o.method, o.path, o.body, as("wrong"))
			return r.code != http.StatusUnauthorized
		}, time.Minute, time.Millisecond)
		require.NotEmpty(w.t, r.want(http.StatusTooManyRequests).header.Get("Retry-After"))
		w.note(o.method, o.path, r.code)
	}
}

func (w *walk) campaigns() {
	for _, o := range operations {
		if strings.HasPrefix(o.path, one) {
			w.get(404, o.method, o.path, o.body, match, "Content-Type:"+o.media)
		}
	}
	w.get(201, "POST", campaignsPath, billing)
	w.get(409, "POST", campaignsPath, billing)
	w.get(201, "POST", campaignsPath, campaign("other", "1234567"))
	w.get(200, "GET", campaignsPath, "")
	w.get(200, "GET", one, "")
	w.get(304, "GET", one, "", `If-None-Match: "1"`)
	w.get(200, "PUT", one, billing, match)
	w.get(409, "PUT", one, campaign("billing", "1234567"), match)
	w.get(409, "PATCH", one, `{"dnis":["1234567"]}`, match)
	w.get(200, "PATCH", one, `{"name":"x"}`, match)
	w.get(200, "GET", one+"/history", "")
	w.get(200, "GET", one+"/history/1", "")
	w.get(404, "GET", one+"/history/99", "")
	w.get(404, "POST", one+"/history/99/restore", "", match)
	w.get(200, "POST", backToFirst, "", match)
	w.get(200, "POST", one+"/preview", `{}`)
	w.get(409, "POST", one+"/restore", "", match)
	for _, o := range operations {
		if o.writes {
			w.get(412, o.method, o.path, o.body, `If-Match: "99"`)
		}
	}
	// Another has the number of the first version.
	w.get(200, "PATCH", one, `{"dnis":["+18005550109"]}`, match)
	w.get(201, "POST", campaignsPath, campaign("third", "+18005550101"))
	w.get(409, "POST", backToFirst, "", match)
	w.get(204, "DELETE", one, "", match)
	w.get(200, "POST", one+"/restore", "", match)
}

func (w *walk) texts() {
	r := w.get(202, "POST", sendBilling, sms)
	w.get(200, "GET", r.header.Get("Location"), "")
	w.get(200, "GET", messagesPath, "")
	w.get(201, "POST", linkBilling, `{}`)
	w.get(200, "GET", callsPath, "")
	w.get(404, "GET", messagesPath+"/x", "")
	w.get(404, "GET", callsPath+"/x", "")
	w.recorded("x")
	w.get(200, "GET", callsPath+"/x", "")
	w.get(200, "POST", decisionsPath, `{"dnis":"+18005550101","ani":"+14155550132"}`)
}

func (w *walk) optOuts() {
	w.get(404, "GET", optOut, "")
	w.get(404, "DELETE", optOut, "")
	w.get(201, "PUT", optOut, "")
	w.get(200, "PUT", optOut, "")
	w.get(200, "GET", optOut, "")
	w.get(409, "POST", linkBilling, `{"to":"+14155550139"}`)
	w.get(200, "GET", optOutsPath, "")
	w.get(200, "GET", optOutsPath+"?format=csv", "")
	w.get(200, "POST", optOutsPath, listOfNumbers, "Content-Type:"+csvType)
	w.get(204, "DELETE", optOut, "")
	w.get(200, "DELETE", person, "")
	w.get(404, "DELETE", suppression, "")
	w.failed("+14155550139")
	w.get(204, "DELETE", suppression, "")
}

func (w *walk) senders() {
	w.get(200, "GET", sendersPath, "")
	w.get(200, "GET", available, "")
	w.get(404, "DELETE", obtained, "")
	w.shop.fail(sender.ErrNotAllowed)
	w.get(409, "GET", available, "")
	w.shop.fail(sender.ErrProvider)
	w.get(502, "GET", available, "")
	w.get(502, "POST", sendersPath, obtain)
	w.shop.fail(nil)
	w.get(201, "POST", sendersPath, obtain)
	w.get(409, "POST", sendersPath, obtain)
	w.shop.fail(sender.ErrNotAllowed)
	w.get(409, "DELETE", obtained, "")
	w.shop.fail(sender.ErrProvider)
	w.get(502, "DELETE", obtained, "")
	w.shop.fail(nil)
	w.get(204, "DELETE", obtained, "")
	w.get(200, "GET", "/v1/service", "")
	w.get(200, "PUT", "/v1/service", `{"enabled":false}`)
	w.get(409, "POST", sendBilling, sms)
}

// away has Redis gone.
func (w *walk) away() {
	require.NoError(w.t, w.redis.Kill())
	var asking []request
	for _, o := range operations {
		if o.path != available { // the provider alone is asked
			asking = append(asking, request{o.method, o.path, o.body, []string{match, "Content-Type:" + o.media}})
		}
	}
	w.all(asking, func(q request, r reply) {
		w.t.Helper()
		require.Equal(w.t, http.StatusServiceUnavailable, r.code, "%s %s: %s", q.method, q.path, r.body)
		w.note(q.method, q.path, r.code)
	})
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
