package message

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/deploy/lab"
)

// On a Redis Cluster a script may touch only keys of one slot: all of ours are.
func TestTheScriptsRunOnACluster(t *testing.T) {
	r, err := lab.StartCluster(t.Context(), t.TempDir())
	require.NoError(t, err)
	defer func() { _ = r.Stop() }()
	rdb := connect(t, r)

	p := &provider{}
	p.say(func(_ context.Context, tx Text) (string, error) {
		if p.count(tx.Reference) == 1 {
			return "", &SendError{Verdict: NotProcessed, Reason: "unavailable"}
		}
		return "id", nil
	})
	o := newOutbox(t, rdb, p)
	stop := running(t, o)
	q := request()
	q.Key = "key"
	pending, err := o.Send(t.Context(), q)
	require.NoError(t, err)
	assert.Equal(t, []State{Sending, Queued, Sending, Accepted}, states(t, pending))
	id := pending.Message().ID
	require.NoError(t, o.Report(t.Context(), Report{Message: id, State: Delivered}))
	state, err := o.Cancel(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, Delivered, state)
	found, _, err := o.Search(t.Context(), Query{})
	require.NoError(t, err)
	assert.Len(t, found, 1)
	n, err := o.Forget(t.Context(), "+14155550132")
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	stop()
}
