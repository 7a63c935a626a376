package campaigns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// story is the history of a campaign in short.
func story(t *testing.T, s *Store, id string) string {
	t.Helper()
	list, more, err := s.History(t.Context(), id, 0, 0)
	require.NoError(t, err)
	require.False(t, more)
	var told []string
	for _, r := range list {
		line := fmt.Sprint(r.Version, " ", r.Action)
		if r.By != "" {
			line += " by " + r.By
		}
		if r.Restores != 0 {
			line += fmt.Sprint(" to ", r.Restores)
		}
		told = append(told, line)
	}
	return strings.Join(told, ", ")
}

func TestHistoryTellsWhoDidWhat(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	c := &Campaign{ID: "a", DNIS: []string{"1"}, Text: "first", Interaction: Interaction{URL: "https://a.example"}}
	require.NoError(t, s.Create(t.Context(), c, "", "ops"))
	c.Text, c.DNIS, c.Validity = "second", []string{"1", "2"}, Duration(time.Hour)
	require.NoError(t, s.Replace(t.Context(), c, Write{Version: 1, By: "Anna\n\"É\" 😀"}))
	first, err := s.Revision(t.Context(), "a", 1)
	require.NoError(t, err)
	require.NoError(t, s.Replace(t.Context(), first.Campaign, Write{Version: 2, By: "bob", Restores: 1}))
	require.NoError(t, s.Delete(t.Context(), "a", Write{By: "eve"}))
	_, err = s.Restore(t.Context(), "a", Write{By: "ops"})
	require.NoError(t, err)
	want := "5 restored by ops, 4 deleted by eve, 3 restored by bob to 1, 2 changed by Anna\n\"É\" 😀, 1 created by ops"
	require.Equal(t, want, story(t, s, "a"))

	list, _, err := s.History(t.Context(), "a", 0, 0)
	require.NoError(t, err)
	for i, want := range [][]Change{
		nil, nil,
		{{"/dnis/1", "2", nil}, {"/text", "second", "first"}, {"/validity", "1h", "15m"}},
		{{"/dnis/1", nil, "2"}, {"/text", "first", "second"}, {"/validity", "15m", "1h"}},
		{{"/id", nil, "a"}, {"/dnis/0", nil, "1"}, {"/interaction/url", nil, "https://a.example"}, {"/text", nil, "first"}},
	} {
		require.Equal(t, want, list[i].Changes, list[i].Version)
		require.Nil(t, list[i].Campaign, "a list is short")
		require.WithinDuration(t, time.Now(), list[i].At, time.Minute)
		one, err := s.Revision(t.Context(), "a", list[i].Version)
		require.NoError(t, err)
		require.Equal(t, list[i].Version, one.Campaign.Version)
		one.Campaign = nil
		require.Equal(t, list[i], one)
	}
	second, err := s.Revision(t.Context(), "a", 2)
	require.NoError(t, err)
	require.Equal(t, "second", second.Campaign.Text)
	require.Zero(t, second.Campaign.Offer, "as it was written")

	for _, version := range []int64{0, -1, 6, 1 << 60} {
		_, err = s.Revision(t.Context(), "a", version)
		require.ErrorIs(t, err, ErrNoRevision, version)
	}
	_, err = s.Revision(t.Context(), "b", 1)
	require.ErrorIs(t, err, ErrNotFound)
	_, _, err = s.History(t.Context(), "b", 0, 0)
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorIs(t, s.Replace(t.Context(), second.Campaign, Write{Restores: 9}), ErrNoRevision)
}

func TestHistoryInPages(t *testing.T) {
	s := NewStore(connect(t))
	c := sample("a", "1")
	require.NoError(t, s.Create(t.Context(), c, "", "ops"))
	for i := range 6 {
		c.Text = fmt.Sprint("text ", i)
		require.NoError(t, s.Replace(t.Context(), c, Write{}))
	}
	var versions []int64
	before, pages := int64(0), 0
	for more := true; more; pages++ {
		var list []Revision
		var err error
		list, more, err = s.History(t.Context(), "a", before, 3)
		require.NoError(t, err)
		for _, r := range list {
			versions = append(versions, r.Version)
			require.NotEmpty(t, r.Changes, "also that at the end of a page is shown against the one before it")
		}
		before = versions[len(versions)-1]
	}
	require.Equal(t, []int64{7, 6, 5, 4, 3, 2, 1}, versions)
	require.Equal(t, 3, pages)
	list, more, err := s.History(t.Context(), "a", 1, 3)
	require.NoError(t, err)
	require.Empty(t, list)
	require.False(t, more)
}

// A campaign from before there was a history has one from its next change on,
// and what it is now until then.
func TestHistoryOfWhatWasThereBefore(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	body, err := encode(sample("a", "1"))
	require.NoError(t, err)
	for record, want := range map[string]string{
		"1 1000 1000 0 ab": "1 created", "4 1000 2000 0 ab": "4 changed", "4 1000 2000 2000 ab": "4 deleted",
	} {
		require.NoError(t, rdb.Del(t.Context(), keyHistories+"a", keyDNIS).Err())
		require.NoError(t, rdb.HSet(t.Context(), keyCampaigns, "a", record+"\n"+string(body)).Err())
		require.Equal(t, want, story(t, s, "a"))
		c := sample("a", "1")
		c.Text = "new"
		if strings.HasSuffix(want, "deleted") {
			require.NoError(t, s.Create(t.Context(), c, "", "ops"))
			want = "5 created by ops, " + want
		} else {
			require.NoError(t, s.Replace(t.Context(), c, Write{By: "ops"}))
			want = fmt.Sprint(c.Version, " changed by ops, ", want)
		}
		require.Equal(t, want, story(t, s, "a"))
		old, err := s.Revision(t.Context(), "a", c.Version-1)
		require.NoError(t, err)
		require.Equal(t, sample("a", "1").Text, old.Campaign.Text)
		require.EqualValues(t, map[bool]int64{true: 1000, false: 2000}[old.Version == 1], old.At.UnixMilli())
	}
	// So is what an older version of deflectd, beside this one, has changed.
	require.NoError(t, rdb.HSet(t.Context(), keyCampaigns, "a", "9 1000 2000 0 ab\n"+string(body)).Err())
	require.NoError(t, s.Delete(t.Context(), "a", Write{By: "ops"}))
	require.Contains(t, story(t, s, "a"), "10 deleted by ops, 9 changed, ")
}

// age makes a history of versions 1 to n, each written so many days ago.
func age(t *testing.T, rdb redis.UniversalClient, n int, days func(version int) int) {
	t.Helper()
	body, err := encode(sample("a", "1"))
	require.NoError(t, err)
	p := rdb.Pipeline()
	for v := 1; v <= n; v++ {
		at := time.Now().Add(-time.Duration(days(v)) * day).UnixMilli()
		record := fmt.Sprintf("%d 1000 %d 0 ab\n%s", v, at, body)
		p.ZAdd(t.Context(), keyHistories+"a", redis.Z{Score: float64(v), Member: `{"action":"changed"}` + "\n" + record})
		p.HSet(t.Context(), keyCampaigns, "a", record)
	}
	_, err = p.Exec(t.Context())
	require.NoError(t, err)
}

func TestHistoryIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		versions int
		days     func(int) int // how long ago each was written
		oldest   int64         // that is left after one more
	}{
		"few, however old":           {90, func(int) int { return 400 }, 1},
		"many, but young":            {150, func(int) int { return 29 }, 1},
		"many and old, step by step": {150, func(int) int { return 31 }, 11},
		"one too many":               {100, func(int) int { return 31 }, 2},
		// It was written long ago, and replaced a short while ago.
		"old, but replaced lately": {120, func(v int) int { return map[bool]int{true: 400, false: 2}[v <= 5] }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := connect(t)
			s := NewStore(rdb)
			age(t, rdb, c.versions, c.days)
			next := sample("a", "2")
			require.NoError(t, s.Replace(t.Context(), next, Write{}))
			list, _, err := s.History(t.Context(), "a", 0, 0)
			require.NoError(t, err)
			require.Equal(t, c.oldest, list[len(list)-1].Version)
			require.EqualValues(t, c.versions+1, list[0].Version)
			require.Len(t, list, c.versions+2-int(c.oldest))
		})
	}
}

// With a deleted campaign goes its history; that of others stays, also where a
// campaign has the id of one that was deleted.
func TestHistoryGoesWithTheCampaign(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	for _, id := range []string{"gone", "again", "young"} {
		require.NoError(t, s.Create(t.Context(), sample(id, id), "", "ops"))
		require.NoError(t, s.Delete(t.Context(), id, Write{By: "ops"}))
	}
	require.NoError(t, s.Create(t.Context(), sample("again", "again"), "", "anna"))
	long := float64(time.Now().Add(-keepDeleted - time.Minute).UnixMilli())
	require.NoError(t, rdb.ZAddXX(t.Context(), keyDeleted, redis.Z{Score: long, Member: "gone"}, redis.Z{Score: long, Member: "again"}).Err())
	require.NoError(t, s.Create(t.Context(), sample("new", "new"), "", ""))
	_, _, err := s.History(t.Context(), "gone", 0, 0)
	require.ErrorIs(t, err, ErrNotFound)
	require.Zero(t, rdb.Exists(t.Context(), keyHistories+"gone").Val())
	_, err = s.Restore(t.Context(), "gone", Write{})
	require.ErrorIs(t, err, ErrNotFound)
	require.Equal(t, "2 deleted by ops, 1 created by ops", story(t, s, "young"))
	require.Equal(t, "3 created by anna, 2 deleted by ops, 1 created by ops", story(t, s, "again"))
	list, _, err := s.History(t.Context(), "again", 0, 1)
	require.NoError(t, err)
	require.Contains(t, list[0].Changes, Change{"/id", nil, "again"}, "a new one has all that it says, whatever was there before")
}

// One version that cannot be understood does not hide the others.
func TestBrokenRevision(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	age(t, rdb, 1, func(int) int { return 1 })
	for i, member := range []string{"nonsense", `{"action":"changed","by":"ops"}` + "\nnonsense"} {
		require.NoError(t, rdb.ZAdd(t.Context(), keyHistories+"a", redis.Z{Score: float64(i + 2), Member: member}).Err())
	}
	require.Equal(t, "3 changed by ops, 2 , 1 changed", story(t, s, "a"))
	_, err := s.Revision(t.Context(), "a", 3)
	require.ErrorIs(t, err, errRecord)
	require.NoError(t, rdb.HSet(t.Context(), keyCampaigns, "a", "nonsense").Err())
	require.Equal(t, "3 changed by ops, 2 , 1 changed", story(t, s, "a"))
}

// To go back to what this version does not understand would lose it.
func TestNewerRevisionIsNotRestored(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	putNewer(t, rdb)
	require.NoError(t, s.Delete(t.Context(), "a", Write{}))
	require.NoError(t, s.Create(t.Context(), sample("a", "1"), "", ""))
	old, err := s.Revision(t.Context(), "a", 4)
	require.NoError(t, err)
	require.ErrorIs(t, s.Replace(t.Context(), old.Campaign, Write{Restores: 4}), ErrNewer)
	// What is brought back as it was loses nothing.
	require.NoError(t, s.Delete(t.Context(), "a", Write{}))
	_, err = s.Restore(t.Context(), "a", Write{})
	require.NoError(t, err)
}

func TestRevisionAsJSON(t *testing.T) {
	r := Revision{Version: 3, By: "ops", Action: Restored, Restores: 1, Changes: []Change{
		{Pointer: "/limits/per_day", Before: json.Number("0"), After: json.Number("1000000")},
		{Pointer: "/enabled", Before: true, After: false},
		{Pointer: "/name", After: "x"},
	}}
	body, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, `{"version":3,"by":"ops","action":"restored","restores":1,"changes":[
		{"pointer":"/limits/per_day","before":0,"after":1000000},
		{"pointer":"/enabled","before":true,"after":false},
		{"pointer":"/name","after":"x"}]}`, string(body))
	var back Revision
	require.NoError(t, json.Unmarshal(body, &back))
	require.Equal(t, r, back)
}
