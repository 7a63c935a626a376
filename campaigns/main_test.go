package campaigns

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/deploy/lab"
)

// server is the Redis of this package's tests.
var server *lab.Redis

func TestMain(m *testing.M) { goleak.VerifyTestMain(withRedis{m}) }

type withRedis struct{ m *testing.M }

func (w withRedis) Run() int {
	dir, err := os.MkdirTemp("", "campaigns")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		server, err = lab.StartTestRedis(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = server.Stop() }()
	return w.m.Run()
}

// connect is a client to an empty Redis.
func connect(t testing.TB) redis.UniversalClient {
	t.Helper()
	return dial(t, 10*time.Second)
}

// dial is a client to an empty Redis that waits so long for an answer.
func dial(t testing.TB, patience time.Duration) redis.UniversalClient {
	t.Helper()
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: server.Addrs, ContextTimeoutEnabled: true, MaxRetries: -1,
		DialTimeout: 200 * time.Millisecond, ReadTimeout: patience,
	})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	require.NoError(t, server.Flush(t.Context()))
	return rdb
}

// sample is the smallest campaign, with its defaults.
func sample(id string, dnis ...string) *Campaign {
	c := &Campaign{
		ID: id, DNIS: dnis, Text: "Acme: pay your bill here {link}",
		Interaction: Interaction{URL: "https://visual.example.com/start"},
	}
	c.SetDefaults()
	return c
}
