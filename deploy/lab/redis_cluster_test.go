package lab

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The nodes are one Cluster: each has its share of the keys, knows who has the
// others, and keeps what it has through a restart of all.
func TestCluster(t *testing.T) {
	t.Parallel()
	r, err := StartCluster(t.Context(), t.TempDir(), "--appendonly", "yes", "--appendfsync", "always")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	require.Len(t, r.Addrs, clusterNodes)
	require.Equal(t, "redis://"+strings.Join(r.Addrs, ",")+"/0", r.URL())

	owners := map[int]int{} // keys by node
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		for i, n := range r.nodes {
			if _, err := n.ask(t.Context(), "SET", key, key); err == nil {
				owners[i]++
			} else {
				require.ErrorContains(t, err, "MOVED")
			}
		}
	}
	require.Equal(t, 6, owners[0]+owners[1]+owners[2])
	require.Greater(t, len(owners), 1)

	require.NoError(t, r.Kill())
	require.NoError(t, r.Restart(t.Context()))
	for i, n := range r.nodes {
		size, err := n.ask(t.Context(), "DBSIZE")
		require.NoError(t, err)
		require.Equal(t, string(rune('0'+owners[i])), size)
	}
	keys, err := r.Keys(t.Context(), "[a-c]")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"a", "b", "c"}, keys)
	require.NoError(t, r.Flush(t.Context()))
	keys, err = r.Keys(t.Context(), "*")
	require.NoError(t, err)
	require.Empty(t, keys)

	require.NoError(t, r.Freeze())
	for _, n := range r.nodes {
		require.True(t, stands(n.PID()))
	}
	require.NoError(t, r.Thaw())
	for _, n := range r.nodes {
		require.NoError(t, n.ready(t.Context()))
	}
}

func TestTheTestsChooseTheirRedis(t *testing.T) {
	for value, nodes := range map[string]int{"": 1, "cluster": clusterNodes} {
		t.Setenv(TestRedisVariable, value)
		r, err := StartTestRedis(t.Context(), t.TempDir())
		require.NoError(t, err)
		require.Len(t, r.Addrs, nodes)
		require.NoError(t, r.Stop())
	}
}

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"+PONG\r\n": "PONG", ":12\r\n": "12", "$3\r\na\r\n\r\n": "a\r\n", "$-1\r\n": "",
	} {
		answer, err := readAnswer(bufio.NewReader(strings.NewReader(said)))
		require.NoError(t, err)
		require.Equal(t, want, answer)
	}
	for _, said := range []string{"-LOADING Redis\r\n", "+PO", "$3\r\na", "$x\r\n"} {
		_, err := readAnswer(bufio.NewReader(strings.NewReader(said)))
		require.Error(t, err)
	}
}
