package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"deflectd/deploy/lab/labtest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func TestRolesAllow(t *testing.T) {
	order := []Role{RoleViewer, RoleEditor, RoleAdmin}
	for i, has := range order {
		for j, needed := range order {
			require.Equal(t, i >= j, has.Allows(needed), "%s for %s", has, needed)
		}
		require.False(t, has.Allows(""))
		require.False(t, has.Allows("root"))
		require.False(t, Role("").Allows(has))
		require.False(t, Role("root").Allows(has))
	}
}

// gate is the door alone, with a clock of its own.
type gate struct {
	*attempts
	log      *labtest.Log
	registry *prometheus.Registry
	at       time.Time
	tokens   []Token
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{log: new(labtest.Log), registry: prometheus.NewRegistry(), at: time.Unix(1_800_000_000, 0), tokens: []Token{
		{Name: "ops", Role: RoleAdmin}, {Name: "shop", Role: RoleViewer},
	}}
	g.attempts = newAttempts(slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})), g.registry)
	g.now = func() time.Time { return g.at }
	return g
}

// knock tries a token of the gate, -1 for one that is none.
func (g *gate) knock(from string, token int) error {
	var found *Token
	if token >= 0 {
		found = &g.tokens[token]
	}
	_, err := g.judge(&http.Request{RemoteAddr: from}, viaAPI, found)
	return err
}

func TestAttemptsAreLimited(t *testing.T) {
	g := newGate(t)
	const here, elsewhere = "192.0.2.1:1000", "192.0.2.2:1000"
	require.NoError(t, g.knock(here, 0))
	for range wrongAtOnce {
		require.ErrorIs(t, g.knock(here, -1), ErrToken)
	}
	var blocked *BlockedError
	require.ErrorAs(t, g.knock(here, -1), &blocked)
	require.Equal(t, wrongEvery, blocked.RetryAfter)
	require.ErrorAs(t, g.knock("192.0.2.1:2000", -1), &blocked, "another port is the same client")
	require.NoError(t, g.knock(here, 0), "it was right before")
	require.ErrorAs(t, g.knock(here, 1), &blocked, "one that is right could be told from the wrong ones")
	require.NoError(t, g.knock(elsewhere, 1))
	require.ErrorIs(t, g.knock(elsewhere, -1), ErrToken)

	g.at = g.at.Add(wrongEvery / 2)
	require.ErrorAs(t, g.knock(here, -1), &blocked)
	require.Equal(t, wrongEvery/2, blocked.RetryAfter)
	g.at = g.at.Add(wrongEvery)
	require.NoError(t, g.knock(here, 1), "its turn has come")
	require.ErrorIs(t, g.knock(here, -1), ErrToken, "who is right uses nothing up")
	require.ErrorAs(t, g.knock(here, -1), &blocked)

	require.NoError(t, testutil.GatherAndCompare(g.registry, strings.NewReader(fmt.Sprintf(`
# HELP deflectd_auth_failures_total Tokens that were refused, by where (api, page) and why (unknown: no token is this one; limited: too many from the address were wrong).
# TYPE deflectd_auth_failures_total counter
deflectd_auth_failures_total{cause="limited",via="api"} 5
deflectd_auth_failures_total{cause="limited",via="page"} 0
deflectd_auth_failures_total{cause="unknown",via="api"} %d
deflectd_auth_failures_total{cause="unknown",via="page"} 0
`, wrongAtOnce+2)), "deflectd_auth_failures_total"))
}

func TestAttemptsTakeBoundedMemory(t *testing.T) {
	g := newGate(t)
	const first = "192.0.2.1:1"
	for range wrongAtOnce {
		require.ErrorIs(t, g.knock(first, -1), ErrToken)
	}
	for i := range maxAddresses - 1 {
		require.ErrorIs(t, g.knock(fmt.Sprintf("10.0.%d.%d:1", i/256, i%256), -1), ErrToken)
	}
	require.Error(t, g.knock(first, -1))
	require.Equal(t, maxAddresses, g.recent.Len())
	for i := range 3 * maxAddresses {
		require.ErrorIs(t, g.knock(fmt.Sprintf("10.1.%d.%d:1", i/256, i%256), -1), ErrToken)
	}
	require.Equal(t, maxAddresses, g.recent.Len())
	require.Len(t, g.of, maxAddresses)
	require.ErrorIs(t, g.knock(first, -1), ErrToken, "it was forgotten")
}

func TestClientOf(t *testing.T) {
	same := func(a, b string) bool {
		return clientOf(&http.Request{RemoteAddr: a}) == clientOf(&http.Request{RemoteAddr: b})
	}
	require.True(t, same("192.0.2.1:1", "192.0.2.1:2"))
	require.True(t, same("192.0.2.1:1", "[::ffff:192.0.2.1]:2"))
	require.False(t, same("192.0.2.1:1", "192.0.2.2:1"))
	require.True(t, same("[2001:db8::1]:1", "[2001:db8::2%eth0]:1"))
	require.False(t, same("[2001:db8::1]:1", "[2001:db8:0:1::1]:1"))
	require.True(t, same("@", ""), "a socket of the machine")
	spoofed := &http.Request{RemoteAddr: "192.0.2.1:1", Header: http.Header{"X-Forwarded-For": {"198.51.100.7"}}}
	require.Equal(t, "192.0.2.1", clientOf(spoofed).String())
}

func TestAPIAnswersTooManyWrongTokens(t *testing.T) {
	f := newFixture(t)
	f.do("GET", campaignsPath, "").want(200)
	r := f.do("GET", campaignsPath, "", as("guess"))
	wrong := 0
	for ; r.code == 401; wrong++ { // one more is looked at every few seconds
		r = f.do("GET", campaignsPath, "", as("guess"))
	}
	require.GreaterOrEqual(t, wrong, wrongAtOnce)
	r.want(429)
	require.NotEmpty(t, r.header.Get("Retry-After"))
	require.Empty(t, r.header.Get("WWW-Authenticate"))
	f.do("GET", campaignsPath, "").want(200)
	f.do("GET", campaignsPath, "", "Authorization:").want(401)
	f.do("GET", "/healthz", "", as("guess")).want(200)
	require.NotContains(t, f.log.String(), "guess")
	require.Contains(t, f.do("GET", "/metrics", "").want(200).body, fmt.Sprintf(`deflectd_auth_failures_total{cause="unknown",via="api"} %d`, wrong))
}

func TestSignInAndStill(t *testing.T) {
	g := newGate(t)
	tokens := []Token{
		{Name: "ops", Role: RoleEditor, Fingerprint: "f1", Match: func(s string) bool { return s == "secret" }},
		{Name: "twin", Role: RoleAdmin, Fingerprint: "f2", Match: func(s string) bool { return s == "secret" }},
	}
	s := &Server{in: &server{Options: Options{Tokens: tokens}}, attempts: g.attempts}
	r := &http.Request{RemoteAddr: "192.0.2.1:1"}
	who, err := s.SignIn(r, " secret\n")
	require.NoError(t, err)
	require.Equal(t, Identity{Name: "ops", Role: RoleEditor, Fingerprint: "f1"}, who)
	for _, wrong := range []string{"", " ", "Secret", "secret2"} {
		_, err = s.SignIn(r, wrong)
		require.ErrorIs(t, err, ErrToken)
	}
	require.NotContains(t, g.log.String(), "Secret")

	is := func(fingerprint string) func(string) bool { return func(f string) bool { return f == fingerprint } }
	who, ok := s.Still("ops", is("f1"))
	require.True(t, ok)
	require.Equal(t, RoleEditor, who.Role)
	for _, gone := range [][2]string{{"ops", "f2"}, {"ops", ""}, {"none", "f1"}, {"", ""}} {
		_, ok = s.Still(gone[0], is(gone[1]))
		require.False(t, ok)
	}
}

// Every token is looked at, whichever one it is.
func TestAllTokensAreCompared(t *testing.T) {
	looked := 0
	match := func(right bool) func(string) bool { return func(string) bool { looked++; return right } }
	s := &server{Options: Options{Tokens: []Token{{Name: "a", Match: match(true)}, {Name: "b", Match: match(false)}, {Name: "c", Match: match(true)}}}}
	require.Equal(t, "a", s.find("x").Name)
	require.Equal(t, 3, looked)
	require.Nil(t, s.find(""))
	require.Equal(t, 6, looked)
}

// another is one more interface on what the fixture has.
func (f *fixture) another() *Server {
	o := f.options
	o.Registerer = prometheus.NewRegistry()
	return New(o)
}

func TestInsideIsTheAPI(t *testing.T) {
	f := newFixture(t)
	server := f.another()
	ask := func(who Identity, method, path, body string) (int, string) {
		t.Helper()
		var reader io.Reader
		if body != "" {
			reader = strings.NewReader(body)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://deflectd"+path, reader)
		require.NoError(t, err)
		r.Header.Set("Content-Type", jsonType)
		resp, err := (&http.Client{Transport: server.As(who)}).Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text)
	}
	ops, viewer := Identity{Name: "ops", Role: RoleAdmin}, Identity{Name: "looker", Role: RoleViewer}
	code, text := ask(ops, "POST", campaignsPath, billing)
	require.Equal(t, 201, code, text)
	code, text = ask(viewer, "GET", campaignsPath, "")
	require.Equal(t, 200, code, text)
	require.Contains(t, text, `"billing"`)
	code, text = ask(viewer, "POST", campaignsPath, campaign("other", "+18005550109"))
	require.Equal(t, 403, code)
	require.Contains(t, text, "looker")
	code, _ = ask(Identity{}, "GET", campaignsPath, "")
	require.Equal(t, 403, code, "nobody in particular may do nothing")
	code, text = ask(ops, "GET", "/v1/nothing", "")
	require.Equal(t, 404, code)
	require.True(t, json.Valid([]byte(text)))
	require.Contains(t, f.do("GET", campaignsPath+"/billing/history", "").want(200).body, `"by":"ops"`)
}

// What fails inside ends the answer, not the program.
func TestInsideFails(t *testing.T) {
	fail := map[string]http.HandlerFunc{
		"/panic": func(http.ResponseWriter, *http.Request) { panic("boom") },
		"/half": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		},
		"/quiet": func(http.ResponseWriter, *http.Request) {},
		"/slow":  func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"/endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		},
	}
	mux := http.NewServeMux()
	for path, h := range fail {
		mux.Handle(path, h)
	}
	log := new(labtest.Log)
	s := &Server{in: &server{Options: Options{Logger: slog.New(slog.NewTextHandler(log, nil))}}, inner: mux}
	get := func(ctx context.Context, path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://deflectd"+path, nil)
		require.NoError(t, err)
		return s.As(Identity{}).RoundTrip(r)
	}
	resp, err := get(t.Context(), "/panic")
	require.NoError(t, err)
	require.Equal(t, 500, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, log.String(), "panic=string")
	require.NotContains(t, log.String(), "boom")

	resp, err = get(t.Context(), "/half")
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.ErrorIs(t, err, errInside, "half an answer is none")

	resp, err = get(t.Context(), "/quiet")
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.NoError(t, resp.Body.Close())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = get(ctx, "/slow") //nolint:bodyclose // there is none
	require.ErrorIs(t, err, context.Canceled)

	resp, err = get(t.Context(), "/endless")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
}

// The page has every address that is not the API's.
func TestWhoseAddress(t *testing.T) {
	f := newFixture(t)
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := f.another().Handler(page)
	for path, want := range map[string]int{
		"/": 418, "/campaigns/billing": 418, "/assets/style.css": 418, "/v2": 418, "/v1x": 418, "/sign-in": 418, "//v1/campaigns": 418,
		"/v1": 401, "/v1/": 401, "/v1/campaigns": 401, "/debug": 401, "/debug/pprof/": 401,
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/openapi.json": 200,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://x"+path, nil))
		require.Equal(t, want, w.Code, path)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	}
}

func TestProfilesAreForAdmins(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Profiling = true })
	f.do("GET", "/debug/pprof/cmdline", "", as("look")).want(403)
	f.do("GET", "/debug/pprof/cmdline", "", as("write")).want(403)
	f.do("GET", "/debug/pprof/cmdline", "").want(200)
}
