package message

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// On a Redis Cluster a script may touch only keys of one slot: all of ours are.
func TestTheScriptsRunOnACluster(t *testing.T) {
	r := startRedis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(freePort(t)))
	node := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer func() { _ = node.Close() }()
	require.NoError(t, node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Eventually(t, func() bool {
		info, err := node.ClusterInfo(t.Context()).Result()
		return err == nil && assert.ObjectsAreEqual("cluster_state:ok", info[:16])
	}, 10*time.Second, 10*time.Millisecond)
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{r.Addr}, IsClusterMode: true})
	defer func() { _ = rdb.Close() }()

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
	stop()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
