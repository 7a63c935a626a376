package messagebird

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// server is the Redis of this package's tests.
var server *lab.Redis

func TestMain(m *testing.M) { labtest.Main(m, &server) }

// connect is a client to a Redis, as the daemon has one, but patient.
func connect(t testing.TB, r *lab.Redis) redis.UniversalClient {
	t.Helper()
	return labtest.Dial(t, r, labtest.Patience)
}
