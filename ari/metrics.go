package ari

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	up         prometheus.Gauge
	reconnects prometheus.Counter
	unknown    prometheus.Counter
	malformed  prometheus.Counter
	dropped    prometheus.Counter
	orphans    prometheus.Counter
	leftovers  prometheus.Counter
	panics     prometheus.Counter
	repaired   *prometheus.CounterVec
	commands   map[verb]prometheus.Observer
}

// newMetrics registers the metrics of one node. The node is a constant label,
// so that several clients share one registerer.
func newMetrics(reg prometheus.Registerer, node string) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "deflectd", Subsystem: "asterisk", Name: name, Help: help,
		})
	}
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "deflectd", Subsystem: "asterisk", Name: "up",
			Help: "1 while events of the node are known to arrive.",
		}),
		reconnects: counter("reconnects_total", "Event streams made again after one was lost."),
		unknown:    counter("events_unknown_total", "Events of a type that is not known; they are ignored."),
		malformed:  counter("events_malformed_total", "Messages on the event stream that are not events; they are ignored."),
		dropped:    counter("events_dropped_total", "Calls given up because their queue of events was full."),
		orphans:    counter("orphans_total", "Channels let go that were in the application without a call owning them."),
		leftovers:  counter("leftovers_total", "Channels let go because their call was over and they had not left."),
		panics:     counter("panics_total", "Calls whose handling panicked; they were let go."),
		repaired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "deflectd", Subsystem: "asterisk", Name: "repaired_total",
			Help: "Events that were missed and found by comparing with Asterisk.",
		}, []string{"event"}),
		commands: make(map[verb]prometheus.Observer, len(verbs)),
	}
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "deflectd", Subsystem: "asterisk", Name: "command_seconds",
		Help:    "How long commands to the node take, failed ones included.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
	}, []string{"command"})
	for _, v := range verbs {
		m.commands[v] = seconds.WithLabelValues(string(v))
	}
	for _, event := range []string{eventEnd, eventPlayback} {
		m.repaired.WithLabelValues(event)
	}
	if reg == nil {
		return m, nil
	}
	reg = prometheus.WrapRegistererWith(prometheus.Labels{"node": node}, reg)
	var errs []error
	for _, c := range []prometheus.Collector{
		m.up, m.reconnects, m.unknown, m.malformed, m.dropped, m.orphans,
		m.leftovers, m.panics, m.repaired, seconds,
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// Label values of repaired_total.
const (
	eventEnd      = "stasis_end"
	eventPlayback = "playback_finished"
)
