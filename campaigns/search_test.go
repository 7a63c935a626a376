package campaigns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deflectd/deploy/lab/labtest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func ids(list []*Campaign) string {
	var all []string
	for _, c := range list {
		all = append(all, c.ID)
	}
	return strings.Join(all, " ")
}

func search(t *testing.T, s *Store, q Query) Found {
	t.Helper()
	f, err := s.Search(t.Context(), q)
	require.NoError(t, err)
	return f
}

func TestSearch(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	require.Zero(t, search(t, s, Query{}))
	add := func(id string, change func(c *Campaign), dnis ...string) {
		c := &Campaign{ID: id, DNIS: dnis, Text: "x {link}", Interaction: Interaction{URL: "https://a.example"}}
		change(c)
		require.NoError(t, s.Create(t.Context(), c, "", ""))
	}
	add("billing", func(c *Campaign) { c.Name = "Größe ÄRGER" }, "+18005550100", "+1888*")
	add("alerts", func(c *Campaign) { c.Text = "Acme: pay your BILL {link}"; c.Enabled = new(bool) }, "1", "*")
	add("claims", func(c *Campaign) { c.Interaction.ID = "Pay-a-bill" }, "2")
	add("desk", func(c *Campaign) { c.Interaction.URL = "https://Pay.example/start" }, "3")
	add("gone", func(c *Campaign) { c.Name = "bill" }, "4")
	require.NoError(t, s.Delete(t.Context(), "gone", Write{}))

	on, off := true, false
	for name, c := range map[string]struct {
		q     Query
		want  string
		total int
		more  bool
	}{
		"all that live":           {Query{}, "alerts billing claims desk", 4, false},
		"a word of any field":     {Query{Q: "pay"}, "alerts claims desk", 3, false},
		"several words":           {Query{Q: "  bill\tpay\n"}, "alerts claims", 2, false},
		"upper and lower case":    {Query{Q: "GRÖSSE"}, "", 0, false},
		"umlauts":                 {Query{Q: "ärger GRÖẞE"}, "billing", 1, false},
		"no expression":           {Query{Q: ".*"}, "", 0, false},
		"a number":                {Query{DNIS: "+18005550100"}, "billing", 1, false},
		"a prefix":                {Query{DNIS: "+1888*"}, "billing", 1, false},
		"a number in a prefix":    {Query{DNIS: "+18885550100"}, "", 0, false},
		"the number of one gone":  {Query{DNIS: "4", Deleted: true}, "gone", 1, false},
		"switched on":             {Query{Enabled: &on}, "billing claims desk", 3, false},
		"switched off":            {Query{Enabled: &off}, "alerts", 1, false},
		"deleted":                 {Query{Deleted: true}, "gone", 1, false},
		"first page":              {Query{Limit: 2}, "alerts billing", 4, true},
		"second page":             {Query{Limit: 2, After: "billing"}, "claims desk", 4, false},
		"after one not there":     {Query{Limit: 1, After: "b"}, "billing", 4, true},
		"after all":               {Query{After: "z"}, "", 4, false},
		"a page of what is found": {Query{Q: "pay", Limit: 1, After: "alerts"}, "claims", 3, true},
	} {
		f := search(t, s, c.q)
		require.Equal(t, c.want, ids(f.Campaigns), name)
		require.Equal(t, c.total, f.Total, name)
		require.Equal(t, c.more, f.More, name)
		require.Empty(t, f.Unreadable)
	}
	require.Equal(t, defaultWait, search(t, s, Query{Q: "desk"}).Campaigns[0].Release.Wait, "with defaults")
}

// Whoever writes, the next look of anybody sees it.
func TestSearchSeesWhatOthersWrote(t *testing.T) {
	rdb := connect(t)
	const writers, each = 4, 15
	stores := make([]*Store, writers)
	for i := range stores {
		stores[i] = NewStore(rdb)
	}
	var wg sync.WaitGroup
	for w, s := range stores {
		other := stores[(w+1)%writers]
		wg.Go(func() {
			for i := range each {
				c := sample(fmt.Sprintf("c%d-%d", w, i), fmt.Sprintf("%d%02d", w+1, i))
				if err := s.Create(t.Context(), c, "", ""); err != nil {
					t.Error(err)
					return
				}
				f, err := other.Search(t.Context(), Query{Q: c.ID + " https"})
				if err != nil || !slices.ContainsFunc(f.Campaigns, func(found *Campaign) bool { return found.ID == c.ID }) {
					t.Errorf("%s is not found: %v %v", c.ID, f, err)
				}
			}
		})
	}
	wg.Wait()
	s, other := stores[0], stores[1]
	require.Len(t, search(t, other, Query{}).Campaigns, writers*each)

	c := sample("c0-0", "100")
	c.Text = "quite another"
	require.NoError(t, s.Replace(t.Context(), c, Write{}))
	require.Equal(t, "c0-0", ids(search(t, other, Query{Q: "quite another"}).Campaigns))
	require.NoError(t, s.Delete(t.Context(), "c0-0", Write{}))
	require.Empty(t, search(t, other, Query{Q: "quite another"}).Campaigns)
	_, err := s.Restore(t.Context(), "c0-0", Write{})
	require.NoError(t, err)
	require.Len(t, search(t, other, Query{Q: "quite another"}).Campaigns, 1)
	require.NoError(t, server.Flush(t.Context()))
	require.Empty(t, search(t, other, Query{}).Campaigns, "a Redis that was emptied is noticed")
	require.Zero(t, search(t, s, Query{}).Total)
}

// What did not change is neither read nor understood again.
func TestSearchReadsOnlyWhatChanged(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	for i := range 3 {
		require.NoError(t, s.Create(t.Context(), sample(fmt.Sprint("c", i), fmt.Sprint(i)), "", ""))
	}
	reads := new(reads)
	rdb.AddHook(reads)
	first := search(t, s, Query{})
	for range 5 {
		again := search(t, s, Query{})
		for i := range again.Campaigns {
			require.Same(t, first.Campaigns[i], again.Campaigns[i])
		}
	}
	list, _, err := s.List(t.Context())
	require.NoError(t, err)
	require.Same(t, first.Campaigns[0], list[0])
	require.EqualValues(t, 1, reads.n.Load())

	c := sample("c1", "1")
	c.Name = "new"
	require.NoError(t, s.Replace(t.Context(), c, Write{}))
	after := search(t, s, Query{})
	require.Same(t, first.Campaigns[0], after.Campaigns[0])
	require.NotSame(t, first.Campaigns[1], after.Campaigns[1])
	require.Empty(t, first.Campaigns[1].Name, "who has a campaign keeps it as it was")
	require.EqualValues(t, 1, reads.n.Load(), "only this one was read again")

	// More changes than are kept: all are read again.
	for i := range keepLatest + 1 {
		c.Name = fmt.Sprint("name ", i)
		require.NoError(t, s.Replace(t.Context(), c, Write{}))
	}
	require.Equal(t, c.Name, search(t, s, Query{}).Campaigns[1].Name)
	require.EqualValues(t, 2, reads.n.Load())
	require.EqualValues(t, keepLatest, rdb.LLen(t.Context(), keyLatest).Val())

	// Nobody said that anything was written; now and then it is read all the same.
	require.NoError(t, rdb.HDel(t.Context(), keyCampaigns, "c2").Err())
	require.Len(t, search(t, s, Query{}).Campaigns, 3)
	all := *s.index.now.Load()
	all.full = all.full.Add(-indexAge)
	s.index.now.Store(&all)
	require.Len(t, search(t, s, Query{}).Campaigns, 2)
	require.EqualValues(t, 3, reads.n.Load())
}

// To search is to read, however often: also where Redis takes no writes, as when
// its memory is full.
func TestSearchNeedsNoWrites(t *testing.T) {
	rdb := connect(t)
	full := labtest.Dial(t, server, labtest.Patience)
	full.AddHook(readOnly{})
	s := NewStore(full)
	require.Zero(t, search(t, s, Query{}).Total)
	c := sample("a", "1")
	require.NoError(t, NewStore(rdb).Create(t.Context(), c, "", ""))
	latest := rdb.LRange(t.Context(), keyLatest, 0, -1).Val()
	require.Len(t, latest, 1)
	for range 3 {
		require.Equal(t, 1, search(t, s, Query{}).Total)
		require.Equal(t, 1, search(t, NewStore(full), Query{}).Total)
		all := *s.index.now.Load()
		all.full = all.full.Add(-indexAge)
		s.index.now.Store(&all)
	}
	require.Equal(t, latest, rdb.LRange(t.Context(), keyLatest, 0, -1).Val())
}

// readOnly refuses what writes, as Redis does whose memory is full.
type readOnly struct{}

var errFull = errors.New("OOM command not allowed when used memory > 'maxmemory'")

func (readOnly) DialHook(next redis.DialHook) redis.DialHook { return next }

func (readOnly) refuses(cmds ...redis.Cmder) error {
	for _, cmd := range cmds {
		if !slices.Contains([]string{"lindex", "lrange", "hgetall", "hmget", "multi", "exec", "hello", "client", "cluster", "command"}, cmd.Name()) {
			cmd.SetErr(errFull)
			return errFull
		}
	}
	return nil
}

func (r readOnly) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := r.refuses(cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (r readOnly) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := r.refuses(cmds...); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

// A look that follows other looks and changes finds what one that reads
// everything finds.
func TestSearchFollowsEveryChange(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	long := float64(time.Now().Add(-keepDeleted - time.Minute).UnixMilli())
	rapid.Check(t, func(r *rapid.T) {
		// Some of it is refused: that must not matter.
		for range rapid.IntRange(1, 8).Draw(r, "changes") {
			n := rapid.IntRange(0, 9).Draw(r, "campaign")
			c := sample(fmt.Sprint("c", n), fmt.Sprint(n))
			c.Name = rapid.StringMatching("[a-z]{3}").Draw(r, "name")
			switch rapid.SampledFrom([]Action{Created, Changed, Deleted, Restored, "aged"}).Draw(r, "action") {
			case Created:
				_ = s.Create(t.Context(), c, "", "")
			case Changed:
				_ = s.Replace(t.Context(), c, Write{})
			case Deleted:
				_ = s.Delete(t.Context(), c.ID, Write{})
			case Restored:
				_, _ = s.Restore(t.Context(), c.ID, Write{})
			default: // the next change forgets it, if it is deleted
				require.NoError(t, rdb.ZAddXX(t.Context(), keyDeleted, redis.Z{Score: long, Member: c.ID}).Err())
			}
		}
		got, _, err := s.List(t.Context())
		require.NoError(r, err)
		want, _, err := NewStore(rdb).List(t.Context())
		require.NoError(r, err)
		require.Equal(r, want, got)
	})
}

// reads counts how often all campaigns are read.
type reads struct{ n atomic.Int64 }

func (r *reads) DialHook(next redis.DialHook) redis.DialHook { return next }

// asked is the key of what is done once a client has its answer.
type asked struct{}

func (r *reads) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if then, ok := ctx.Value(asked{}).(context.CancelFunc); ok {
			then()
		}
		return err
	}
}

func (r *reads) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if cmd.Name() == "hgetall" {
				r.n.Add(1)
			}
		}
		return next(ctx, cmds)
	}
}

// Many who look at the same time cost one read, and one who gives up does not
// hold up the others.
func TestSearchIsReadOnceForAll(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	require.NoError(t, s.Create(t.Context(), sample("a", "1"), "", ""))
	reads := new(reads)
	rdb.AddHook(reads)
	s.index.turn <- struct{}{} // somebody reads
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			f, err := s.Search(t.Context(), Query{})
			if err != nil || f.Total != 1 {
				t.Errorf("found %v, %v", f, err)
			}
		})
	}
	impatient, giveUp := context.WithCancel(t.Context())
	_, err := s.Search(context.WithValue(impatient, asked{}, giveUp), Query{})
	require.ErrorIs(t, err, context.Canceled)
	<-s.index.turn
	wg.Wait()
	require.EqualValues(t, 1, reads.n.Load())
}

func TestSearchNamesWhatCannotBeRead(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	require.NoError(t, s.Create(t.Context(), sample("good", "1"), "", ""))
	require.NoError(t, rdb.HSet(t.Context(), keyCampaigns, "z-broken", "nonsense", "broken", "").Err())
	for range 2 {
		f := search(t, s, Query{Limit: 5})
		require.Equal(t, "good", ids(f.Campaigns))
		require.Equal(t, 1, f.Total)
		require.Len(t, f.Unreadable, 2)
		require.ErrorContains(t, f.Unreadable[0], "campaign broken")
		require.ErrorIs(t, f.Unreadable[1], errRecord)
	}
}

// BenchmarkSearch is a page of 50 out of 10,000 campaigns, from a real Redis. It
// prints the median beside the mean.
func BenchmarkSearch(b *testing.B) {
	rdb := connect(b)
	s := NewStore(rdb)
	const n = 10_000
	fill(b, rdb, n)
	page := func(b *testing.B, q Query, total int) {
		f, err := s.Search(b.Context(), q)
		require.NoError(b, err)
		require.Equal(b, total, f.Total)
	}
	page(b, Query{}, n)
	for _, c := range []struct {
		name  string
		q     Query
		total int
	}{
		{"page", Query{Limit: 50}, n},
		{"last page", Query{Limit: 50, After: "c09949"}, n},
		{"q", Query{Q: "pay 99", Limit: 50}, 280},
		{"q of nothing", Query{Q: "nothing at all like it", Limit: 50}, 0},
		{"dnis", Query{DNIS: "+18005551234", Limit: 50}, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				page(b, c.q, c.total)
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1e3, "median-ms")
		})
	}
	b.Run("after each change", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			c := sample("c00000", "+18005550000")
			c.Name = fmt.Sprint("name ", i)
			require.NoError(b, s.Replace(b.Context(), c, Write{}))
			page(b, Query{Limit: 50}, n)
		}
	})
	b.Run("first of a process", func(b *testing.B) {
		for b.Loop() {
			s = NewStore(rdb)
			page(b, Query{Limit: 50}, n)
		}
	})
}

// fill makes n campaigns at once.
func fill(tb testing.TB, rdb redis.UniversalClient, n int) {
	tb.Helper()
	records := make(map[string]any, n)
	for i := range n {
		c := sample(fmt.Sprintf("c%05d", i), fmt.Sprintf("+1800555%04d", i))
		c.Name = fmt.Sprint("Campaign number ", i)
		body, err := encode(c)
		require.NoError(tb, err)
		records[c.ID] = fmt.Sprintf("1 1 1 0 %016x\n%s", i, body)
	}
	for id, record := range records {
		require.NoError(tb, rdb.HSet(tb.Context(), keyCampaigns, id, record).Err())
	}
}
