package intercept

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are what is measured of calls here. The calls themselves are counted
// where they are recorded.
type metrics struct {
	decision      prometheus.Histogram
	answer        prometheus.Histogram
	promptsFailed *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, g *gate) metrics {
	with := promauto.With(r)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deflectd_calls_active",
		Help: "Calls at hand.",
	}, func() float64 { return float64(g.active.Load()) })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deflectd_calls_setting_up",
		Help: "Calls at hand that nothing has happened to yet.",
	}, func() float64 { return float64(g.setting.Load()) })
	m := metrics{
		decision: with.NewHistogram(prometheus.HistogramOpts{
			Name: "deflectd_call_decision_seconds",
			Help: "Time to decide about a call, with asking for its history, and for the presentation where the call did not bring it.",
			// From a microsecond, without any request, to a second.
			Buckets: prometheus.ExponentialBuckets(1e-6, 4, 11),
		}),
		answer: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "deflectd_call_answer_seconds",
			Help:    "Time from a call's arrival to its being answered.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		promptsFailed: with.NewCounterVec(prometheus.CounterOpts{
			Name: "deflectd_prompts_failed_total",
			Help: "Prompts that could not be played, by which of the campaign's prompts it was.",
		}, []string{"prompt"}),
	}
	for _, which := range []string{"offer", "sent", "failed", "opted_out"} {
		m.promptsFailed.WithLabelValues(which)
	}
	return m
}
