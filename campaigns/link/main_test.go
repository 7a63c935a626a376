package link

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
	dir, err := os.MkdirTemp("", "link")
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
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: server.Addrs, ContextTimeoutEnabled: true, MaxRetries: -1, DialTimeout: 200 * time.Millisecond,
	})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	require.NoError(t, server.Flush(t.Context()))
	return rdb
}

// put writes a link as the script of the outbox does.
func put(t testing.TB, rdb redis.UniversalClient, code, target string, expires time.Duration) {
	t.Helper()
	require.NoError(t, rdb.HSet(t.Context(), Key(code), FieldCampaign, "billing", FieldMessage, "m1").Err())
	require.NoError(t, rdb.PExpire(t.Context(), Key(code), TTL(expires)).Err())
	require.NoError(t, rdb.Set(t.Context(), URLKey(code), target, expires).Err())
}
