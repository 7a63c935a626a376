package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// dump is all that Redis holds, as text: each key with its type and its content.
func (f *fixture) dump() map[string]string {
	f.t.Helper()
	keys, err := f.redis.Keys(f.t.Context(), "*")
	require.NoError(f.t, err)
	all := make(map[string]string, len(keys))
	for _, key := range keys {
		if content := f.content(key); content != "" {
			all[key] = content
		}
	}
	return all
}

// memory sets how much memory every node of Redis may take.
func (f *fixture) memory(most string) {
	f.t.Helper()
	set := func(ctx context.Context, c *redis.Client) error {
		return c.ConfigSet(ctx, "maxmemory", most).Err()
	}
	switch c := f.rdb.(type) {
	case *redis.ClusterClient:
		require.NoError(f.t, c.ForEachMaster(f.t.Context(), set))
	case *redis.Client:
		require.NoError(f.t, set(f.t.Context(), c))
	}
}

// settled waits until every text has been sent, and gives what Redis holds then.
func (f *fixture) settled() (all map[string]string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		all = f.dump()
		for key, content := range all {
			if strings.HasPrefix(key, campaigns.Key("outbox")) ||
				strings.HasPrefix(key, campaigns.Key("message", "")) && strings.Contains(content, "state=sending") {
				return false
			}
		}
		return true
	}, 10*time.Second, 10*time.Millisecond)
	return all
}

func (f *fixture) content(key string) string {
	f.t.Helper()
	ctx := f.t.Context()
	kind := f.rdb.Type(ctx, key).Val()
	var content any
	var err error
	switch kind {
	case "string":
		content, err = f.rdb.Get(ctx, key).Result()
	case "hash":
		var h map[string]string
		h, err = f.rdb.HGetAll(ctx, key).Result()
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(h)) {
			fields = append(fields, name+"="+h[name])
		}
		content = fields
	case "zset":
		content, err = f.rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
	case "list":
		content, err = f.rdb.LRange(ctx, key, 0, -1).Result()
	case "set":
		content, err = f.rdb.SMembers(ctx, key).Result()
	case "stream":
		content, err = f.rdb.XRange(ctx, key, "-", "+").Result()
	case "none": // it has expired meanwhile
		return ""
	default:
		require.Failf(f.t, "not looked at", "%s is a %s", key, kind)
	}
	require.NoError(f.t, err)
	return fmt.Sprintf("%s %v", kind, content)
}

// holds says where in Redis one of the words is, in keys and in what they hold.
func (f *fixture) holds(words ...string) (places []string) {
	f.t.Helper()
	for key, content := range f.dump() {
		for _, w := range words {
			if strings.Contains(key, w) || strings.Contains(content, w) {
				places = append(places, key+": "+w)
			}
		}
	}
	return places
}

// unchanged runs work that must leave no trace in Redis.
func (f *fixture) unchanged(what string, work func()) {
	f.t.Helper()
	before := f.settled()
	work()
	require.Equal(f.t, before, f.dump(), what)
}
