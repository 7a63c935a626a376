package report

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/deploy/lab"
)

func TestMain(m *testing.M) {
	// The Redis client looks for a server that is gone once a second, and
	// notices that it was closed only then.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// startRedis runs a real Redis that keeps what it has on disk.
func startRedis(t *testing.T) *lab.Redis {
	t.Helper()
	s, err := lab.StartTestRedis(t.Context(), t.TempDir(), "--appendonly", "yes", "--appendfsync", "no")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func client(s *lab.Redis) redis.UniversalClient {
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: s.Addrs, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 200 * time.Millisecond, ReadTimeout: 500 * time.Millisecond,
	})
}
