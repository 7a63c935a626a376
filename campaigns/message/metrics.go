package message

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	messages *prometheus.CounterVec
	errors   *prometheus.CounterVec
	reports  *prometheus.CounterVec
	submit   prometheus.Histogram
	delivery prometheus.Histogram
	outbox   *prometheus.GaugeVec
	oldest   prometheus.Gauge

	campaigns sync.Map // campaign -> map[State]prometheus.Counter, never changed
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		messages: f.NewCounterVec(prometheus.CounterOpts{
			Name: "deflectd_messages_total",
			Help: "States that messages entered, by campaign; test messages are not counted.",
		}, []string{"campaign", "state"}),
		errors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "deflectd_message_errors_total",
			Help: "Attempts that the provider did not accept, by reason and by what that means for the text.",
		}, []string{"reason", "verdict"}),
		reports: f.NewCounterVec(prometheus.CounterOpts{
			Name: "deflectd_message_reports_total",
			Help: "Delivery reports: changed (the message's state), stale (it had that state or a final one) or missing (no such message).",
		}, []string{"result"}),
		submit: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "deflectd_message_submit_seconds",
			Help:    "Time from a text made durable until the provider accepted it.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900},
		}),
		delivery: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "deflectd_message_delivery_seconds",
			Help:    "Time from a text made durable until its delivery was reported.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600},
		}),
		outbox: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "deflectd_outbox_messages",
			Help: "Messages that are queued, sending, or unknown and to be sent once more, of all daemons on this Redis.",
		}, []string{"state"}),
		oldest: f.NewGauge(prometheus.GaugeOpts{
			Name: "deflectd_outbox_oldest_seconds",
			Help: "Age of the oldest queued message, of all daemons on this Redis; 0 where none is queued.",
		}),
	}
}

// entered counts a state that a message of a campaign has entered. All states of
// a campaign are there from its first message on, so that the first one that is
// unknown is seen as an increase.
func (m *metrics) entered(campaign string, s State) {
	counters, known := m.campaigns.Load(campaign)
	if !known {
		all := make(map[State]prometheus.Counter, len(States()))
		for _, state := range States() {
			all[state] = m.messages.WithLabelValues(campaign, string(state))
		}
		counters, _ = m.campaigns.LoadOrStore(campaign, all)
	}
	if c := counters.(map[State]prometheus.Counter)[s]; c != nil {
		c.Inc()
	}
}

// queue sets the figures of the queue.
func (m *metrics) queue(queued, sending, doubted int64, oldest float64) {
	m.outbox.WithLabelValues(string(Queued)).Set(float64(queued))
	m.outbox.WithLabelValues(string(Sending)).Set(float64(sending))
	m.outbox.WithLabelValues(string(Unknown)).Set(float64(doubted))
	m.oldest.Set(oldest)
}
