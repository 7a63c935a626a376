package campaigns

import (
	"testing"

	"github.com/redis/go-redis/v9"

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

// sample is the smallest campaign, with its defaults.
func sample(id string, dnis ...string) *Campaign {
	c := &Campaign{
		ID: id, DNIS: dnis, Text: "Acme: pay your bill here {link}",
		Interaction: Interaction{URL: "https://visual.example.com/start"},
	}
	c.SetDefaults()
	return c
}
