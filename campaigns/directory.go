package campaigns

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// readTimeout bounds one read of all campaigns.
const readTimeout = 10 * time.Second

// DirectoryOptions are the settings of a Directory.
type DirectoryOptions struct {
	Region     string        // how a number without "+" is read (ISO 3166-1 alpha-2)
	Own        []string      // numbers never to be texted, besides every DNIS of a campaign
	Refresh    time.Duration // between full reads; 30 s by default
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Directory holds the campaigns in memory for the calls that come in. A look
// into it takes no lock and asks no other machine: while Redis is away, it
// goes on with what it read last.
type Directory struct {
	store *Store
	o     DirectoryOptions
	now   atomic.Pointer[snapshot] // nil until the first read
}

// NewDirectory makes a Directory of what is in the store and registers its
// metrics. It is empty until Run has read the store.
func NewDirectory(store *Store, o DirectoryOptions) *Directory {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Directory{store: store, o: o}
	metrics := promauto.With(o.Registerer)
	metrics.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deflectd_campaigns",
		Help: "Campaigns in memory, disabled ones included.",
	}, func() float64 { return float64(d.count()) })
	metrics.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deflectd_campaigns_loaded_timestamp_seconds",
		Help: "As of when the campaigns in memory are: when their last reading from Redis began, in Unix time; 0 before the first.",
	}, d.loadedAt)
	return d
}

// Lookup finds the campaign that answers a dialled number: by the number
// itself, else by the longest prefix, else the catch-all; nil where there is
// none. Disabled campaigns are found too. The campaign is shared and must not
// be changed.
func (d *Directory) Lookup(dnis string) *Campaign {
	s := d.now.Load()
	if s == nil {
		return nil
	}
	return s.lookup(dnis, d.o.Region)
}

// Own tells whether a number in E.164 is one of ours: a DNIS of any campaign
// (prefixes do not count, for they may hold half a country) or one configured
// as such.
func (d *Directory) Own(e164 string) bool {
	s := d.now.Load()
	if s == nil {
		return false
	}
	_, own := s.own[e164]
	return own
}

// ServiceOn tells whether anything may be offered or sent at all. It is false
// until the switch has been read once.
func (d *Directory) ServiceOn() bool {
	s := d.now.Load()
	return s != nil && s.service
}

// Ready tells whether the campaigns have been read at least once.
func (d *Directory) Ready() bool {
	return d.now.Load() != nil
}

func (d *Directory) count() int {
	if s := d.now.Load(); s != nil {
		return s.count
	}
	return 0
}

func (d *Directory) loadedAt() float64 {
	if s := d.now.Load(); s != nil {
		return float64(s.loaded.UnixMilli()) / 1000
	}
	return 0
}

// Run reads the store, and again whenever a change is noticed and every
// Refresh, until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	return Fresh{
		Redis: d.store.rdb, Notices: keyNotices, Every: d.o.Refresh, What: "campaigns", Read: d.refresh, Logger: d.o.Logger,
	}.Run(ctx)
}
