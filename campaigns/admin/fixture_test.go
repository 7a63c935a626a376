package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

func TestMain(m *testing.M) {
	// The Redis client looks for a server that is gone once a second, and
	// notices that it was closed only then.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// journal is a log that may be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// taker is a provider that takes everything.
type taker struct{}

func (taker) Name() string { return "taker" }

func (taker) Send(context.Context, message.Text) (string, error) { return "p1", nil }

// fixture is the whole interface over real HTTP, on a real Redis.
type fixture struct {
	t        *testing.T
	redis    *lab.Redis
	rdb      redis.UniversalClient
	url      string
	options  Options
	log      *journal
	registry *prometheus.Registry
	health   Health
	active   []report.Call
}

func newFixture(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	server, err := lab.StartRedis(t.Context(), t.TempDir())
	require.NoError(t, err)
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: []string{server.Addr}, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 200 * time.Millisecond, ReadTimeout: 500 * time.Millisecond,
	})
	f := &fixture{t: t, redis: server, log: new(journal), registry: prometheus.NewRegistry(), health: Health{Status: Ready}, rdb: rdb}
	logger := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	outbox, err := message.NewOutbox(message.Options{
		Redis: rdb, Provider: taker{}, PublicURL: "https://txt.example.com", Originator: "Acme",
		Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	recorder := report.NewRecorder(report.Options{Redis: rdb, Logger: logger, Registerer: prometheus.NewRegistry()})
	f.options = Options{
		Campaigns: campaigns.NewStore(rdb), Outbox: outbox, Recorder: recorder,
		Active:    func() []report.Call { return f.active },
		Rules:     campaigns.Rules{Region: "US", Originator: "Acme"},
		Countries: []string{"US"},
		Own:       func(n string) bool { return n == "+18005550100" },
		Tokens: []Token{
			{Name: "ops", Role: RoleAdmin, Match: func(s string) bool { return s == "secret" }},
			{Name: "second", Role: RoleAdmin, Match: func(s string) bool { return s == "other" }},
			{Name: "looker", Role: "viewer", Match: func(s string) bool { return s == "look" }},
		},
		Health:   func(context.Context) Health { return f.health },
		Timeout:  5 * time.Second,
		Logger:   logger,
		Gatherer: f.registry, Registerer: f.registry,
	}
	for _, c := range change {
		c(&f.options)
	}
	listener := httptest.NewServer(Handler(f.options))
	f.url = listener.URL

	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = outbox.Run(ctx) })
	parts.Go(func() { _ = recorder.Run(ctx) })
	t.Cleanup(func() {
		listener.Close()
		cancel()
		parts.Wait()
		_ = rdb.Close()
		require.NoError(t, server.Stop())
		http.DefaultClient.CloseIdleConnections()
	})
	return f
}

// reply is what a request was answered with.
type reply struct {
	t      *testing.T
	code   int
	header http.Header
	body   string
}

// do sends a request with the token "secret" and checks what every answer has
// in common. Headers are written "Name: value"; "Name:" takes one away.
func (f *fixture) do(method, path, body string, headers ...string) reply {
	f.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, reader)
	require.NoError(f.t, err)
	req.Header.Set("Authorization", "Bearer secret")
	if body != "" {
		req.Header.Set("Content-Type", map[bool]string{true: patchType, false: jsonType}[method == http.MethodPatch])
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		req.Header.Del(name)
		if value != "" {
			req.Header.Set(name, strings.TrimSpace(value))
		}
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(f.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	r := reply{t: f.t, code: resp.StatusCode, header: resp.Header, body: string(text)}
	require.Equal(f.t, "nosniff", r.header.Get("X-Content-Type-Options"))
	if r.code >= 400 && method != http.MethodHead && !strings.HasSuffix(path, "z") {
		p := r.problem()
		require.Equal(f.t, r.code, p.Status)
		require.NotEmpty(f.t, p.Title)
		require.NotEmpty(f.t, p.Detail)
	}
	return r
}

func (r reply) want(code int) reply {
	r.t.Helper()
	require.Equal(r.t, code, r.code, r.body)
	return r
}

func (r reply) problem() Problem {
	r.t.Helper()
	require.Equal(r.t, problemType, r.header.Get("Content-Type"), r.body)
	var p Problem
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	require.NoError(r.t, d.Decode(&p))
	return p
}

// names says which part of the request a problem is about.
func (r reply) names(place string) reply {
	r.t.Helper()
	for _, e := range r.problem().Errors {
		require.NotEmpty(r.t, e.Detail)
		if e.Parameter == place || e.Header == place || e.Pointer != nil && *e.Pointer == place {
			return r
		}
	}
	require.Failf(r.t, "not named", "%s in %s", place, r.body)
	return r
}

func read[T any](r reply) T {
	r.t.Helper()
	require.Equal(r.t, jsonType, r.header.Get("Content-Type"))
	var v T
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	require.NoError(r.t, d.Decode(&v), r.body)
	return v
}

const billing = `{"id":"billing","dnis":["+18005550101"],"interaction":{"url":"https://visual.example.com/start"},"text":"Acme: pay here {link}"}`

// campaign writes the JSON of a campaign that is fine.
func campaign(id, dnis string) string {
	return strings.NewReplacer("billing", id, "+18005550101", dnis).Replace(billing)
}
