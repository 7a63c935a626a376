package guard

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/optout"
)

// BenchmarkGuards says what guard_refusal and guard_count cost Redis (µs/op-redis:
// its processor time for one run, with that for the request), beside a script
// that does neither. Each text goes to another number of a few ranges.
func BenchmarkGuards(b *testing.B) {
	bare := redis.NewScript(clockLua + optout.Lua + Lua + `
local at = tonumber(ARGV[1]) or clock()
local subject, limits = guard_args(4)
return { '', '', 0 }`)
	for _, bench := range []struct {
		name   string
		script *redis.Script
	}{{"nothing", bare}, {"text", sendScript}, {"check", lookScript}} {
		b.Run(bench.name, func(b *testing.B) {
			rdb := connect(b)
			g := newGuards(b, rdb, Policy{
				Cooldown: time.Hour, PerCallerPerDay: 3, PerPrefixPerHour: 1 << 30, SegmentsPerDay: 1 << 30, SurgeCalls: 20,
			})
			c := campaign("a", &campaigns.Limits{PerCallerPerDay: ptr(2), PerDay: ptr(1 << 30)})
			before := processor(b, rdb)
			for i := 0; b.Loop(); i++ {
				head := []any{"", strconv.Itoa(i), 1}
				if bench.script == lookScript {
					head = []any{strconv.Itoa(i), 1}
				}
				args, err := g.appendArgs(head, c, us(i), NotExempt)
				require.NoError(b, err)
				require.NoError(b, bench.script.Run(b.Context(), rdb, anyKey, args...).Err())
			}
			b.ReportMetric(float64((processor(b, rdb)-before).Nanoseconds())/1e3/float64(b.N), "µs/op-redis")
		})
	}
}

// processor is how much processor time Redis has used, for whatever it did.
func processor(b *testing.B, rdb redis.UniversalClient) (total time.Duration) {
	b.Helper()
	info, err := rdb.Info(b.Context(), "cpu").Result()
	require.NoError(b, err)
	for _, found := range regexp.MustCompile(`used_cpu_(?:user|sys):([0-9.]+)`).FindAllStringSubmatch(info, -1) {
		seconds, err := strconv.ParseFloat(found[1], 64)
		require.NoError(b, err)
		total += time.Duration(seconds * float64(time.Second))
	}
	return total
}

// BenchmarkPermit is what a call costs that is refused without a look at the
// history.
func BenchmarkPermit(b *testing.B) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = rdb.Close() }()
	g := newGuards(b, rdb, Policy{})
	c := campaign("a", nil)
	n := us(1)
	b.ReportAllocs()
	for b.Loop() {
		if !g.Permit(c, n).None() {
			b.Fatal("it may be texted")
		}
	}
}

// BenchmarkArgs is what the arguments of a script cost.
func BenchmarkArgs(b *testing.B) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = rdb.Close() }()
	g := newGuards(b, rdb, Policy{Cooldown: time.Hour, PerCallerPerDay: 3})
	c := campaign("a", nil)
	n := us(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Args(c, n, NotExempt); err != nil {
			b.Fatal(err)
		}
	}
}
