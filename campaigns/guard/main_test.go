package guard

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// server is the Redis of this package's tests.
var server *lab.Redis

func TestMain(m *testing.M) { labtest.Main(m, &server) }

// connect is a client to an empty Redis. It is patient: where something is done
// within a time, it is the guards that see to it.
func connect(t testing.TB) redis.UniversalClient {
	t.Helper()
	return labtest.Connect(t, server)
}

var secret = []byte(strings.Repeat("k", 32))

// patience is a Timeout for tests that are not about it.
const patience = labtest.Patience

func newGuards(t testing.TB, rdb redis.UniversalClient, p Policy, change ...func(*Options)) *Guards {
	t.Helper()
	if p.Countries == nil {
		p.Countries = []string{"US"}
	}
	o := Options{
		Redis: rdb, Policy: p, Secret: func() []byte { return secret }, Timeout: patience, StoreTimeout: patience,
		Registerer: prometheus.NewRegistry(),
	}
	for _, f := range change {
		f(&o)
	}
	g, err := New(o)
	require.NoError(t, err)
	return g
}

func campaign(id string, limits *campaigns.Limits) *campaigns.Campaign {
	c := &campaigns.Campaign{ID: id, Limits: limits}
	c.SetDefaults()
	return c
}

func us(i int) phone.Number {
	return phone.Number{E164: fmt.Sprintf("+1415555%04d", i), Region: "US"}
}

// sendScript does what the script of a message does that makes a text durable.
//
// ARGV 1 time (Unix ms), ” for now  2 id  3 segments  4… see guard_args
var sendScript = redis.NewScript(clockLua + optout.Lua + Lua + `
local at = tonumber(ARGV[1]) or clock()
local subject, limits = guard_args(4)
local reason, limit, retry = guard_refusal(subject, limits, at, tonumber(ARGV[3]))
if reason == '' then
  guard_count(subject, at, ARGV[2], tonumber(ARGV[3]))
end
return { reason, limit, retry }`)

// uncountScript takes a text back.
var uncountScript = redis.NewScript(optout.Lua + Lua + `
guard_uncount(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])`)

// callScript is the one of Check, at a chosen time.
//
// ARGV 1 time (Unix ms)  2 call  3… see guard_args
var callScript = redis.NewScript(optout.Lua + Lua + `
local at = tonumber(ARGV[1])
local subject, limits = guard_args(3)
guard_called(subject, at, ARGV[2])
return { guard_refusal(subject, limits, at, 1) }`)

var suppressScript = redis.NewScript(Lua + `guard_suppress(ARGV[1], ARGV[2])`)

var anyKey = []string{campaigns.Key("guard")}

func millis(at time.Time) any {
	if at.IsZero() {
		return ""
	}
	return at.UnixMilli()
}

// send sends a text, where the guards allow it; at the zero time: now.
func send(t testing.TB, g *Guards, at time.Time, c *campaigns.Campaign, n phone.Number, id string, segments int, e Exempt) Refusal {
	t.Helper()
	args, err := g.appendArgs([]any{millis(at), id, segments}, c, n, e)
	require.NoError(t, err)
	return ran(t, sendScript, g, args)
}

func ran(t testing.TB, s *redis.Script, g *Guards, args []any) Refusal {
	t.Helper()
	answer, err := s.Run(context.WithoutCancel(t.Context()), g.o.Redis, anyKey, args...).Slice()
	require.NoError(t, err)
	r, err := read(answer)
	require.NoError(t, err)
	return r
}

func person(n phone.Number) string { return campaigns.Pseudonym(secret, n.E164) }

// keys are all keys in Redis.
func keys(t testing.TB) []string {
	t.Helper()
	list, err := server.Keys(t.Context(), "*")
	require.NoError(t, err)
	return list
}

// first is Look, less all that it says behind the first refusal: what Check says.
func first(g *Guards) func(context.Context, *campaigns.Campaign, phone.Number, int) (Refusal, error) {
	return func(ctx context.Context, c *campaigns.Campaign, n phone.Number, segments int) (Refusal, error) {
		list, err := g.Look(ctx, c, n, segments)
		if len(list) == 0 {
			return Refusal{}, err
		}
		return list[0], err
	}
}
