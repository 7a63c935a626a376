package message

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSearch(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	var ids []string
	for i := range 45 {
		r := request()
		r.To.E164 = fmt.Sprintf("+1415555013%d", i%3)
		if i%5 == 0 {
			r.Campaign.ID = "fifth"
		}
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		states(t, pending)
		ids = append(ids, pending.Message().ID)
	}
	all := func(q Query) (found []Message) {
		t.Helper()
		for range 100 {
			page, next, err := o.Search(t.Context(), q)
			require.NoError(t, err)
			assert.LessOrEqual(t, len(page), q.Limit)
			found = append(found, page...)
			if next == "" {
				return found
			}
			q.Cursor = next
		}
		t.Fatal("the search never ends")
		return nil
	}
	for _, limit := range []int{1, 7, 50, 500} {
		seen := map[string]bool{}
		found := all(Query{Limit: limit})
		for i, m := range found {
			assert.False(t, seen[m.ID], "twice on pages of %d", limit)
			seen[m.ID] = true
			assert.True(t, i == 0 || !m.Created.After(found[i-1].Created), "newest first")
			assert.Empty(t, m.History)
		}
		assert.Len(t, seen, len(ids))
	}
	assert.Len(t, all(Query{To: "+14155550130", Limit: 4}), 15)
	assert.Len(t, all(Query{Campaign: "fifth", Limit: 4}), 9)
	assert.Len(t, all(Query{Campaign: "fifth", To: "+14155550130", Limit: 4}), 3)
	assert.Len(t, all(Query{State: Accepted, Limit: 4}), 45)
	assert.Empty(t, all(Query{State: Failed, Limit: 4}))
	assert.Empty(t, all(Query{To: "+1", Limit: 4}))

	require.NoError(t, rdb.Del(t.Context(), messageKey(ids[3])).Err())
	assert.Len(t, all(Query{Limit: 10}), 44, "an index may be ahead of the records")

	for _, cursor := range []string{"x", ".", "12", "-5.a", "1e9.a", "99999999999999999999.a", "5."} {
		_, _, err := o.Search(t.Context(), Query{Cursor: cursor})
		require.ErrorIs(t, err, ErrCursor, cursor)
	}
}

func TestTheIndicesForgetWithTheRecords(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{}, func(o *Options) { o.Retention = time.Millisecond })
	for range 2 {
		pending, err := o.Send(t.Context(), request())
		require.NoError(t, err)
		states(t, pending)
		assert.EqualValues(t, 1, rdb.ZCard(t.Context(), numberKey(caller)).Val())
		id := pending.Message().ID
		require.NoError(t, rdb.Del(t.Context(), messageKey(id)).Err())
		for _, key := range []string{indexKey, numberKey(caller)} { // as if it had been so long ago
			at := time.Now().Add(-o.kept()).UnixMilli()
			require.NoError(t, rdb.ZAdd(t.Context(), key, z(float64(at), id)).Err())
		}
	}
	running(t, o)
	assert.Eventually(t, func() bool { return rdb.ZCard(t.Context(), indexKey).Val() == 0 }, time.Minute, 5*time.Millisecond)
}

// Those of a time are from one instant, which is in it, to another, which is not.
func TestSearchWithinATime(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	first := time.UnixMilli(1_700_000_000_000)
	for i := range 10 {
		at := first.Add(time.Duration(i) * time.Second).UnixMilli()
		id := fmt.Sprintf("m%d", i)
		require.NoError(t, rdb.ZAdd(t.Context(), indexKey, z(float64(at), id)).Err())
		require.NoError(t, rdb.HSet(t.Context(), messageKey(id), "created", at, "state", string(Accepted)).Err())
	}
	for _, limit := range []int{1, 3, 50} {
		for _, c := range []struct {
			q    Query
			want string
		}{
			{Query{From: first.Add(7 * time.Second)}, "m9 m8 m7"},
			{Query{Until: first.Add(2 * time.Second)}, "m1 m0"},
			{Query{From: first.Add(3 * time.Second), Until: first.Add(5 * time.Second)}, "m4 m3"},
			{Query{From: first.Add(time.Hour)}, ""},
			{Query{From: first.Add(5 * time.Second), Until: first.Add(5 * time.Second)}, ""},
		} {
			var found []string
			for c.q.Limit = limit; ; {
				page, next, err := o.Search(t.Context(), c.q)
				require.NoError(t, err)
				for _, m := range page {
					found = append(found, m.ID)
				}
				if c.q.Cursor = next; next == "" {
					break
				}
			}
			assert.Equal(t, c.want, strings.Join(found, " "))
		}
	}
}

// However many messages are made in one millisecond, a search goes through all.
func TestSearchWithinOneMillisecond(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	const n = 2*scanBatch + 50
	_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range n {
			id, at := fmt.Sprintf("m%04d", i), 1_700_000_000_000
			if i == 0 {
				at-- // behind them all
			}
			p.ZAdd(t.Context(), indexKey, z(float64(at), id))
			p.HSet(t.Context(), messageKey(id), "created", at, "state", string(Accepted))
		}
		return nil
	})
	require.NoError(t, err)
	for _, limit := range []int{1, 50, scanBatch, 333, n} {
		var found []Message
		q := Query{Limit: limit}
		for pages := 1; ; pages++ {
			page, next, err := o.Search(t.Context(), q)
			require.NoError(t, err)
			found = append(found, page...)
			if next == "" {
				assert.Equal(t, (n+limit-1)/limit, pages, "no page but the last is short")
				break
			}
			q.Cursor = next
		}
		require.Len(t, found, n, "on pages of %d", limit)
		for i, m := range found {
			require.Equal(t, fmt.Sprintf("m%04d", n-1-i), m.ID)
		}
	}
}

// timeIsOver ends the validity of a message that is queued, of no list.
func timeIsOver(t testing.TB, rdb redis.UniversalClient, id string) {
	t.Helper()
	require.NoError(t, rdb.HSet(t.Context(), messageKey(id), "expires", 1).Err())
	require.NoError(t, rdb.ZAddXX(t.Context(), outboxKey, z(1, id)).Err())
}

// leaseIsOver has others take up messages, of no list.
func leaseIsOver(t testing.TB, rdb redis.UniversalClient, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.NoError(t, rdb.ZAddXX(t.Context(), outboxKey, z(1, id)).Err())
	}
}

func z(score float64, id string) redis.Z { return redis.Z{Score: score, Member: id} }

// ahead is a Redis whose clock is ahead of this machine's.
type ahead time.Duration

func (a ahead) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a ahead) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a ahead) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && scriptName(cmd) == "figures" {
			figures := cmd.(*redis.Cmd).Val().([]any)
			figures[4] = figures[4].(int64) + time.Duration(a).Milliseconds()
		}
		return err
	}
}

// The entries were made by Redis' clock, so they are forgotten by it.
func TestTheIndexForgetsByRedisClock(t *testing.T) {
	rdb := connect(t, startRedis(t))
	require.NoError(t, figuresScript.Load(t.Context(), rdb).Err())
	rdb.AddHook(ahead(100 * 24 * time.Hour))
	now := time.Now()
	require.NoError(t, rdb.ZAdd(t.Context(), indexKey,
		z(float64(now.Add(6*24*time.Hour).UnixMilli()), "old"), z(float64(now.Add(8*24*time.Hour).UnixMilli()), "young")).Err())
	running(t, newOutbox(t, rdb, &provider{}))
	require.Eventually(t, func() bool { return rdb.ZCard(t.Context(), indexKey).Val() == 1 }, time.Minute, time.Millisecond)
	assert.Equal(t, []string{"young"}, rdb.ZRange(t.Context(), indexKey, 0, -1).Val())
}
