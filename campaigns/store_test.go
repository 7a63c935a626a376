package campaigns

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestCreateAndGet(t *testing.T) {
	s := NewStore(connect(t))
	c := sample("billing", "+18005550100", "+1888*")
	c.Name, c.Interaction.Params = "Größe {€}", map[string]string{"lang": "en"}
	require.NoError(t, s.Create(t.Context(), c, "", ""))
	require.EqualValues(t, 1, c.Version)
	require.WithinDuration(t, time.Now(), c.CreatedAt, time.Minute)
	require.Equal(t, c.CreatedAt, c.UpdatedAt)
	require.Nil(t, c.DeletedAt)

	got, err := s.Get(t.Context(), "billing")
	require.NoError(t, err)
	require.Equal(t, c, got)

	require.ErrorIs(t, s.Create(t.Context(), sample("billing", "+18005550199"), "", ""), ErrExists)
	_, err = s.Get(t.Context(), "nothing")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestNumberBelongsToOneCampaign(t *testing.T) {
	s := NewStore(connect(t))
	require.NoError(t, s.Create(t.Context(), sample("a", "+18005550100", "+1888*", "*"), "", ""))
	for _, number := range []string{"+18005550100", "+1888*", "*"} {
		err := s.Create(t.Context(), sample("b", "+18005550111", number), "", "")
		var taken *TakenError
		require.ErrorAs(t, err, &taken)
		require.Equal(t, &TakenError{DNIS: number, Campaign: "a"}, taken)
		require.ErrorContains(t, err, "belongs to campaign a")
	}
	// A refused campaign has claimed nothing.
	b := sample("b", "+18005550111")
	require.NoError(t, s.Create(t.Context(), b, "", ""))

	b.DNIS = []string{"+18005550100"}
	var taken *TakenError
	require.ErrorAs(t, s.Replace(t.Context(), b, Write{Version: b.Version}), &taken)
	require.EqualValues(t, 1, b.Version)

	// What a campaign gives up, another may have; what it keeps, it keeps.
	a := sample("a", "+1888*", "+18005550122")
	require.NoError(t, s.Replace(t.Context(), a, Write{Version: 1}))
	b.DNIS = []string{"+18005550100", "*"}
	require.NoError(t, s.Replace(t.Context(), b, Write{Version: 1}))
	require.ErrorAs(t, s.Create(t.Context(), sample("c", "+18005550122"), "", ""), &taken)
	require.Equal(t, "a", taken.Campaign)
	require.NoError(t, s.Create(t.Context(), sample("c", "+18005550111"), "", ""))
}

func TestReplaceKnowsVersions(t *testing.T) {
	s := NewStore(connect(t))
	c := sample("a", "1")
	require.ErrorIs(t, s.Replace(t.Context(), c, Write{}), ErrNotFound)
	require.NoError(t, s.Create(t.Context(), c, "", ""))
	created := c.CreatedAt

	c = sample("a", "1")
	c.Text = "second"
	require.NoError(t, s.Replace(t.Context(), c, Write{Version: 1}))
	require.EqualValues(t, 2, c.Version)
	require.Equal(t, created, c.CreatedAt)
	require.ErrorIs(t, s.Replace(t.Context(), sample("a", "1"), Write{Version: 1}), ErrStale)
	require.ErrorIs(t, s.Replace(t.Context(), sample("a", "1"), Write{Version: 3}), ErrStale)
	c.Text = "third"
	require.NoError(t, s.Replace(t.Context(), c, Write{}))
	got, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "third", got.Text)
	require.EqualValues(t, 3, got.Version)
}

// Of many writers who saw the same version, one wins.
func TestReplaceIsAtomic(t *testing.T) {
	s := NewStore(connect(t))
	require.NoError(t, s.Create(t.Context(), sample("a", "1"), "", ""))
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { errs[i] = s.Replace(t.Context(), sample("a", fmt.Sprint(i+2)), Write{Version: 1}) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, ErrStale)
	}
	require.Equal(t, 1, won)
}

// Who writes over whatever is there is not stopped by others who do so too.
func TestReplaceOfAnyVersionIsNeverStale(t *testing.T) {
	s := NewStore(connect(t))
	require.NoError(t, s.Create(t.Context(), sample("a", "1"), "", ""))
	var wg sync.WaitGroup
	errs := make([]error, 4) // fewer than tries: each failure of one is a success of another
	for i := range errs {
		wg.Go(func() { errs[i] = s.Replace(t.Context(), sample("a", fmt.Sprint(i+2)), Write{}) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	c, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.EqualValues(t, 1+len(errs), c.Version)
}

// A client that lost an answer sends its script again: that must not turn a
// success into an error, nor be written down twice.
func TestRepeatedRequestGetsItsAnswerAgain(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	body, err := encode(sample("a", "1"))
	require.NoError(t, err)
	twice := func(script *redis.Script, action Action, more ...any) []any {
		r := newRequest("a", note{Action: action})
		r.keys = append(r.keys, Key("idempotency", "campaign", "k"))
		r.args = append(r.args, more...)
		first, err := script.Run(t.Context(), rdb, r.keys, r.args...).Slice()
		require.NoError(t, err)
		again, err := script.Run(t.Context(), rdb, r.keys, r.args...).Slice()
		require.NoError(t, err)
		require.Equal(t, first, again)
		return first
	}
	require.EqualValues(t, 1, twice(createScript, Created, body, "", 1000, "1")[1])
	require.EqualValues(t, 2, twice(replaceScript, Changed, body, 1, "", "1")[1])
	require.EqualValues(t, 2, twice(replaceScript, Changed, body, 2, "same", "1")[1])
	require.EqualValues(t, 3, twice(deleteScript, Deleted, 2)[1])
	require.Contains(t, twice(restoreScript, Restored, 3)[1], "4 ")
	require.Equal(t, "4 restored, 3 deleted, 2 changed, 1 created", story(t, s, "a"))
}

// Of many who create the same with one key, each gets the one campaign.
func TestCreateIsRepeatableAtOnce(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	made := make([]*Campaign, 16)
	errs := make([]error, len(made))
	var wg sync.WaitGroup
	for i := range made {
		made[i] = sample("a", "+18005550100")
		wg.Go(func() { errs[i] = s.Create(t.Context(), made[i], "k", "") })
	}
	wg.Wait()
	for i := range made {
		require.NoError(t, errs[i])
		require.Equal(t, made[0], made[i])
	}
	key := Key("idempotency", "campaign", hashed("k"))
	require.InDelta(t, keepKey.Seconds(), rdb.TTL(t.Context(), key).Val().Seconds(), 60)
	require.ErrorIs(t, s.Create(t.Context(), sample("b", "+18005550101"), "k", ""), ErrKeyUsed)

	// It is answered whatever has become of the campaign.
	require.NoError(t, s.Delete(t.Context(), "a", Write{}))
	again := sample("a", "+18005550100")
	require.NoError(t, s.Create(t.Context(), again, "k", ""))
	require.Equal(t, made[0], again)

	// What was refused has used no key.
	require.NoError(t, s.Create(t.Context(), sample("b", "+18005550101"), "", ""))
	require.ErrorIs(t, s.Create(t.Context(), sample("b", "+18005550102"), "k2", ""), ErrExists)
	require.Zero(t, rdb.Exists(t.Context(), Key("idempotency", "campaign", hashed("k2"))).Val())
}

// What is kept is what people wrote: what they left out gets its default each
// time it is read.
func TestDefaultsAreNotKept(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	c := &Campaign{ID: "a", DNIS: []string{"1"}, Text: "x", Interaction: Interaction{URL: "https://a.example"}}
	require.NoError(t, s.Create(t.Context(), c, "", ""))
	written, err := s.Written(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, c, written)
	require.Zero(t, written.Offer)
	c.Offer.Mode = ModeSend
	require.NoError(t, s.Replace(t.Context(), c, Write{Version: 1}))
	got, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Empty(t, got.Offer.Prompt)
	require.Equal(t, defaultWait, got.Release.Wait)
	list, _, err := s.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []*Campaign{got}, list)
}

func TestDelete(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	require.ErrorIs(t, s.Delete(t.Context(), "a", Write{}), ErrNotFound)
	require.NoError(t, s.Create(t.Context(), sample("a", "+18005550100"), "", ""))
	require.ErrorIs(t, s.Delete(t.Context(), "a", Write{Version: 2}), ErrStale)
	require.NoError(t, s.Delete(t.Context(), "a", Write{Version: 1}))
	require.ErrorIs(t, s.Delete(t.Context(), "a", Write{}), ErrNotFound)
	require.ErrorIs(t, s.Replace(t.Context(), sample("a", "1"), Write{Version: 2}), ErrNotFound)
	_, err := s.Get(t.Context(), "a")
	require.ErrorIs(t, err, ErrNotFound)

	// It is kept, without its numbers.
	list, unreadable, err := s.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, unreadable)
	require.Len(t, list, 1)
	require.EqualValues(t, 2, list[0].Version)
	require.WithinDuration(t, time.Now(), *list[0].DeletedAt, time.Minute)
	require.NoError(t, s.Create(t.Context(), sample("b", "+18005550100"), "", ""))

	// Its id is free too; versions go on, so that no old ETag fits.
	again := sample("a", "1")
	require.NoError(t, s.Create(t.Context(), again, "", ""))
	require.EqualValues(t, 3, again.Version)
	require.Zero(t, rdb.ZCard(t.Context(), keyDeleted).Val())
}

func TestDeletedAreForgottenAfterAMonth(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	for _, id := range []string{"old", "young", "new"} {
		require.NoError(t, s.Create(t.Context(), sample(id, id), "", ""))
	}
	require.NoError(t, s.Delete(t.Context(), "old", Write{}))
	require.NoError(t, s.Delete(t.Context(), "young", Write{}))
	age := func(id string, d time.Duration) {
		at := time.Now().Add(-d).UnixMilli()
		require.NoError(t, rdb.ZAdd(t.Context(), keyDeleted, redis.Z{Score: float64(at), Member: id}).Err())
	}
	age("old", keepDeleted+time.Minute)
	age("young", keepDeleted-time.Minute)
	require.NoError(t, s.Delete(t.Context(), "new", Write{}))
	list, unreadable, err := s.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, unreadable)
	var ids []string
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	require.Equal(t, []string{"new", "young"}, ids)
}

// A campaign with fields of a later version can be read; to replace it would
// lose them.
func TestNewerCampaignIsNotReplaced(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	putNewer(t, rdb)
	c, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, "x", c.Text)
	require.ErrorIs(t, s.Replace(t.Context(), c, Write{Version: 4}), ErrNewer)
	require.ErrorIs(t, s.Replace(t.Context(), c, Write{Version: 3}), ErrStale)
	require.NoError(t, s.Delete(t.Context(), "a", Write{Version: 4}))
}

func putNewer(t *testing.T, rdb redis.UniversalClient) {
	t.Helper()
	body := `{"id":"a","dnis":["+18005550100"],"text":"x","interaction":{"url":"https://a.example","mood":"good"}}`
	require.NoError(t, rdb.HSet(t.Context(), keyCampaigns, "a", "4 1000 2000 0 ab\n"+body).Err())
}

func TestBrokenRecordIsNamed(t *testing.T) {
	rdb := connect(t)
	require.NoError(t, NewStore(rdb).Create(t.Context(), sample("good", "1"), "", ""))
	for _, raw := range []string{"", "{}", "1 2 3\n{}", "1 2 3 0 ab\nnonsense"} {
		require.NoError(t, rdb.HSet(t.Context(), keyCampaigns, "broken", raw).Err())
		s := NewStore(rdb)
		_, err := s.Get(t.Context(), "broken")
		require.ErrorIs(t, err, errRecord, "%q", raw)
		list, unreadable, err := s.List(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1, "the others are not hidden by it")
		require.Len(t, unreadable, 1)
		require.ErrorContains(t, unreadable[0], "broken")
	}
}

func TestServiceSwitch(t *testing.T) {
	s := NewStore(connect(t))
	for _, want := range []bool{true, false, true} {
		if !want {
			require.NoError(t, s.SetService(t.Context(), false))
		} else {
			require.NoError(t, s.SetService(t.Context(), true))
		}
		on, err := s.Service(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, on)
	}
}

func TestServiceIsOnByDefault(t *testing.T) {
	on, err := NewStore(connect(t)).Service(t.Context())
	require.NoError(t, err)
	require.True(t, on)
}

func TestStoreWithoutRedis(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer func() { _ = rdb.Close() }()
	s, ctx := NewStore(rdb), t.Context()
	require.Error(t, s.Create(ctx, sample("a", "1"), "", ""))
	require.Error(t, s.Replace(ctx, sample("a", "1"), Write{Version: 1}))
	require.Error(t, s.Delete(ctx, "a", Write{Version: 1}))
	require.Error(t, s.SetService(ctx, true))
	_, err := s.Get(ctx, "a")
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNotFound)
	_, _, err = s.List(ctx)
	require.Error(t, err)
	_, err = s.Search(ctx, Query{})
	require.Error(t, err)
	_, err = s.Restore(ctx, "a", Write{})
	require.Error(t, err)
	_, _, err = s.History(ctx, "a", 0, 1)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNotFound)
	_, err = s.Revision(ctx, "a", 1)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNoRevision)
	_, err = s.Service(ctx)
	require.Error(t, err)
	_, err = ServiceSecret(ctx, rdb)
	require.Error(t, err)
}

func TestServiceSecretIsMadeOnce(t *testing.T) {
	rdb := connect(t)
	secrets := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range secrets {
		wg.Go(func() { secrets[i], _ = ServiceSecret(context.WithoutCancel(t.Context()), rdb) })
	}
	wg.Wait()
	for _, s := range secrets {
		require.Len(t, s, secretBytes)
		require.Equal(t, secrets[0], s)
	}
	require.NoError(t, rdb.Set(t.Context(), Key("secret"), "short", 0).Err())
	_, err := ServiceSecret(t.Context(), rdb)
	require.ErrorContains(t, err, "5 bytes")
}
