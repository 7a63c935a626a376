package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/sender"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// bench is a real API, and what the commands do to its campaigns.
type bench struct {
	t   *testing.T
	url string
	api *client.Client

	mu sync.Mutex
	// before is asked before each request; false: it has answered.
	before func(http.ResponseWriter, *http.Request) bool
}

const benchToken = "dfl_of-a-test"

// newBench starts the API of campaigns on a Redis of its own.
func newBench(t *testing.T) *bench {
	t.Helper()
	server, err := lab.StartTestRedis(t.Context(), t.TempDir())
	require.NoError(t, err)
	rdb := labtest.Dial(t, server, labtest.Patience)
	key, err := campaigns.ServiceSecret(t.Context(), rdb)
	require.NoError(t, err)
	secret := func() []byte { return key }
	registry := prometheus.NewRegistry()
	store := campaigns.NewStore(rdb)
	optouts := optout.New(optout.Options{Redis: rdb, Secret: secret, StoreTimeout: labtest.Patience, Registerer: registry})
	guards, err := guard.New(guard.Options{
		Redis: rdb, Policy: guard.Policy{Countries: []string{"US"}}, Own: func(string) bool { return false },
		Timeout: labtest.Patience, StoreTimeout: labtest.Patience, Secret: secret, Registerer: registry,
	})
	require.NoError(t, err)
	senders := sender.New(sender.Options{Redis: rdb, Configured: "Acme", Campaigns: store, StoreTimeout: labtest.Patience, Registerer: registry})
	outbox, err := message.NewOutbox(message.Options{
		Redis: rdb, Provider: silent{}, PublicURL: "https://txt.example.com",
		Guards: guards, OptOuts: optouts, Senders: senders, Secret: secret, StoreTimeout: labtest.Patience, Registerer: registry,
	})
	require.NoError(t, err)
	handler := admin.New(admin.Options{
		Campaigns: store, Outbox: outbox, OptOuts: optouts, Guards: guards, Senders: senders,
		Rules: campaigns.Rules{Region: "US"},
		Tokens: []admin.Token{
			{Name: "pipeline", Role: admin.RoleEditor, Match: func(s string) bool { return s == benchToken }},
			{Name: "looker", Role: admin.RoleViewer, Match: func(s string) bool { return s == "dfl_look" }},
		},
		Logger: slog.New(slog.DiscardHandler), Registerer: registry, Gatherer: registry,
	}).Handler(nil)
	b := &bench{t: t}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		before := b.before
		b.mu.Unlock()
		if before == nil || before(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	b.url = listener.URL
	b.api = client.New(b.url, benchToken, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = senders.Run(ctx) })
	t.Cleanup(func() {
		listener.Close()
		cancel()
		parts.Wait()
		_ = rdb.Close()
		_ = server.Stop()
		http.DefaultClient.CloseIdleConnections()
	})
	require.Eventually(t, senders.Ready, time.Minute, time.Millisecond)
	return b
}

// silent is a provider that is never asked.
type silent struct{}

func (silent) Name() string                                       { return "silent" }
func (silent) Send(context.Context, message.Text) (string, error) { return "", nil }

// on has f look at each request from now on.
func (b *bench) on(f func(http.ResponseWriter, *http.Request) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before = f
}

// said is what a command answered.
type said struct {
	t              *testing.T
	code           int
	stdout, stderr string
}

// does runs `deflectd campaigns …` as somebody at a terminal who types what is in
// answers; "": as a pipeline.
func (b *bench) does(answers string, args ...string) said {
	b.t.Helper()
	b.t.Setenv("DEFLECTD_URL", b.url)
	b.t.Setenv("DEFLECTD_TOKEN", benchToken)
	return b.doesAs(answers, args...)
}

func (b *bench) doesAs(answers string, args ...string) said {
	b.t.Helper()
	var out, errs bytes.Buffer
	code := execute(b.t.Context(), append([]string{"campaigns"}, args...), &process{
		stdin: strings.NewReader(answers), attended: answers != "", stdout: &out, stderr: &errs,
	})
	require.NotContains(b.t, out.String()+errs.String(), benchToken)
	return said{b.t, code, out.String(), errs.String()}
}

func (s said) exits(code int) said {
	s.t.Helper()
	require.Equal(s.t, code, s.code, "%s\n%s", s.stdout, s.stderr)
	return s
}

// file writes a file of campaigns.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "campaigns.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// versions are the campaigns that are there, and their versions.
func (b *bench) versions() map[string]int64 {
	b.t.Helper()
	found, err := b.api.Campaigns(b.t.Context(), client.CampaignQuery{Limit: 500})
	require.NoError(b.t, err)
	all := map[string]int64{}
	for _, c := range found.Items {
		all[c.ID] = c.Version
	}
	return all
}
