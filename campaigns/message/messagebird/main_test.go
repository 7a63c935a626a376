package messagebird

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
	dir, err := os.MkdirTemp("", "messagebird")
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

// connect is a client to a Redis, as the daemon has one.
func connect(t testing.TB, r *lab.Redis) redis.UniversalClient {
	t.Helper()
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: r.Addrs, ContextTimeoutEnabled: true, MaxRetries: 1,
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second,
	})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}
