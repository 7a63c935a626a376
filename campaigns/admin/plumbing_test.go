package admin

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

func TestTokens(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Profiling = true })
	f.do("GET", "/debug/pprof/", "", as("look")).want(403)
	f.do("GET", campaignsPath, "").want(200) // what was right once is not held up by what is wrong
	for _, path := range []string{campaignsPath, "/v1/unknown", "/", "/debug/pprof/"} {
		r := f.do("GET", path, "", "Authorization:").want(401)
		require.Equal(t, `Bearer realm="deflectd"`, r.header.Get("WWW-Authenticate"))
		for _, header := range []string{"Bearer wrong", "Bearer", "Bearer  ", "bearer SECRET"} {
			r = f.do("GET", path, "", "Authorization: "+header).want(401)
			require.Contains(t, r.header.Get("WWW-Authenticate"), "Bearer")
		}
		f.do("GET", path, "", "Authorization: Basic c2VjcmV0").want(401)
	}
	f.do("GET", campaignsPath, "", "Authorization: bearer secret").want(200)
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json"} {
		f.do("GET", path, "", "Authorization:").want(200)
	}
	require.NotContains(t, f.log.String(), "wrong")
	require.NotContains(t, f.log.String(), "secret")
}

func TestProfilesOnlyWhenAskedFor(t *testing.T) {
	f := newFixture(t)
	f.do("GET", "/debug/pprof/", "").want(404)
	f = newFixture(t, func(o *Options) { o.Profiling = true })
	f.do("GET", "/debug/pprof/", "").want(200)
	f.do("GET", "/debug/pprof/goroutine?debug=1", "").want(200)
}

func TestHealth(t *testing.T) {
	f := newFixture(t)
	require.JSONEq(t, `{"status":"alive"}`, f.do("GET", "/healthz", "").want(200).body)
	require.JSONEq(t, `{"status":"ready"}`, f.do("GET", "/readyz", "").want(200).body)
	f.health = Health{Status: Degraded, Reasons: []string{"asterisk pbx1 is away"}}
	require.JSONEq(t, `{"status":"degraded","reasons":["asterisk pbx1 is away"]}`, f.do("GET", "/readyz", "").want(200).body)
	f.health = Health{Status: NotReady, Reasons: []string{"redis is away"}}
	require.JSONEq(t, `{"status":"not ready","reasons":["redis is away"]}`, f.do("GET", "/readyz", "").want(503).body)
	f.health = Health{}
	f.do("GET", "/readyz", "").want(503)
}

func TestUnknownPathsAndMethods(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/campaigns/", "/v1/campaigns/a/b", "/v2/campaigns", "/openapi.yaml", "/docs", "/schemas/Campaign.json"} {
		f.do("GET", path, "").want(404)
	}
	for path, allow := range map[string]string{
		campaignsPath:                    "GET, HEAD, POST",
		"/v1/campaigns/billing":          "DELETE, GET, HEAD, PATCH, PUT",
		"/v1/campaigns/billing/messages": "POST",
		"/v1/service":                    "GET, HEAD, PUT",
		optOutsPath:                      "GET, HEAD, POST",
		optOutsPath + "/+14155550132":    "DELETE, GET, HEAD, PUT",
		sendersPath:                      "GET, HEAD, POST",
		sendersPath + "/available":       "DELETE, GET, HEAD",
		"/v1/people/+14155550132":        "DELETE",
		"/healthz":                       "GET, HEAD",
		"/metrics":                       "GET, HEAD",
	} {
		for _, method := range []string{"OPTIONS", "TRACE", "BREW"} {
			require.Equal(t, allow, f.do(method, path, "").want(405).header.Get("Allow"), path)
		}
	}
}

func TestBodies(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	large := campaign("large", "1234567") + strings.Repeat(" ", maxBody)
	for _, o := range []struct{ method, path, body, like string }{
		{"POST", campaignsPath, campaign("fresh", "1234567"), jsonType},
		{"PUT", "/v1/campaigns/billing", billing, jsonType},
		{"PATCH", "/v1/campaigns/billing", `{"name":"x"}`, patchType},
		{"POST", "/v1/campaigns/billing/messages", `{"to":"+14155550132"}`, jsonType},
		{"PUT", "/v1/service", `{"enabled":true}`, jsonType},
		{"PUT", optOutsPath + "/+14155550132", `{"reason":"x"}`, jsonType},
		{"POST", sendersPath, obtain, jsonType},
	} {
		for _, wrong := range []string{
			"", "text/plain", "application/x-www-form-urlencoded", "application/xml", "application/problem+json",
			"application/json; charset=latin1", "nonsense;;", "multipart/form-data; boundary=x",
			map[string]string{jsonType: patchType, patchType: jsonType}[o.like],
		} {
			r := f.do(o.method, o.path, o.body, "If-Match: *", "Content-Type:"+wrong).want(415).names("Content-Type")
			require.Equal(t, o.method == "PATCH", r.header.Get("Accept-Patch") != "")
		}
		f.do(o.method, o.path, o.body, "If-Match: *", "Content-Encoding: gzip").want(415)
		f.do(o.method, o.path, large, "If-Match: *").want(413)
		if o.method != "PUT" || !strings.HasPrefix(o.path, optOutsPath) { // whose body may be left out
			f.do(o.method, o.path, "", "If-Match: *", "Content-Type: "+o.like).want(400)
		}
		f.do(o.method, o.path, o.body, "If-Match: *", "Content-Type: "+o.like+"; charset=UTF-8")
	}
	f.do("GET", campaignsPath, `{}`).want(400)
	f.do("DELETE", "/v1/campaigns/billing", `{}`, "If-Match: *").want(400)
}

// TestSlowAndBrokenBodies speaks HTTP by hand.
func TestSlowAndBrokenBodies(t *testing.T) {
	f := newFixture(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\nzz\r\n", campaignsPath)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 400, resp.StatusCode)
	require.Equal(t, problemType, resp.Header.Get("Content-Type"))
}

func TestPanicsAreAnswered(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Active = func() []report.Call { panic("+14155550132 said hello") }
	})
	f.do("GET", callsPath+"?active=true", "").want(500)
	f.do("GET", campaignsPath, "").want(200)
	log := f.log.String()
	require.Contains(t, log, "level=ERROR")
	require.Contains(t, log, "panic=string")
	require.NotContains(t, log, "4155550132")
}

func TestPanicAfterHalfAnAnswerEndsTheConnection(t *testing.T) {
	f := newFixture(t)
	s := &server{Options: f.options}
	s.Registerer = prometheus.NewRegistry()
	listener := httptest.NewServer(s.observe(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("half way")
	})))
	defer listener.Close()
	resp, err := http.Get(listener.URL)
	if err == nil {
		resp.Body.Close()
	}
	require.Error(t, err)
}

func TestRedisAway(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	o := f.options
	o.Timeout = 2 * time.Second
	hasty := f.other(o)
	var asking []request
	for _, o := range operations {
		if o.path != available { // the provider alone is asked
			asking = append(asking, request{o.method, o.path, o.body, []string{"If-Match: *", "Idempotency-Key: k", "Content-Type:" + o.media}})
		}
	}
	asking = append(asking, request{"GET", optOutsPath + "?format=csv", "", nil})
	away := func() {
		began := time.Now()
		hasty.all(asking, func(q request, r reply) {
			t.Helper()
			require.Equal(t, http.StatusServiceUnavailable, r.code, "%s %s: %s", q.method, q.path, r.body)
			require.NotEmpty(t, r.header.Get("Retry-After"))
		})
		require.Less(t, time.Since(began), 30*time.Second, "nothing waits for longer than it may")
	}
	require.NoError(t, f.redis.Freeze())
	away()
	require.NoError(t, f.redis.Thaw())
	require.Eventually(t, func() bool { return f.do("GET", campaignsPath, "").code == 200 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, f.redis.Kill())
	away()
	f.do("GET", "/healthz", "").want(200)
	f.do("GET", callsPath+"?active=true", "").want(200)
}

// Only what passes by itself is "try again"; the rest somebody has to repair.
func TestWhatRedisAnswers(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	t.Cleanup(func() { f.memory("0") })
	f.memory("1")
	f.do("POST", "/v1/campaigns/billing/messages", `{"to":"+14155550132"}`).want(503)
	f.do("PUT", "/v1/service", `{"enabled":false}`).want(503)
	f.memory("0")
	require.NotContains(t, f.log.String(), "level=ERROR msg=\"a request failed\"")

	require.NoError(t, f.rdb.Rename(t.Context(), campaigns.Key("campaigns"), campaigns.Key("elsewhere")).Err())
	require.NoError(t, f.rdb.Set(t.Context(), campaigns.Key("campaigns"), "not a hash", 0).Err())
	f.do("GET", campaignsPath, "").want(500)
	require.Contains(t, f.log.String(), "WRONGTYPE")
	require.NoError(t, f.rdb.Rename(t.Context(), campaigns.Key("elsewhere"), campaigns.Key("campaigns")).Err())
	require.NoError(t, f.rdb.Set(t.Context(), campaigns.Key("outbox"), "no set", 0).Err())
	f.do("POST", "/v1/campaigns/billing/messages", `{"to":"+14155550132"}`).want(500)

	for answer, want := range map[string]bool{
		"LOADING Redis is loading the dataset in memory":                       true,
		"READONLY You can't write against a read only replica.":                true,
		"OOM command not allowed when used memory > 'maxmemory'. script: 5a5a": true,
		"MASTERDOWN Link with MASTER is down":                                  true,
		"CLUSTERDOWN The cluster is down":                                      true,
		"TRYAGAIN Multiple keys request during rehashing of slot":              true,
		"NOAUTH Authentication required.":                                      false,
		"NOPERM this user has no permissions":                                  false,
		"ERR unknown command 'EVALSHA'":                                        false,
	} {
		require.Equal(t, want, away(fmt.Errorf("%w: %w", message.ErrStore, proto(answer))), answer)
	}
}

// proto is an error that Redis answers.
type proto string

func (p proto) Error() string { return string(p) }
func (proto) RedisError()     {}

func TestMetricsAndLogHoldNoNumbers(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	f.do("GET", messagesPath+"?to=%2B14155550132", "").want(200)
	f.do("BREW", "/v1/campaigns/4155550132", "").want(405)
	f.do("GET", "/v1/calls/4155550132", "").want(404)
	metrics := f.do("GET", "/metrics", "", "Authorization:").want(200).body
	require.Contains(t, metrics, `deflectd_http_requests_total{code="200",listener="admin",method="GET"} 1`)
	require.Contains(t, metrics, `deflectd_http_requests_total{code="405",listener="admin",method="other"} 1`)
	require.NotContains(t, metrics+f.log.String(), "4155550132")
	require.Contains(t, f.log.String(), `route="GET /v1/calls/{call_id}" status=404 token=ops`)
}
