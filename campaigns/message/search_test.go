package message

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
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
	r := request()
	r.Campaign.Validity = campaigns.Duration(100 * time.Millisecond)
	for range 2 {
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		states(t, pending)
		time.Sleep(150 * time.Millisecond)
	}
	assert.LessOrEqual(t, rdb.ZCard(t.Context(), numberKey("+14155550132")).Val(), int64(1))
	running(t, o)
	assert.Eventually(t, func() bool { return rdb.ZCard(t.Context(), indexKey).Val() == 0 }, 2*time.Second, 5*time.Millisecond)
}
