package sender_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message/messagebird"
	"deflectd/campaigns/sender"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// server is the Redis of this package's tests.
var server *lab.Redis

func TestMain(m *testing.M) { labtest.Main(m, &server) }

// rig is what senders work with: real Redis, and the provider's stand-in over
// HTTP.
type rig struct {
	t        *testing.T
	rdb      redis.UniversalClient
	provider *lab.Provider
	store    *campaigns.Store
	logs     labtest.Log // what the parts under test said
}

func newRig(t *testing.T) *rig {
	t.Helper()
	rdb := labtest.Connect(t, server) // a daemon whose Redis will be away is hasty by itself
	provider, err := lab.StartProvider()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, provider.Stop()) })
	return &rig{t: t, rdb: rdb, provider: provider, store: campaigns.NewStore(rdb)}
}

func (r *rig) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&r.logs, nil)) }

// numbers is the account at the stand-in, as one daemon speaks with it.
func (r *rig) numbers() sender.Numbers {
	client, err := messagebird.NewClient(messagebird.Options{
		AccessKey: r.provider.AccessKey, URL: r.provider.URL, NumbersURL: r.provider.NumbersURL(),
	})
	require.NoError(r.t, err)
	r.t.Cleanup(client.Close)
	return messagebird.NewNumbers(client)
}

// daemon makes the senders of one daemon, which are not run.
func (r *rig) daemon(change ...func(*sender.Options)) *sender.Senders {
	o := sender.Options{
		Redis: r.rdb, Numbers: r.numbers(), Campaigns: r.store, Refresh: 50 * time.Millisecond,
		StoreTimeout: labtest.Patience, Logger: r.logger(),
	}
	for _, c := range change {
		c(&o)
	}
	return sender.New(o)
}

// run runs the senders of a daemon until the test ends.
func (r *rig) run(s *sender.Senders) *sender.Senders {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		require.NoError(r.t, <-done)
	})
	return s
}

// campaign stores a campaign that names a sender, or none.
func (r *rig) campaign(id, originator string, change ...func(*campaigns.Campaign)) {
	r.t.Helper()
	c := &campaigns.Campaign{
		ID: id, DNIS: []string{fmt.Sprintf("+1800555%04d", len(id)*31+int(id[0]))}, Text: "Acme: pay your bill here {link}",
		Interaction: campaigns.Interaction{URL: "https://visual.example.com/start"}, Originator: originator,
	}
	for _, f := range change {
		f(c)
	}
	require.NoError(r.t, r.store.Create(r.t.Context(), c, "", ""))
}

// ids are the senders in the list.
func (r *rig) ids(s *sender.Senders) []string {
	r.t.Helper()
	list, err := s.List(r.t.Context())
	require.NoError(r.t, err)
	ids := make([]string, 0, len(list))
	for _, one := range list {
		ids = append(ids, one.ID)
	}
	return ids
}

var pendingKey = campaigns.Key("senders", "pending")

// pending is how many numbers something is under way with.
func (r *rig) pending() int {
	r.t.Helper()
	n, err := r.rdb.HLen(r.t.Context(), pendingKey).Result()
	require.NoError(r.t, err)
	return int(n)
}

// age lets what is under way with a number be held by nobody, and have been
// begun so long ago.
func (r *rig) age(number string, by time.Duration) {
	r.t.Helper()
	ctx := r.t.Context()
	raw, err := r.rdb.HGet(ctx, pendingKey, number).Result()
	require.NoError(r.t, err)
	var kind, nonce, key, digest string
	var until, begun, tries int64
	_, err = fmt.Sscanf(raw, "%s %s %d %d %d %s %s\n", &kind, &nonce, &until, &begun, &tries, &key, &digest)
	require.NoError(r.t, err)
	_, body, _ := bytes.Cut([]byte(raw), []byte("\n"))
	require.NoError(r.t, r.rdb.HSet(ctx, pendingKey, number, fmt.Sprintf(
		"%s %s 0 %d %d %s %s\n%s", kind, nonce, time.Now().Add(-by).UnixMilli(), tries, key, digest, body)).Err())
}

func eventually(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, time.Minute, 10*time.Millisecond)
}

// bought are the requests that rented a number.
func (r *rig) bought() (n int) {
	for _, one := range r.provider.NumberRequests() {
		if one.Method == http.MethodPost && one.Done {
			n++
		}
	}
	return n
}

func containsAll(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
