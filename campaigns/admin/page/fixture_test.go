package page

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/inbound"
	"deflectd/campaigns/message"
	"deflectd/campaigns/message/sandbox"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/report"
	"deflectd/campaigns/sender"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// server is the Redis of this package's tests.
var server *lab.Redis

func TestMain(m *testing.M) { labtest.Main(m, &server) }

// fixture is the page and its API over real HTTP, on a real Redis, with the
// sandbox as its provider. There are the tokens "admin", "editor" and "viewer",
// each of the role that it is named after.
type fixture struct {
	t        *testing.T
	url      string
	rdb      redis.UniversalClient
	redis    *lab.Redis
	server   *admin.Server
	options  admin.Options
	page     Options
	log      *labtest.Log
	registry *prometheus.Registry
	outbox   *message.Outbox
}

// newFixture starts one; change adjusts what the API is made of.
func newFixture(t *testing.T, change ...func(*admin.Options)) *fixture {
	t.Helper()
	rdb := labtest.Connect(t, server)
	f := &fixture{t: t, rdb: rdb, redis: server, log: new(labtest.Log), registry: prometheus.NewRegistry()}
	logger := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	runs := f.assemble(logger)
	for _, c := range change {
		c(&f.options)
	}
	f.server = admin.New(f.options)
	f.page = Options{
		Server: f.server, Redis: rdb, Region: "US", Countries: []string{"US"}, Version: "1.2.3", Logger: logger, Registerer: f.registry,
	}
	listener := httptest.NewServer(f.server.Handler(New(f.page)))
	f.url = listener.URL

	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, run := range runs {
		parts.Go(func() { _ = run(ctx) })
	}
	t.Cleanup(func() {
		listener.Close()
		cancel()
		parts.Wait()
		_ = rdb.Close()
	})
	require.Eventually(t, f.options.Senders.Ready, time.Minute, time.Millisecond)
	return f
}

// with is the same with another page.
func (f *fixture) with(page http.Handler) *fixture {
	f.t.Helper()
	o := f.options
	o.Registerer = prometheus.NewRegistry()
	listener := httptest.NewServer(admin.New(o).Handler(page))
	f.t.Cleanup(listener.Close)
	other := *f
	other.url = listener.URL
	return &other
}

// assemble makes what the API works with, and answers what of it runs.
func (f *fixture) assemble(logger *slog.Logger) []func(context.Context) error {
	t := f.t
	key, err := campaigns.ServiceSecret(t.Context(), f.rdb)
	require.NoError(t, err)
	secret := func() []byte { return key }
	store := campaigns.NewStore(f.rdb)
	optouts := optout.New(optout.Options{
		Redis: f.rdb, Secret: secret, StoreTimeout: labtest.Patience, Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	guards, err := guard.New(guard.Options{
		Redis: f.rdb, Policy: guard.Policy{Countries: []string{"US"}}, Own: func(string) bool { return false }, OptOuts: optouts,
		Secret: secret, Timeout: labtest.Patience, StoreTimeout: labtest.Patience, Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	senders := sender.New(sender.Options{
		Redis: f.rdb, Numbers: sandbox.NewNumbers(), Campaigns: store, StoreTimeout: labtest.Patience, Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	provider := sandbox.New(logger)
	f.outbox, err = message.NewOutbox(message.Options{
		Redis: f.rdb, Provider: provider, PublicURL: "https://txt.example.com", StoreTimeout: labtest.Patience,
		Guards: guards, OptOuts: optouts, Senders: senders, Secret: secret, Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	recorder := report.NewRecorder(report.Options{Redis: f.rdb, Logger: logger, Registerer: prometheus.NewRegistry()})
	token := func(name string, role admin.Role) admin.Token {
		return admin.Token{Name: name, Role: role, Fingerprint: "print of " + name, Match: func(s string) bool { return s == name }}
	}
	f.options = admin.Options{
		Campaigns: store, Outbox: f.outbox, Recorder: recorder, OptOuts: optouts, Guards: guards, Senders: senders,
		Inbox: inbound.New(inbound.Options{
			Redis: f.rdb, Secret: secret, OptOuts: optouts, Reply: f.outbox.Reply, Region: "US", StoreTimeout: labtest.Patience, Logger: logger, Registerer: prometheus.NewRegistry(),
		}),
		InboundURL: func() string { return "https://txt.example.com/webhooks/messagebird/inbound/secret" },
		Rules:      campaigns.Rules{Region: "US"},
		Tokens:     []admin.Token{token("admin", admin.RoleAdmin), token("editor", admin.RoleEditor), token("viewer", admin.RoleViewer)},
		Health:     func(context.Context) admin.Health { return admin.Health{Status: admin.Ready} },
		Timeout:    20 * time.Second,
		Logger:     logger, Gatherer: f.registry, Registerer: f.registry,
	}
	return []func(context.Context) error{
		f.outbox.Run, recorder.Run, optouts.Run, guards.Run, senders.Run,
		func(ctx context.Context) error { return provider.Run(ctx, f.outbox.Report) },
	}
}

// billing is a campaign that is fine.
const billing = `{"id":"billing","name":"Billing questions","dnis":["+18005550101"],"interaction":{"url":"https://visual.example.com/start"},"text":"Acme: pay here {link}"}`

// campaign writes the JSON of another one.
func campaign(id, name, dnis string) string {
	return strings.NewReplacer(`"billing"`, `"`+id+`"`, "Billing questions", name, "+18005550101", dnis).Replace(billing)
}

// create makes a campaign over the API.
func (f *fixture) create(body string) {
	f.t.Helper()
	f.call(http.MethodPost, "/v1/campaigns", body, http.StatusCreated)
}

// call asks the API as admin.
func (f *fixture) call(method, path, body string, want int) string {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	require.NoError(f.t, err)
	req.Header.Set("Authorization", "Bearer admin")
	req.Header.Set("If-Match", "*")
	if body != "" {
		req.Header.Set("Content-Type", map[bool]string{true: "application/merge-patch+json", false: "application/json"}[method == http.MethodPatch])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(f.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	require.Equal(f.t, want, resp.StatusCode, string(text))
	return string(text)
}

// sender obtains a number to send from.
func (f *fixture) sender() string {
	f.t.Helper()
	const number = "+14155550100"
	f.call(http.MethodPost, "/v1/senders", `{"number":"`+number+`","country":"US"}`, http.StatusCreated)
	return number
}

// browser is somebody who looks at pages, with a cookie jar and no JavaScript.
type browser struct {
	*fixture
	client *http.Client
	// header is sent with each request.
	header http.Header
}

// browser opens one, signed in with a token; "": not signed in.
func (f *fixture) browser(token string) *browser {
	f.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(f.t, err)
	b := &browser{fixture: f, client: &http.Client{
		Jar: jar, Transport: http.DefaultTransport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, header: http.Header{}}
	if token != "" {
		b.signIn(token).to("/")
	}
	return b
}

// signIn posts the form of the sign-in page.
func (b *browser) signIn(token string) answer {
	b.t.Helper()
	return b.post("/sign-in", "token", token).want(http.StatusSeeOther)
}

// answer is what a page was answered with.
type answer struct {
	b      *browser
	code   int
	header http.Header
	body   string
}

// get opens a page.
func (b *browser) get(address string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, address, nil, "")
}

// post sends a form of names and values, as a browser does: with the form token
// of its session.
func (b *browser) post(address string, pairs ...string) answer {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	if token := b.formToken(); token != "" && !values.Has(formToken) {
		values.Set(formToken, token)
	}
	return b.do(http.MethodPost, address, strings.NewReader(values.Encode()), "application/x-www-form-urlencoded")
}

// formToken is the one of the session; "" without one.
func (b *browser) formToken() string {
	at, err := url.Parse(b.url)
	require.NoError(b.t, err)
	for _, c := range b.client.Jar.Cookies(at) {
		return session{cookie: c.Value}.formToken()
	}
	return ""
}

func (b *browser) do(method, address string, body io.Reader, kind string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+address, body)
	require.NoError(b.t, err)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Origin", b.url)
	}
	for name, values := range b.header {
		req.Header[name] = values
	}
	resp, err := b.client.Do(req)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	a := answer{b: b, code: resp.StatusCode, header: resp.Header, body: string(text)}
	if !strings.HasPrefix(address, "/assets/") {
		require.Equal(b.t, "no-store", a.header.Get("Cache-Control"))
	}
	require.Equal(b.t, "nosniff", a.header.Get("X-Content-Type-Options"))
	require.Contains(b.t, a.header.Get("Content-Security-Policy"), "default-src 'none'")
	return a
}

func (a answer) want(code int) answer {
	a.b.t.Helper()
	require.Equal(a.b.t, code, a.code, a.body)
	return a
}

// to says that the browser is sent to an address, with a notice or without.
func (a answer) to(address string) answer {
	a.b.t.Helper()
	a.want(http.StatusSeeOther)
	require.Equal(a.b.t, address, a.header.Get("Location"))
	return a
}

// follow opens the page that the browser is sent to.
func (a answer) follow() answer {
	a.b.t.Helper()
	a.want(http.StatusSeeOther)
	return a.b.get(a.header.Get("Location"))
}

// shows says that words are to be read on the page, whatever markup is between
// them.
func (a answer) shows(words ...string) answer {
	a.b.t.Helper()
	for _, w := range words {
		require.Contains(a.b.t, a.text(), w)
	}
	return a
}

// hides says that words are not to be read, nor to be found in the markup.
func (a answer) hides(words ...string) answer {
	a.b.t.Helper()
	for _, w := range words {
		require.NotContains(a.b.t, a.text(), w)
		require.NotContains(a.b.t, a.body, w)
	}
	return a
}

var (
	markup = regexp.MustCompile(`(?s)<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

// text is what is to be read on the page.
func (a answer) text() string {
	return strings.TrimSpace(spaces.ReplaceAllString(unescape(markup.ReplaceAllString(a.body, " ")), " "))
}

func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#34;", `"`, "&#39;", "'", "&#43;", "+", "&amp;", "&").Replace(s)
}
