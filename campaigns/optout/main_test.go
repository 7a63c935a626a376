package optout

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	dir, err := os.MkdirTemp("", "optout")
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
	require.NoError(t, server.Flush(context.WithoutCancel(t.Context())))
	return dial(t, server)
}

// dial is a client as the daemon has one.
func dial(t testing.TB, r *lab.Redis) redis.UniversalClient {
	t.Helper()
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: r.Addrs, ContextTimeoutEnabled: true, MaxRetries: 1, DialTimeout: 300 * time.Millisecond, ReadTimeout: 10 * time.Second,
	})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

var secret = []byte(strings.Repeat("k", 32))

func newList(rdb redis.UniversalClient, change ...func(*Options)) *List {
	o := Options{Redis: rdb, Secret: func() []byte { return secret }, Registerer: prometheus.NewRegistry()}
	for _, f := range change {
		f(&o)
	}
	return New(o)
}

// add puts a number on the list.
func add(t testing.TB, l *List, e Entry) {
	t.Helper()
	added, err := l.Add(t.Context(), e)
	require.NoError(t, err)
	require.True(t, added)
}

// all reads the whole list, page by page.
func all(t testing.TB, l *List, q Query) (found []Entry) {
	t.Helper()
	for {
		page, next, err := l.List(t.Context(), q)
		require.NoError(t, err)
		found = append(found, page...)
		if next == "" {
			return found
		}
		q.Cursor = next
	}
}

func number(i int) string { return fmt.Sprintf("+1415555%04d", i) }
