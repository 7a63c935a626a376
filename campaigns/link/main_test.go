package link

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// server is the Redis of this package's tests.
var server *lab.Redis

func TestMain(m *testing.M) { labtest.Main(m, &server) }

// connect is a client to an empty Redis.
func connect(t testing.TB) redis.UniversalClient {
	t.Helper()
	return labtest.Connect(t, server)
}

// put writes a link as the script of the outbox does.
func put(t testing.TB, rdb redis.UniversalClient, code, target string, expires time.Duration) {
	t.Helper()
	require.NoError(t, rdb.HSet(t.Context(), Key(code), FieldCampaign, "billing", FieldMessage, "m1").Err())
	require.NoError(t, rdb.PExpire(t.Context(), Key(code), TTL(expires)).Err())
	require.NoError(t, rdb.Set(t.Context(), URLKey(code), target, expires).Err())
}
