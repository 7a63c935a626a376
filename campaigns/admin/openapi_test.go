package admin

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/report"
)

var update = flag.Bool("update", false, "write the generated documentation")

const committed = "../../docs/openapi.json"

// description is as much of an OpenAPI document as these tests look at.
type description struct {
	OpenAPI    string
	Paths      map[string]map[string]operationDescription
	Components struct {
		Schemas         map[string]json.RawMessage
		SecuritySchemes map[string]struct{ Type, Scheme string }
	}
	Security []map[string][]string
}

type operationDescription struct {
	OperationID string
	Summary     string
	Tags        []string
	Parameters  []struct {
		Name, In, Description string
		Schema                json.RawMessage
	}
	RequestBody *struct {
		Content map[string]struct{ Schema json.RawMessage }
	}
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Schema json.RawMessage }
	}
}

func TestDescriptionIsInStep(t *testing.T) {
	f := newFixture(t)
	now := f.do("GET", "/openapi.json", "", "Authorization:").want(200)
	require.Equal(t, "application/openapi+json", now.header.Get("Content-Type"))
	if *update {
		require.NoError(t, os.WriteFile(committed, []byte(now.body), 0o644))
	}
	old, err := os.ReadFile(committed)
	require.NoError(t, err)
	require.Equal(t, string(old), now.body, "docs/openapi.json is old: go test ./campaigns/admin -run Description -update")
}

func TestDescriptionIsSound(t *testing.T) {
	f := newFixture(t)
	body := f.do("GET", "/openapi.json", "").body
	var d description
	require.NoError(t, json.Unmarshal([]byte(body), &d))
	require.Equal(t, "3.1.0", d.OpenAPI)
	require.Equal(t, "bearer", d.Components.SecuritySchemes["token"].Scheme)
	require.Contains(t, d.Security[0], "token")
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(body, -1) {
		require.Contains(t, d.Components.Schemas, ref[1])
	}
	require.NotContains(t, body, `"nullable"`, "that is OpenAPI 3.0")
	ids := map[string]bool{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			name := method + " " + path
			require.NotEmpty(t, op.Summary, name)
			require.NotEmpty(t, op.Tags, name)
			require.NotEmpty(t, op.OperationID, name)
			require.False(t, ids[op.OperationID], name)
			ids[op.OperationID] = true
			described := map[string]bool{}
			for _, p := range op.Parameters {
				require.NotEmpty(t, p.Description, "%s: %s", name, p.Name)
				require.NotEmpty(t, p.Schema, "%s: %s", name, p.Name)
				described[p.In+" "+p.Name] = true
			}
			for _, part := range regexp.MustCompile(`{([^}]+)}`).FindAllStringSubmatch(path, -1) {
				require.True(t, described["path "+part[1]], name)
			}
			for code, r := range op.Responses {
				require.NotEmpty(t, r.Description, "%s: %s", name, code)
				if code >= "400" {
					require.Contains(t, r.Content, problemType, "%s: %s", name, code)
				}
			}
		}
	}
	require.Len(t, ids, 13)
}

// TestEveryDocumentedStatus provokes each answer that the description
// promises, and finds no other.
func TestEveryDocumentedStatus(t *testing.T) {
	f := newFixture(t)
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
		{"GET", "/v1/service", ""},
		{"PUT", "/v1/service", `{"enabled":true}`},
	}
	for _, o := range all {
		do(400, o.method, o.path+"?a=", o.body, match)
		do(401, o.method, o.path, o.body, "Authorization:")
		do(403, o.method, o.path, o.body, "Authorization: Bearer look")
		do(422, o.method, o.path+"?a=b", o.body, match)
		if o.body != "" {
			do(413, o.method, o.path, strings.Repeat(" ", maxBody+1), match)
			do(415, o.method, o.path, o.body, match, "Content-Type: text/plain")
		}
		note(o.method, o.path, f.broken(o.method, o.path, o.body))
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
	do(200, "GET", "/v1/service", "")
	do(200, "PUT", "/v1/service", `{"enabled":false}`)
	do(409, "POST", send, sms)
	do(204, "DELETE", one, "", match)
	require.NoError(t, f.redis.Kill())
	for _, o := range all {
		do(503, o.method, o.path, o.body, match)
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
func (f *fixture) broken(method, path, body string) int {
	f.t.Helper()
	o := f.options
	o.Campaigns, o.Outbox, o.Recorder, o.Registerer = nil, nil, nil, prometheus.NewRegistry()
	listener := httptest.NewServer(Handler(o))
	defer listener.Close()
	with := *f
	with.url = listener.URL
	return with.do(method, path, body, "If-Match: *").want(http.StatusInternalServerError).code
}

// recorded waits until a call has its record.
func (f *fixture) recorded(id string) {
	f.t.Helper()
	f.options.Recorder.Record(report.Call{ID: id, Outcome: report.Passed, Reason: report.NoCampaign})
	require.Eventually(f.t, func() bool {
		_, err := f.options.Recorder.Get(f.t.Context(), id)
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)
}
