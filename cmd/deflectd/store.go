package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/config"
)

// A live call waits for Redis, so its answers are waited for this long and no
// longer; an operation is tried once more on a connection that has died.
const (
	redisTimeout  = 500 * time.Millisecond
	redisRetries  = 1
	redisPoolSize = 64
	// A Cluster tells where a key has moved to; once is the rule, twice while it
	// fails over.
	redisRedirects = 2
)

// openRedis makes the one client; it does not connect yet.
func openRedis(cfg config.Redis) (redis.UniversalClient, error) {
	o, err := cfg.Options()
	if err != nil {
		return nil, fmt.Errorf("redis.url %w", err)
	}
	if o.Cluster != nil {
		return openCluster(o), nil
	}
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = redisTimeout, redisTimeout, redisTimeout
	o.PoolTimeout = redisTimeout
	o.PoolSize, o.MinIdleConns = redisPoolSize, 4
	o.MaxRetries = redisRetries
	o.DialerRetries = 1 // a port that nobody listens on is no reason to keep a caller waiting
	return redis.NewClient(o.Options), nil
}

// openCluster makes a client for the nodes of a Cluster. All keys share one
// slot, so one node does the work and its replicas take over from it.
func openCluster(o config.RedisOptions) redis.UniversalClient {
	if o.TLSConfig != nil {
		// It names the first host; each node is to show a certificate of its own.
		o.TLSConfig = o.TLSConfig.Clone()
		o.TLSConfig.ServerName = ""
	}
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: o.Cluster, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		ContextTimeoutEnabled: true,
		DialTimeout:           redisTimeout, ReadTimeout: redisTimeout, WriteTimeout: redisTimeout,
		PoolTimeout: redisTimeout, PoolSize: redisPoolSize,
		MaxRedirects: redisRedirects, DialerRetries: 1,
	})
}

// secret is the service's secret, read from Redis as soon as it is there.
type secret struct {
	redis  redis.UniversalClient
	logger *slog.Logger
	bytes  atomic.Pointer[[]byte]
}

func newSecret(rdb redis.UniversalClient, logger *slog.Logger) *secret {
	return &secret{redis: rdb, logger: logger}
}

// value is nil until the secret has been read.
func (s *secret) value() []byte {
	if b := s.bytes.Load(); b != nil {
		return *b
	}
	return nil
}

// run tries until it has the secret, then waits for ctx to end.
func (s *secret) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for s.value() == nil {
		b, err := campaigns.ServiceSecret(ctx, s.redis)
		if err == nil {
			s.bytes.Store(&b)
			break
		}
		s.logger.Debug("the service secret cannot be read yet", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	<-ctx.Done()
	return nil
}
