package report

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// bench is a Recorder that runs on a real Redis.
type bench struct {
	*Recorder
	t    *testing.T
	log  *labtest.Log
	stop func() error
}

func newBench(t *testing.T, s *lab.Redis, change ...func(*Recorder)) *bench {
	t.Helper()
	rdb := labtest.Dial(t, s, labtest.Patience)
	b := &bench{t: t, log: new(labtest.Log)}
	b.Recorder = NewRecorder(Options{
		Redis: rdb, Retention: time.Hour,
		Logger: slog.New(slog.NewTextHandler(b.log, nil)), Registerer: prometheus.NewRegistry(),
	})
	for _, f := range change {
		f(b.Recorder)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stopped := false
	b.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		_ = b.stop()
		_ = rdb.Close()
	})
	return b
}

func (b *bench) written(n int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		n1, err := b.rdb.ZCard(context.Background(), indexKey).Result()
		return err == nil && int(n1) == n && b.pending() == 0
	}, time.Minute, 10*time.Millisecond, "%d records in Redis", n)
}

func (b *bench) counted(campaign string, o Outcome, r Reason) float64 {
	return testutil.ToFloat64(b.calls.WithLabelValues(campaign, string(o), string(r)))
}

// start is when the first call began: now, for what is old is not kept.
var start = time.Now().UTC().Truncate(time.Microsecond)

func call(i int) Call {
	return Call{
		ID: fmt.Sprintf("call-%06d", i), Node: "pbx1", Channel: "1700000000.1", DNIS: "+18005550100",
		ANI: "+14155550132", Campaign: "billing", Outcome: Deflected, Reason: Released, Message: "m1",
		Started: start.Add(time.Duration(i) * time.Second),
		Steps:   []Step{{At: start, Name: "answer"}, {At: start, Name: "key", Detail: "1"}},
	}
}

func TestRecordIsReadAsItWasWritten(t *testing.T) {
	b := newBench(t, startRedis(t))
	want := call(1)
	local := time.FixedZone("", 3600)
	given := want
	given.Started = want.Started.In(local)
	b.Record(given)
	b.written(1)

	got, err := b.Get(t.Context(), want.ID)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got))
	ttl, err := b.rdb.TTL(t.Context(), recordKey(want.ID)).Result()
	require.NoError(t, err)
	require.InDelta(t, time.Hour.Seconds(), ttl.Seconds(), 60)
	require.Equal(t, 1.0, b.counted("billing", Deflected, Released))

	_, err = b.Get(t.Context(), "another")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestPairOutsideTheTableIsInternal(t *testing.T) {
	b := newBench(t, startRedis(t))
	wrong := call(1)
	wrong.Outcome, wrong.Reason = Deflected, NoKeypress
	b.Record(wrong)
	b.written(1)
	got, err := b.Get(t.Context(), wrong.ID)
	require.NoError(t, err)
	require.Equal(t, Failed, got.Outcome)
	require.Equal(t, Internal, got.Reason)
	require.Equal(t, 1.0, b.counted("billing", Failed, Internal))
	require.NoError(t, b.stop())
	require.Contains(t, b.log.String(), "level=ERROR")
	require.NotContains(t, b.log.String(), "4155550132")
}

func TestOrphanNeverReplacesOrDoublesARecord(t *testing.T) {
	b := newBench(t, startRedis(t))
	b.Record(call(1))
	orphan := call(1)
	orphan.Outcome, orphan.Reason, orphan.Started = Failed, Orphaned, start.Add(time.Hour)
	b.Record(orphan)
	alone := call(2)
	alone.Outcome, alone.Reason = Failed, Orphaned
	b.Record(alone)
	alone.Ended = start // found by another as well
	b.Record(alone)
	b.written(2)

	got, err := b.Get(t.Context(), orphan.ID)
	require.NoError(t, err)
	require.Equal(t, Deflected, got.Outcome)
	list, _, err := b.Search(t.Context(), Query{})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, 1.0, b.counted("billing", Failed, Orphaned))
}

// A channel that comes a second time has a record of its own then, and both are
// counted once, however often they are written.
func TestSecondRecordOfAChannel(t *testing.T) {
	b := newBench(t, startRedis(t))
	first, second := call(1), call(1)
	second.Outcome, second.Reason, second.Started = Declined, NoKeypress, first.Started.Add(time.Minute)
	b.Record(first)
	b.Record(second)
	b.written(2)
	got, err := b.Get(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, Deflected, got.Outcome)
	second.ID = fmt.Sprintf("%s-%d", first.ID, second.Started.UnixMicro())
	got, err = b.Get(t.Context(), second.ID)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(second, got))
	require.Equal(t, 1.0, b.counted("billing", Deflected, Released))
	require.Equal(t, 1.0, b.counted("billing", Declined, NoKeypress))

	// A third of the same moment has nowhere to go, and is not counted.
	second.ID, second.Outcome, second.Reason = first.ID, Abandoned, CallerHungUp
	b.Record(second)
	require.Eventually(t, func() bool { return testutil.ToFloat64(b.dropped) == 1 }, time.Minute, time.Millisecond)
	require.Zero(t, b.counted("billing", Abandoned, CallerHungUp))
}

// The answer to a write may be lost: what is written again is counted once.
func TestWrittenAgain(t *testing.T) {
	s := startRedis(t)
	rdb := labtest.Dial(t, s, labtest.Patience)
	defer func() { _ = rdb.Close() }()
	r := NewRecorder(Options{Redis: rdb, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	r.Record(call(1))
	group := r.head()
	require.NoError(t, rdb.Set(t.Context(), recordKey(group[0].id), group[0].body, 0).Err())
	require.NoError(t, r.write(t.Context(), group))
	require.Equal(t, 1.0, testutil.ToFloat64(r.calls.WithLabelValues("billing", string(Deflected), string(Released))))
	require.Len(t, r.head(), 1, "nothing is queued again")
}

func TestRecordsOutliveRedis(t *testing.T) {
	s := startRedis(t)
	b := newBench(t, s, func(r *Recorder) { r.backlog = 1500 })
	b.Record(call(0))
	b.written(1)
	require.NoError(t, s.Kill())
	for i := 1; i <= 1600; i++ {
		b.Record(call(i))
	}
	require.Equal(t, 100.0, testutil.ToFloat64(b.dropped))
	require.Equal(t, 1500, b.pending())
	require.Eventually(t, func() bool {
		return strings.Contains(b.log.String(), "records of calls cannot be written")
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, s.Restart(t.Context()))
	b.written(1501)
	require.Equal(t, 1601.0, b.counted("billing", Deflected, Released))
	require.NoError(t, b.stop())
	require.Contains(t, b.log.String(), "records of calls are written again")
}

func TestRunFlushesAtItsEndAndSaysWhatIsLost(t *testing.T) {
	s := startRedis(t)
	b := newBench(t, s)
	for i := range 2000 {
		b.Record(call(i))
	}
	require.NoError(t, b.stop())
	n, err := b.rdb.ZCard(t.Context(), indexKey).Result()
	require.NoError(t, err)
	require.EqualValues(t, 2000, n)

	lost := newBench(t, s)
	require.NoError(t, s.Kill())
	lost.Record(call(5000))
	began := time.Now()
	require.ErrorContains(t, lost.stop(), "1 records of calls could not be written")
	require.Less(t, time.Since(began), flushBudget+writeTimeout+labtest.Patience)
}

func TestIndexIsTrimmedByAge(t *testing.T) {
	b := newBench(t, startRedis(t))
	old := call(1)
	old.Started = time.Now().Add(-2 * time.Hour)
	young := call(2)
	young.Started = time.Now()
	b.Record(old)
	b.Record(young)
	b.written(2)
	b.trim(t.Context())
	b.written(1)
}

func TestSearch(t *testing.T) {
	b := newBench(t, startRedis(t))
	const n = 1300
	for i := range n {
		c := call(i)
		if i%2 == 0 {
			c.Campaign = "sales"
		}
		if i%100 == 0 {
			c.ANI, c.Outcome, c.Reason = "+447700900123", Abandoned, CallerHungUp
		}
		if i >= 200 {
			c.Started = start.Add(200 * time.Second) // many at one moment
		}
		b.Record(c)
	}
	b.written(n)
	// One whose record has expired before its index entry.
	require.NoError(t, b.rdb.Del(t.Context(), recordKey(call(7).ID)).Err())

	for name, tc := range map[string]struct {
		query Query
		want  int
	}{
		"all":               {Query{Limit: 7}, n - 1},
		"one page":          {Query{Limit: 5000}, n - 1},
		"exactly the limit": {Query{Limit: 1299}, n - 1},
		"campaign":          {Query{Campaign: "sales", Limit: 33}, n / 2},
		"number":            {Query{ANI: "+447700900123"}, 13},
		"outcome":           {Query{Outcome: Abandoned, Limit: 13}, 13},
		"nothing":           {Query{Campaign: "other"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			var last Call
			for {
				page, next, err := b.Search(t.Context(), tc.query)
				require.NoError(t, err)
				for _, c := range page {
					require.False(t, seen[c.ID], "%s twice", c.ID)
					seen[c.ID] = true
					require.True(t, last.ID == "" || !c.Started.After(last.Started), "newest first")
					last = c
				}
				if next == "" {
					break
				}
				tc.query.Cursor = next
			}
			require.Len(t, seen, tc.want)
		})
	}
	for _, cursor := range []string{"!", "YQ", "MTIz", "bm9wZTp4"} {
		_, _, err := b.Search(t.Context(), Query{Cursor: cursor})
		require.ErrorIs(t, err, ErrCursor, cursor)
	}
}

func TestPageGivesEveryLiveCallOnce(t *testing.T) {
	var calls []Call
	for i := range 25 {
		c := call(i)
		c.Outcome, c.Reason = "", ""
		c.Started = start.Add(time.Duration(i/5) * time.Second)
		calls = append(calls, c)
	}
	query, seen := Query{Limit: 4, Campaign: "billing"}, map[string]bool{}
	for {
		page, next, err := Page(calls, query)
		require.NoError(t, err)
		for _, c := range page {
			require.False(t, seen[c.ID])
			seen[c.ID] = true
		}
		if next == "" {
			break
		}
		query.Cursor = next
	}
	require.Len(t, seen, 25)
	none, next, err := Page(calls, Query{Campaign: "other"})
	require.NoError(t, err)
	require.Empty(t, none)
	require.Empty(t, next)
}

func TestCallID(t *testing.T) {
	secret := []byte("0123456789abcdef")
	id := CallID(secret, "pbx1", "1700000000.1", start)
	require.Len(t, id, callIDLength)
	require.Equal(t, id, CallID(secret, "pbx1", "1700000000.1", start.Local().Truncate(time.Millisecond)))
	for name, other := range map[string]string{
		"secret":  CallID([]byte("another"), "pbx1", "1700000000.1", start),
		"node":    CallID(secret, "pbx2", "1700000000.1", start),
		"channel": CallID(secret, "pbx1", "1700000000.2", start),
		"created": CallID(secret, "pbx1", "1700000000.1", start.Add(time.Millisecond)),
		"border":  CallID(secret, "pbx11", "700000000.1", start),
	} {
		require.NotEqual(t, id, other, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		id := CallID(secret, rapid.String().Draw(t, "node"), rapid.String().Draw(t, "channel"), start)
		require.Len(t, id, callIDLength)
		for _, r := range id {
			require.Contains(t, base58, string(r))
		}
	})
}

func TestEncode58KeepsAllBits(t *testing.T) {
	require.Equal(t, "1111111111111111111111", encode58(make([]byte, 16)))
	require.Equal(t, "YcVfxkQb6JRzqk5kF2tNLv", encode58(bytes.Repeat([]byte{0xff}, 16)))
}

func BenchmarkRecord(b *testing.B) {
	r := NewRecorder(Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	r.backlog = b.N + 1
	c := call(1)
	b.ReportAllocs()
	for b.Loop() {
		r.Record(c)
	}
}
