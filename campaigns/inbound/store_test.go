package inbound

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// While Redis is frozen or dead a text is not taken, soon; afterwards it is.
func TestStoreAway(t *testing.T) {
	r, err := lab.StartTestRedis(t.Context(), t.TempDir(), "--appendonly", "yes")
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Stop() })
	rdb := labtest.Dial(t, r, 300*time.Millisecond)
	b, patient := newBox(t, rdb), newBox(t, labtest.Dial(t, r, labtest.Patience))
	again := func(m Text) {
		t.Helper()
		require.Eventually(t, func() bool {
			return b.Receive(context.WithoutCancel(t.Context()), m) == nil
		}, time.Minute, 20*time.Millisecond)
	}

	require.NoError(t, r.Freeze())
	m := text("STOP")
	require.ErrorIs(t, b.Receive(t.Context(), m), ErrStore)
	require.NoError(t, r.Thaw())
	again(m)
	assert.True(t, patient.listed(t, person))
	assert.Len(t, b.said(), 1, "though the frozen Redis may have done it before")

	require.NoError(t, r.Kill())
	m = text("START")
	require.ErrorIs(t, b.Receive(t.Context(), m), ErrStore)
	require.NoError(t, r.Restart(t.Context()))
	again(m)
	assert.False(t, patient.listed(t, person))
}
