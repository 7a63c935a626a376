package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// everything gives each key with its type and its content, all as of one moment.
// It is run where the keys are that share our hash tag; a Redis alone has no
// others.
var everything = redis.NewScript(`
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local content
  if kind == 'string' then
    content = { redis.call('GET', key) }
  elseif kind == 'hash' then
    content = redis.call('HGETALL', key)
    local fields = {}
    for i = 1, #content, 2 do
      fields[#fields + 1] = content[i] .. '=' .. content[i + 1]
    end
    table.sort(fields)
    content = fields
  elseif kind == 'zset' then
    content = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'list' then
    content = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then
    content = redis.call('SMEMBERS', key)
    table.sort(content)
  else
    return redis.error_reply('not looked at: ' .. key .. ' is a ' .. kind)
  end
  all[#all + 1] = key
  all[#all + 1] = kind .. ' ' .. table.concat(content, ' ')
end
return all`)

// dump is all that Redis holds, as text: each key with its type and its content.
func (f *fixture) dump() map[string]string {
	f.t.Helper()
	list, err := everything.Run(f.t.Context(), f.rdb, []string{campaigns.Key("campaigns")}).StringSlice()
	require.NoError(f.t, err)
	all := make(map[string]string, len(list)/2)
	for pair := range slices.Chunk(list, 2) {
		all[pair[0]] = pair[1]
	}
	return all
}

// memory sets how much memory every node of Redis may take.
func (f *fixture) memory(most string) {
	f.t.Helper()
	set := func(ctx context.Context, c *redis.Client) error {
		return c.ConfigSet(ctx, "maxmemory", most).Err()
	}
	ctx := context.WithoutCancel(f.t.Context()) // a cleanup asks for it too
	switch c := f.rdb.(type) {
	case *redis.ClusterClient:
		require.NoError(f.t, c.ForEachMaster(ctx, set))
	case *redis.Client:
		require.NoError(f.t, set(ctx, c))
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
	}, time.Minute, 10*time.Millisecond)
	return all
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
	after := f.dump()
	// Whoever reads all campaigns marks there what has been read.
	delete(before, campaigns.Key("campaigns", "latest"))
	delete(after, campaigns.Key("campaigns", "latest"))
	require.Equal(f.t, before, after, what)
}
