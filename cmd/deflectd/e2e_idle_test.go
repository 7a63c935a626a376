package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A daemon that nobody calls asks Redis a few things a second. Something that
// goes round and round works as it should and is seen nowhere else.
func TestIdleDaemonLeavesRedisAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.serve(t)
	options, err := redis.ParseURL(w.redis.URL())
	require.NoError(t, err)
	rdb := redis.NewClient(options)
	defer func() { require.NoError(t, rdb.Close()) }()
	commands := func() float64 {
		info, err := rdb.Info(t.Context(), "stats").Result()
		require.NoError(t, err)
		_, after, found := strings.Cut(info, "total_commands_processed:")
		require.True(t, found)
		number, _, _ := strings.Cut(after, "\r\n")
		n, err := strconv.ParseFloat(number, 64)
		require.NoError(t, err)
		return n
	}
	began, before := time.Now(), commands()
	time.Sleep(3 * time.Second)
	perSecond := (commands() - before) / time.Since(began).Seconds()
	t.Logf("%.0f commands a second", perSecond)
	require.Less(t, perSecond, 50.0)
}
