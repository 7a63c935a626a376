package report

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

const (
	person  = "+14155550132" // of call
	another = "+447700900123"
)

// everything is all that is in Redis, keys and values, as one text.
func (b *bench) everything() string {
	b.t.Helper()
	var all strings.Builder
	scan := func(ctx context.Context, rdb redis.Cmdable) error {
		keys, err := rdb.Keys(ctx, "*").Result()
		for _, key := range keys {
			all.WriteString(key + "\n")
			if text, err := rdb.Get(ctx, key).Result(); err == nil {
				all.WriteString(text + "\n")
			}
			if ids, err := rdb.ZRange(ctx, key, 0, -1).Result(); err == nil {
				all.WriteString(strings.Join(ids, "\n"))
			}
		}
		return err
	}
	var err error
	if cluster, ok := b.rdb.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(b.t.Context(), func(ctx context.Context, node *redis.Client) error { return scan(ctx, node) })
	} else {
		err = scan(b.t.Context(), b.rdb)
	}
	require.NoError(b.t, err)
	return all.String()
}

// has checks whether something is anywhere in Redis.
func (b *bench) has(what string, want bool) {
	b.t.Helper()
	require.Equal(b.t, want, strings.Contains(b.everything(), what), what) // all of it is too much to print
}

// TestForget takes a number out of calls from it and of calls it forwarded,
// and leaves the rest of them and all other calls alone.
func TestForget(t *testing.T) {
	b := newBench(t, startRedis(t))
	const n = scanChunk + 100 // more than one page
	want := map[string]Call{}
	for i := range n {
		c := call(i)
		switch i % 4 {
		case 0: // from the person
		case 1: // forwarded by the person
			c.ANI, c.Diverted = another, person
		case 2: // both
			c.Diverted = person
		default: // of somebody else
			c.ANI = another
		}
		b.Record(c)
		c.ANI = strings.Replace(c.ANI, person, "", 1)
		c.Diverted = strings.Replace(c.Diverted, person, "", 1)
		want[c.ID] = c
	}
	b.written(n)
	b.has(person, true)

	forgotten, err := b.Forget(t.Context(), person)
	require.NoError(t, err)
	require.Equal(t, n/4*3, forgotten)
	b.has(person, false)
	b.has(strings.TrimPrefix(person, "+"), false)

	list, _, err := b.Search(t.Context(), Query{Limit: n})
	require.NoError(t, err)
	got := map[string]Call{}
	for _, c := range list {
		got[c.ID] = c
	}
	require.Empty(t, cmp.Diff(want, got))
	ttl, err := b.rdb.TTL(t.Context(), recordKey(call(0).ID)).Result()
	require.NoError(t, err)
	require.InDelta(t, time.Hour.Seconds(), ttl.Seconds(), 60, "they are kept as long as others")
	list, _, err = b.Search(t.Context(), Query{ANI: person})
	require.NoError(t, err)
	require.Empty(t, list)
	list, _, err = b.Search(t.Context(), Query{ANI: another, Limit: n})
	require.NoError(t, err)
	require.Len(t, list, n/2)
	require.Equal(t, float64(n), b.counted("billing", Deflected, Released), "the figures stay as they are")

	forgotten, err = b.Forget(t.Context(), person)
	require.NoError(t, err)
	require.Zero(t, forgotten)
}

// TestForgetWaitsForWhatIsQueued checks that a call which has just ended is
// forgotten too, though its record is not written yet.
func TestForgetWaitsForWhatIsQueued(t *testing.T) {
	b := newBench(t, startRedis(t))
	for i := range 2000 {
		b.Record(call(i))
	}
	forgotten, err := b.Forget(t.Context(), person)
	require.NoError(t, err)
	require.Equal(t, 2000, forgotten)
	b.has(person, false)
}

// TestForgetWithoutRedis checks that what could not be forgotten is no success.
func TestForgetWithoutRedis(t *testing.T) {
	s := startRedis(t)
	b := newBench(t, s)
	b.Record(call(1))
	b.written(1)
	require.NoError(t, s.Kill())
	_, err := b.Forget(t.Context(), person)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "4155550132")

	b.Record(call(2)) // it cannot be written
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = b.Forget(ctx, person)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestForgottenBetweenTwoWrites checks that a record whose write is repeated,
// because its answer was lost, neither comes back with the number that was
// forgotten meanwhile nor counts as another.
func TestForgottenBetweenTwoWrites(t *testing.T) {
	b := newBench(t, startRedis(t))
	c := call(1)
	c.Diverted = another
	b.Record(c)
	b.written(1)
	_, err := b.Forget(t.Context(), person)
	require.NoError(t, err)

	r := NewRecorder(Options{Redis: b.rdb, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	r.Record(c)
	require.NoError(t, r.write(t.Context(), r.head()))
	require.Len(t, r.head(), 1, "nothing is queued again")
	require.Equal(t, 1.0, testutil.ToFloat64(r.calls.WithLabelValues("billing", string(Deflected), string(Released))))
	b.has(person, false)
	b.has(another, true)
}

// TestForgetAtTheSameTime forgets both numbers of the same calls at once: the
// one does not bring back the other.
func TestForgetAtTheSameTime(t *testing.T) {
	b := newBench(t, startRedis(t))
	const n = 200
	for i := range n {
		c := call(i)
		c.Diverted = another
		b.Record(c)
	}
	b.written(n)
	done := make(chan error, 2)
	for _, number := range []string{person, another} {
		go func() {
			_, err := b.Forget(t.Context(), number)
			done <- err
		}()
	}
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	b.has(person, false)
	b.has(another, false)
}

// TestNumberIndexIsTrimmed checks that a number is not kept longer than the
// records it is in, and that one without a record can be forgotten.
func TestNumberIndexIsTrimmed(t *testing.T) {
	b := newBench(t, startRedis(t))
	old, young := call(1), call(2)
	old.Started, young.Started = time.Now().Add(-2*time.Hour-numberGrace), time.Now()
	b.Record(old)
	b.written(1)
	b.Record(young)
	b.written(2)
	ids, err := b.rdb.ZRange(t.Context(), numberKey(person), 0, -1).Result()
	require.NoError(t, err)
	require.Equal(t, []string{young.ID}, ids)
	ttl, err := b.rdb.TTL(t.Context(), numberKey(person)).Result()
	require.NoError(t, err)
	require.InDelta(t, time.Hour.Seconds(), ttl.Seconds(), 60)

	require.NoError(t, b.rdb.Del(t.Context(), recordKey(old.ID), recordKey(young.ID)).Err())
	forgotten, err := b.Forget(t.Context(), person)
	require.NoError(t, err)
	require.Zero(t, forgotten)
	b.has(person, false)
}

// TestNumbers checks by which numbers a call is found.
func TestNumbers(t *testing.T) {
	for _, test := range []struct {
		ani, diverted string
		want          []string
	}{
		{"", "", nil},
		{person, "", []string{person}},
		{person, another, []string{person, another}},
		{person, person, []string{person}},
		{"123", "anonymous", nil},
	} {
		c := Call{ANI: test.ani, Diverted: test.diverted}
		require.Equal(t, test.want, c.numbers())
	}
}
