// Package labtest is what tests of several packages need of the lab: one Redis for
// all tests of a package, clients of it, and a log that can be looked into.
package labtest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/deploy/lab"
)

// Patience is how long tests wait for Redis that are not about waiting: a busy
// machine must not look like one whose Redis is away.
const Patience = 10 * time.Second

// Main is for a package's TestMain. It runs the tests beside one Redis, or one
// Cluster (see lab.StartTestRedis), which it puts into server, and fails them where
// a goroutine is left behind.
func Main(m *testing.M, server **lab.Redis) {
	goleak.VerifyTestMain(withRedis{m, server}, LeftByRedis())
}

// LeftByRedis lets a goroutine of the Redis client be: once a second it looks for
// a server that is gone, and notices that it was closed only then.
func LeftByRedis() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
}

type withRedis struct {
	m      *testing.M
	server **lab.Redis
}

// Run implements goleak.TestingM.
func (w withRedis) Run() (code int) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	dir, err := os.MkdirTemp("", "deflectd-test-")
	if err != nil {
		fail(err)
		return code
	}
	defer func() { fail(os.RemoveAll(dir)) }()
	server, err := lab.StartTestRedis(context.Background(), dir)
	if err != nil {
		fail(err)
		return code
	}
	defer func() { fail(server.Stop()) }()
	*w.server = server
	code = w.m.Run()
	http.DefaultClient.CloseIdleConnections()
	return code
}

// Connect empties a Redis and returns a client of it that is patient.
func Connect(t testing.TB, r *lab.Redis) redis.UniversalClient {
	t.Helper()
	require.NoError(t, r.Flush(context.WithoutCancel(t.Context())))
	return Dial(t, r, Patience)
}

// Dial makes a client like the daemon's, which gives Redis so long for whatever it
// is asked; the end of the test closes it.
func Dial(t testing.TB, r *lab.Redis, wait time.Duration) redis.UniversalClient {
	t.Helper()
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: r.Addrs, ContextTimeoutEnabled: true, MaxRetries: 1, DialerRetries: 1,
		DialTimeout: wait, ReadTimeout: wait, WriteTimeout: wait,
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Twice is a hook of a client that sends every command twice, as one does whose
// connection broke before the answer came.
type Twice struct{}

// DialHook implements redis.Hook.
func (Twice) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (Twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		_ = next(ctx, cmd)
		cmd.SetErr(nil)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (Twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Log is a log that may be read while it is written. The zero Log is empty.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all that was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
