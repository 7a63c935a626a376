package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/inbound"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/report"
	"deflectd/campaigns/sender"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// taker is a provider that takes everything.
type taker struct{}

func (taker) Name() string { return "taker" }

func (taker) Send(context.Context, message.Text) (string, error) { return "p1", nil }

// shop is a provider that lets numbers: it has those in its window, and does
// what it is told to.
type shop struct {
	mu     sync.Mutex
	window []sender.Available
	owned  []sender.Available
	err    error // what everything is answered with
	asked  sender.Query
}

func (s *shop) Search(_ context.Context, q sender.Query) ([]sender.Available, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = q
	return slices.Clone(s.window), s.err
}

func (s *shop) Obtain(_ context.Context, number, _ string) (sender.Available, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return sender.Available{}, s.err
	}
	for i, a := range s.window {
		if a.Number == number {
			s.window = slices.Delete(s.window, i, i+1)
			s.owned = append(s.owned, a)
			return a, nil
		}
	}
	return sender.Available{}, fmt.Errorf("obtain: %w", sender.ErrUnavailable)
}

func (s *shop) Release(_ context.Context, number string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.owned = slices.DeleteFunc(s.owned, func(a sender.Available) bool { return a.Number == number })
	}
	return s.err
}

func (s *shop) Owned(context.Context) ([]sender.Available, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.owned), s.err
}

// fail has everything answered with an error; nil: as usual.
func (s *shop) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// numberToLet is what the shop of every fixture has.
const numberToLet = "+14155550170"

// numbers is a set of numbers that a test adds to while it runs.
type numbers struct{ sync.Map }

func (n *numbers) add(e164 string) { n.Store(e164, true) }

func (n *numbers) has(e164 string) bool {
	_, ok := n.Load(e164)
	return ok
}

// fixture is the whole interface over real HTTP, on a real Redis.
type fixture struct {
	t        *testing.T
	shop     *shop
	own      *numbers
	outbox   *message.Outbox
	redis    *lab.Redis
	rdb      redis.UniversalClient
	url      string
	options  Options
	log      *labtest.Log
	registry *prometheus.Registry
	health   Health
	active   []report.Call
	asked    report.Question // of decide
}

func newFixture(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	return newGuarded(t, guard.Policy{Countries: []string{"US"}}, change...)
}

// newGuarded is a fixture with limits.
func newGuarded(t *testing.T, policy guard.Policy, change ...func(*Options)) *fixture {
	t.Helper()
	return newSetup(t, setup{policy: policy, configured: "Acme"}, change...)
}

// setup is what a fixture can be had with.
type setup struct {
	policy     guard.Policy
	configured string // sender
}

func newSetup(t *testing.T, with setup, change ...func(*Options)) *fixture {
	t.Helper()
	server := servers.take(t)
	rdb := labtest.Dial(t, server, labtest.Patience)
	f := &fixture{t: t, redis: server, log: new(labtest.Log), registry: prometheus.NewRegistry(), health: Health{Status: Ready}, rdb: rdb}
	logger := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.shop = &shop{window: []sender.Available{{Number: numberToLet, Country: "US", Features: []string{"sms", "voice"}, Type: "mobile"}}}
	f.own = new(numbers)
	f.own.add("+18005550100")
	key, err := campaigns.ServiceSecret(t.Context(), rdb)
	require.NoError(t, err)
	secret := func() []byte { return key }
	store := campaigns.NewStore(rdb)
	optouts := optout.New(optout.Options{
		Redis: rdb, Secret: secret, StoreTimeout: labtest.Patience, Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	guards, err := guard.New(guard.Options{
		Redis: rdb, Policy: with.policy, Own: f.own.has, Secret: secret, Timeout: labtest.Patience, StoreTimeout: labtest.Patience,
		Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	senders := sender.New(sender.Options{
		Redis: rdb, Configured: with.configured, Numbers: f.shop, Campaigns: store, StoreTimeout: labtest.Patience,
		Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	f.outbox, err = message.NewOutbox(message.Options{
		Redis: rdb, Provider: taker{}, PublicURL: "https://txt.example.com",
		Guards: guards, OptOuts: optouts, Senders: senders, Secret: secret, StoreTimeout: labtest.Patience,
		Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	recorder := report.NewRecorder(report.Options{Redis: rdb, Logger: logger, Registerer: prometheus.NewRegistry()})
	f.options = Options{
		Campaigns: store, Outbox: f.outbox, Recorder: recorder, OptOuts: optouts, Guards: guards, Senders: senders,
		Inbox: inbound.New(inbound.Options{
			Redis: rdb, Secret: secret, OptOuts: optouts, Reply: f.outbox.Reply, Region: "US",
			Replies: inbound.Replies{Help: "Call us."}, StoreTimeout: labtest.Patience,
			Logger: logger, Registerer: prometheus.NewRegistry(),
		}),
		InboundURL: func() string { return "https://txt.example.com/webhooks/messagebird/inbound/secret" },
		Active:     func() []report.Call { return f.active },
		Decide:     f.decide,
		Rules:      campaigns.Rules{Region: "US"},
		Tokens: []Token{
			{Name: "ops", Role: RoleAdmin, Match: func(s string) bool { return s == "secret" }},
			{Name: "second", Role: RoleAdmin, Match: func(s string) bool { return s == "other" }},
			{Name: "looker", Role: RoleViewer, Match: func(s string) bool { return s == "look" }},
			{Name: "writer", Role: RoleEditor, Match: func(s string) bool { return s == "write" }},
		},
		Health:   func(context.Context) Health { return f.health },
		Timeout:  2 * labtest.Patience,
		Logger:   logger,
		Gatherer: f.registry, Registerer: f.registry,
	}
	for _, c := range change {
		c(&f.options)
	}
	listener := httptest.NewServer(New(f.options).Handler(nil))
	f.url = listener.URL

	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, run := range []func(context.Context) error{f.outbox.Run, recorder.Run, optouts.Run, guards.Run, senders.Run} {
		parts.Go(func() { _ = run(ctx) })
	}
	t.Cleanup(func() {
		listener.Close()
		cancel()
		parts.Wait()
		_ = rdb.Close()
		http.DefaultClient.CloseIdleConnections()
		patient.CloseIdleConnections()
	})
	require.Eventually(t, senders.Ready, time.Minute, time.Millisecond)
	return f
}

// decide offers a text in every call, if Redis answers.
func (f *fixture) decide(ctx context.Context, q report.Question) (report.Decision, error) {
	f.asked = q
	if _, err := f.options.Campaigns.Service(ctx); err != nil {
		return report.Decision{}, err
	}
	return report.Decision{Offered: true, Campaign: "billing", Steps: []report.DecisionStep{{Name: report.StepCampaign, Result: report.StepOK}}}, nil
}

// as is the header that a request is made by another token with.
func as(secret string) string { return "Authorization: Bearer " + secret }

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
	r, err := f.ask(method, path, body, headers...)
	require.NoError(f.t, err)
	r.sound(method, path)
	return r
}

// patient waits until a body is asked for.
var patient = func() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = time.Minute
	return &http.Client{Transport: transport}
}()

// ask is do without the checks; it may be called by many at once.
func (f *fixture) ask(method, path, body string, headers ...string) (reply, error) {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, reader)
	if err != nil {
		return reply{}, err
	}
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
	if len(body) > 100<<10 {
		// What is refused for its size may be answered before it was sent, and the
		// connection closed: it is sent only when it is asked for.
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := patient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{t: f.t, code: resp.StatusCode, header: resp.Header, body: string(text)}, err
}

// sound checks what every answer has in common.
func (r reply) sound(method, path string) {
	r.t.Helper()
	require.Equal(r.t, "nosniff", r.header.Get("X-Content-Type-Options"))
	if r.code >= 400 && method != http.MethodHead && !strings.HasSuffix(path, "z") {
		p := r.problem()
		require.Equal(r.t, r.code, p.Status)
		require.NotEmpty(r.t, p.Title)
		require.NotEmpty(r.t, p.Detail)
	}
}

// request is what a test asks.
type request struct {
	method, path, body string
	headers            []string
}

// all asks many things at once: each of them may have to wait for its answer.
func (f *fixture) all(requests []request, answered func(request, reply)) {
	f.t.Helper()
	replies, errs := make([]reply, len(requests)), make([]error, len(requests))
	var asked sync.WaitGroup
	for i, q := range requests {
		asked.Go(func() { replies[i], errs[i] = f.ask(q.method, q.path, q.body, q.headers...) })
	}
	asked.Wait()
	for i, q := range requests {
		require.NoError(f.t, errs[i], "%s %s", q.method, q.path)
		replies[i].sound(q.method, q.path)
		answered(q, replies[i])
	}
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
