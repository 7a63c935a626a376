package optout

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

func TestWhoTookANumberOffTheListAndWhyIsNoted(t *testing.T) {
	rdb := connect(t)
	l := newList(rdb)
	ctx := t.Context()
	add(t, l, Entry{Number: number(1), Source: Inbound})
	before := time.Now().Add(-time.Minute)

	removed, err := l.RemoveNoted(ctx, number(1), "alice", "asked by email")
	require.NoError(t, err)
	assert.True(t, removed)
	_, err = l.Get(ctx, number(1))
	require.ErrorIs(t, err, ErrNotFound)
	var was *RemovedError
	require.ErrorAs(t, err, &was)
	assert.Equal(t, Removal{At: was.At, By: "alice", Reason: "asked by email"}, was.Removal)
	assert.WithinRange(t, was.At, before, time.Now().Add(time.Minute))
	assert.NotContains(t, err.Error(), number(1))
	kept := rdb.TTL(ctx, removalKey(campaigns.Pseudonym(secret, number(1)))).Val()
	assert.InDelta(t, keepRemovals.Hours(), kept.Hours(), 1)

	// One that is not on the list is not taken off it: the note stays as it was.
	removed, err = l.RemoveNoted(ctx, number(1), "bob", "again")
	require.NoError(t, err)
	assert.False(t, removed)
	_, err = l.Get(ctx, number(1))
	require.ErrorAs(t, err, &was)
	assert.Equal(t, "alice", was.By)

	// On the list again, it is there as if nothing had been.
	add(t, l, Entry{Number: number(1), Source: Keypress})
	found, err := l.Get(ctx, number(1))
	require.NoError(t, err)
	assert.Equal(t, Keypress, found.Source)

	// Taken off it once more by nobody who says so, as by the person's own START,
	// it is no longer alice who did it.
	_, err = l.Remove(ctx, number(1))
	require.NoError(t, err)
	_, err = l.Get(ctx, number(1))
	assert.False(t, errors.As(err, &was), "%v", err)
	require.ErrorIs(t, err, ErrNotFound)
	add(t, l, Entry{Number: number(1), Source: Keypress})

	// A person who is forgotten loses the note too.
	_, err = l.RemoveNoted(ctx, number(1), "alice", "asked by email")
	require.NoError(t, err)
	_, err = l.Forget(ctx, number(1))
	require.NoError(t, err)
	_, err = l.Get(ctx, number(1))
	assert.False(t, errors.As(err, &was))
	require.ErrorIs(t, err, ErrNotFound)
}

func TestAReasonForARemovalIsOneLine(t *testing.T) {
	l := newList(connect(t))
	add(t, l, Entry{Number: number(1), Source: API})
	for _, reason := range []string{"two\nlines", strings.Repeat("x", maxReason+1), "\xff"} {
		_, err := l.RemoveNoted(t.Context(), number(1), "alice", reason)
		var wrong campaigns.Invalid
		require.ErrorAs(t, err, &wrong, reason)
	}
	_, err := l.Get(t.Context(), number(1))
	require.NoError(t, err, "it is still on the list")
}
