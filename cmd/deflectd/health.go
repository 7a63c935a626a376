package main

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
)

// Redis is looked at this often, and is away when it did not answer in time so
// many times in a row.
const (
	redisProbeEvery   = time.Second
	redisProbeTimeout = 500 * time.Millisecond
	redisMisses       = 2
)

// health knows whether the daemon can do its work.
type health struct {
	*daemon
	redisUp  atomic.Bool
	misses   int // of Redis, in a row
	stopping atomic.Bool
	gauge    prometheus.Gauge
}

func newHealth(d *daemon) *health {
	metrics := promauto.With(d.registry)
	metrics.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deflectd_provider_up",
		Help: "Whether the SMS provider takes texts, as far as is known; 0 while it fails so often that they wait.",
	}, func() float64 {
		if d.outbox.ProviderUp() {
			return 1
		}
		return 0
	})
	return &health{daemon: d, gauge: metrics.NewGauge(prometheus.GaugeOpts{
		Name: "deflectd_redis_up",
		Help: "Whether Redis answered the last time it was asked.",
	})}
}

// run keeps asking Redis whether it is there.
func (h *health) run(ctx context.Context) error {
	tick := time.NewTicker(redisProbeEvery)
	defer tick.Stop()
	for {
		err := h.ping(ctx)
		if ctx.Err() != nil {
			return nil
		}
		h.heard(err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ping asks for one of our keys: of a Cluster only the node that has them
// counts.
func (h *health) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, redisProbeTimeout)
	defer cancel()
	return h.redis.Exists(ctx, campaigns.ServiceKey).Err()
}

// heard takes note of an answer of Redis. One that is late once may only be
// busy; twice in a row it is away, and callers are better not offered a text.
func (h *health) heard(err error) {
	if err == nil {
		h.misses = 0
		h.gauge.Set(1)
		if !h.redisUp.Swap(true) {
			h.logger.Info("Redis is there")
		}
		return
	}
	h.misses++
	if h.misses == redisMisses {
		h.redisUp.Store(false)
		h.gauge.Set(0)
		h.logger.Error("Redis is away: calls are let go until it is back", "error", err)
	}
}

// now is the three-valued answer of /readyz: not ready means that no call can
// be deflected, degraded that some cannot.
func (h *health) now(context.Context) admin.Health {
	var cannot, lacks []string
	if h.stopping.Load() {
		cannot = append(cannot, "deflectd is stopping")
	}
	if !h.redisUp.Load() {
		cannot = append(cannot, "Redis does not answer")
	}
	if !h.directory.Ready() {
		cannot = append(cannot, "the campaigns have not been read yet")
	}
	if !h.senders.Ready() {
		cannot = append(cannot, "the senders have not been read yet")
	}
	up := 0
	for _, node := range h.nodes {
		if node.Up() {
			up++
			continue
		}
		lacks = append(lacks, "Asterisk node "+node.name+" is away")
	}
	if up == 0 {
		cannot = append(cannot, "no Asterisk node is connected")
	}
	if !h.outbox.ProviderUp() {
		lacks = append(lacks, "the SMS provider is away")
	}
	switch reasons := slices.Concat(cannot, lacks); {
	case len(cannot) > 0:
		return admin.Health{Status: admin.NotReady, Reasons: reasons}
	case len(lacks) > 0:
		return admin.Health{Status: admin.Degraded, Reasons: reasons}
	default:
		return admin.Health{Status: admin.Ready}
	}
}
