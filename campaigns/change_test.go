package campaigns

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What is as it was is no change, however often it is written.
func TestUnchangedIsNotWritten(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	first := &Campaign{ID: "a", DNIS: []string{"1", "2"}, Text: "x", Interaction: Interaction{URL: "https://a.example"}}
	require.NoError(t, s.Create(t.Context(), first, "", "ops"))
	raw := rdb.HGet(t.Context(), keyCampaigns, "a").Val()

	again := &Campaign{ID: "a", DNIS: []string{"1", "2"}, Text: "x", Interaction: Interaction{URL: "https://a.example"}}
	again.Warnings, again.Texts = []Problem{{Pointer: "/text", Message: "is odd"}}, &Texts{Sent: 3}
	require.NoError(t, s.Replace(t.Context(), again, Write{Version: 1, By: "anna"}))
	require.EqualValues(t, 1, again.Version)
	require.Equal(t, first.UpdatedAt, again.UpdatedAt)
	require.Equal(t, raw, rdb.HGet(t.Context(), keyCampaigns, "a").Val())
	require.ErrorIs(t, s.Replace(t.Context(), again, Write{Version: 2}), ErrStale)

	// A default that is spelled out means the same today. It is kept, because it
	// may not be the default for ever.
	spelled := withDefaults(again)
	require.NoError(t, s.Replace(t.Context(), spelled, Write{Version: 1, By: "anna"}))
	require.EqualValues(t, 1, spelled.Version)
	require.Equal(t, first.CreatedAt, spelled.CreatedAt)
	require.Equal(t, first.UpdatedAt, spelled.UpdatedAt)
	written, err := s.Written(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, defaultWait, written.Release.Wait)
	require.Equal(t, "1 created by ops", story(t, s, "a"))

	// Numbers in another order are another campaign: people see them so.
	again.DNIS = []string{"2", "1"}
	require.NoError(t, s.Replace(t.Context(), again, Write{By: "anna"}))
	require.Equal(t, "2 changed by anna, 1 created by ops", story(t, s, "a"))
}

// What is deleted comes back as it was, if nobody else answers its numbers now.
func TestRestore(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	_, err := s.Restore(t.Context(), "a", Write{})
	require.ErrorIs(t, err, ErrNotFound)
	a := &Campaign{ID: "a", DNIS: []string{"+18005550100", "1*"}, Text: "x", Interaction: Interaction{URL: "https://a.example"}}
	require.NoError(t, s.Create(t.Context(), a, "", ""))
	_, err = s.Restore(t.Context(), "a", Write{Version: 1})
	require.ErrorIs(t, err, ErrNotDeleted)

	require.NoError(t, s.Delete(t.Context(), "a", Write{}))
	require.NoError(t, s.Create(t.Context(), sample("b", "1*"), "", ""))
	_, err = s.Restore(t.Context(), "a", Write{Version: 1})
	require.ErrorIs(t, err, ErrStale)
	_, err = s.Restore(t.Context(), "a", Write{Version: 2})
	var taken *TakenError
	require.ErrorAs(t, err, &taken)
	require.Equal(t, &TakenError{DNIS: "1*", Campaign: "b"}, taken)
	require.Equal(t, "b", rdb.HGet(t.Context(), keyDNIS, "1*").Val())
	require.False(t, rdb.HExists(t.Context(), keyDNIS, "+18005550100").Val(), "refused, it has claimed nothing")

	require.NoError(t, s.Delete(t.Context(), "b", Write{}))
	back, err := s.Restore(t.Context(), "a", Write{Version: 2, By: "ops"})
	require.NoError(t, err)
	require.EqualValues(t, 3, back.Version)
	require.Nil(t, back.DeletedAt)
	require.Equal(t, a.CreatedAt, back.CreatedAt)
	got, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, got, back)
	written, err := s.Written(t.Context(), "a")
	require.NoError(t, err)
	require.Zero(t, written.Offer, "it is as it was written")
	require.ErrorAs(t, s.Create(t.Context(), sample("c", "1*"), "", ""), &taken)
	require.Equal(t, "a", taken.Campaign)
	require.Equal(t, "3 restored by ops, 2 deleted, 1 created", story(t, s, "a"))
	require.Equal(t, []string{"b"}, rdb.ZRange(t.Context(), keyDeleted, 0, -1).Val())
}
