package guard

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"deflectd/campaigns"
)

// alarmShare is from what share of the day's segments on there is an alarm.
const alarmShare = 0.8

// figuresEvery is how often the segments of the day are read.
const figuresEvery = 5 * time.Second

type metrics struct {
	refusals *prometheus.CounterVec
	used     *prometheus.GaugeVec
	alarm    *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer, p Policy) *metrics {
	f := promauto.With(r)
	m := &metrics{
		refusals: f.NewCounterVec(prometheus.CounterOpts{
			Name: "deflectd_guard_refusals_total",
			Help: "What guards refused, by the limit that was reached or else the reason, and where: call (before it was answered) or text (when it was to be sent).",
		}, []string{"guard", "at"}),
		used: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "deflectd_limit_used_ratio",
			Help: "How much of a limit over all texts is used, of all daemons on this Redis; absent where there is no such limit.",
		}, []string{"limit"}),
		alarm: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "deflectd_limit_alarm",
			Help: "1 while 80 % or more of a limit over all texts is used.",
		}, []string{"limit"}),
	}
	// An increase is seen from the first refusal on only where there was a 0 before.
	for _, guard := range labels {
		for _, at := range []string{AtCall, AtText} {
			m.refusals.WithLabelValues(guard, at)
		}
	}
	if p.SegmentsPerDay > 0 {
		m.set(0)
	}
	return m
}

// set sets the figures of the service's segments and says whether there is an
// alarm.
func (m *metrics) set(ratio float64) (alarm bool) {
	alarm = ratio >= alarmShare
	value := 0.
	if alarm {
		value = 1
	}
	m.used.WithLabelValues(LimitSegments).Set(ratio)
	m.alarm.WithLabelValues(LimitSegments).Set(value)
	return alarm
}

// Figures reads how much of the day's segments is used and sets the metrics. The
// error is ErrStore.
func (g *Guards) Figures(ctx context.Context) error {
	_, err := g.figures(ctx)
	return err
}

func (g *Guards) figures(ctx context.Context) (alarm bool, err error) {
	limit := g.o.Policy.SegmentsPerDay
	if limit <= 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.o.StoreTimeout)
	defer cancel()
	used, err := segmentsScript.Run(ctx, g.o.Redis, []string{campaigns.Key("guard", "segments")}).Int64()
	if err != nil {
		return false, storeError("read the segments of the day", err)
	}
	return g.metrics.set(float64(used) / float64(limit)), nil
}

// Run keeps the figures up to date until ctx ends, and warns once each time the
// day's segments begin to run out. While Redis is away they stay as they were.
func (g *Guards) Run(ctx context.Context) error {
	tick := time.NewTicker(g.every)
	defer tick.Stop()
	warned := false
	for {
		alarm, err := g.figures(ctx)
		switch {
		case err != nil: // it is the business of other parts to say that Redis is away
		case alarm && !warned:
			warned = true
			g.o.Logger.WarnContext(ctx, "the segments of the day run out: when they are used up, nothing is sent until some hours of the day before are over",
				"limit", LimitSegments, "segments", g.o.Policy.SegmentsPerDay)
		case !alarm && warned:
			warned = false
			g.o.Logger.InfoContext(ctx, "there are segments again", "limit", LimitSegments)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
