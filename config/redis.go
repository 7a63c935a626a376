package config

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// RedisOptions are how the one store is reached. Timeouts and retries are for
// whoever connects to set.
type RedisOptions struct {
	*redis.Options
	// Cluster are the addresses of some nodes of a Redis Cluster; nil for a Redis
	// of its own.
	Cluster []string
}

// errRedisDatabase is what a Cluster's URL may not say.
var errRedisDatabase = errors.New("names a database, and a Cluster has but one: leave /db out")

// Options reads the URL as go-redis does, and several addresses in it as those
// of one Cluster. The error never holds the URL, which may hold a password.
func (r Redis) Options() (RedisOptions, error) {
	before, hosts, after := splitHosts(r.URL.Reveal())
	var o RedisOptions
	for i, host := range hosts {
		one, err := redis.ParseURL(before + host + after)
		if err != nil || len(hosts) > 1 && host == "" {
			return RedisOptions{}, errRedisURL
		}
		if i == 0 {
			o.Options = one
		}
		if len(hosts) > 1 {
			o.Cluster = append(o.Cluster, one.Addr)
		}
	}
	if o.Cluster != nil && o.DB != 0 {
		return RedisOptions{}, errRedisDatabase
	}
	return o, nil
}

// splitHosts takes a URL apart around its list of hosts. One without a host, a
// socket's, has a single empty one.
func splitHosts(raw string) (before string, hosts []string, after string) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		return raw, []string{""}, ""
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, after := rest[:end], rest[end:]
	user := strings.LastIndex(authority, "@") + 1
	return scheme + "://" + authority[:user], strings.Split(authority[user:], ","), after
}
