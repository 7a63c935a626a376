package message

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/guard"
)

// BenchmarkSend is the whole path of a text, from Send until it is accepted,
// with a provider that costs nothing and all guards on: what is left is the
// outbox itself. It prints the CPU time of this process and the round trips to Redis for a text.
func BenchmarkSend(b *testing.B) {
	rdb := connect(b, startRedis(b))
	policy := guard.Policy{
		Countries: []string{"US"}, Cooldown: time.Hour, PerCallerPerDay: 3, PerPrefixPerHour: 1 << 30, SegmentsPerDay: 1 << 30,
		SurgeCalls: 100,
	}
	o := newOutbox(b, rdb, &effortless{}, guarded(b, rdb, policy), func(o *Options) { o.TextsPerSecond = 1e6 })
	running(b, o)
	pending, err := o.Send(b.Context(), request())
	require.NoError(b, err)
	for range pending.States() {
	}
	counter := &meddler{}
	rdb.AddHook(counter)
	var callers atomic.Int64
	b.ReportAllocs()
	before := cpu()
	var wg sync.WaitGroup
	work := make(chan struct{})
	b.ResetTimer()
	for range 16 {
		wg.Go(func() {
			for range work {
				r := request()
				r.To.E164 = fmt.Sprintf("+1415%07d", callers.Add(1))
				pending, err := o.Send(b.Context(), r)
				if err != nil {
					b.Error(err)
					continue
				}
				for range pending.States() {
				}
			}
		})
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(counter.commands.Load())/float64(b.N), "round-trips/op")
}

// effortless accepts everything at once.
type effortless struct{}

func (*effortless) Name() string { return "instant" }

func (*effortless) Send(context.Context, Text) (string, error) { return "id", nil }

// cpu is the time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkMeasure(b *testing.B) {
	text := "Acme: pay your bill here https://txt.example.com/2nYh8rKq4Zx"
	b.ReportAllocs()
	for b.Loop() {
		Measure(text)
	}
}
