package sender

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

// Campaigns is where the campaigns are; campaigns.Store is.
type Campaigns interface {
	List(ctx context.Context) (list []*campaigns.Campaign, unreadable []error, err error)
}

// Options are what Senders need.
type Options struct {
	Redis        redis.UniversalClient
	Configured   string        // sms.originator; "" for none
	Numbers      Numbers       // the provider that lets numbers
	Campaigns    Campaigns     // to say which of them a release stops
	Refresh      time.Duration // between full reads; campaigns.DefaultRefresh when zero
	StoreTimeout time.Duration // how long Redis may take to answer; campaigns.StoreTimeout when zero
	Logger       *slog.Logger
	Registerer   prometheus.Registerer // nil: no metrics
}

// Senders are the numbers and names that texts come from. What is asked of them
// for each text is answered from memory, without a lock: while Redis is away,
// they go on with what they read last.
type Senders struct {
	o        Options
	now      atomic.Pointer[view]
	reading  sync.Mutex // held by refresh
	warned   sync.Map   // what was warned of once: a nameIn, or a string
	warnings atomic.Int64
}

// New makes Senders. Until Run has read the store (Ready) nothing comes from
// anything.
func New(o Options) *Senders {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Refresh <= 0 {
		o.Refresh = campaigns.DefaultRefresh
	}
	o.StoreTimeout = cmp.Or(o.StoreTimeout, campaigns.StoreTimeout)
	s := &Senders{o: o}
	s.now.Store(s.unread())
	promauto.With(o.Registerer).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deflectd_senders",
		Help: "Senders that texts of any campaign may come from: the configured one, and the obtained ones.",
	}, func() float64 { return float64(s.now.Load().count()) })
	return s
}

// Ready tells whether the store has been read at least once, which it stays. Until
// then it is not known what was released, be it the configured sender, nor whether
// a number is there that a name has to give way to. So there is no sender at all:
// For answers "", Any and Sends false. A daemon waits for it before it takes
// calls.
func (s *Senders) Ready() bool { return s.now.Load().read }

// For answers what a text of a campaign to a number comes from: the sender that
// was asked for, else the campaign's, else the configured one, else an obtained
// number of the recipient's country, else any obtained one; "" where there is
// none, where it was released, and until Ready. A name where names do not arrive
// gives way to an obtained number; where there is none to give way to, that is
// logged, once for each name and country.
func (s *Senders) For(c *campaigns.Campaign, asked string, to phone.Number) string {
	from, arrives := s.choose(c, asked, to)
	if !arrives {
		s.warn(from, to.Region)
	}
	return from
}

// Foresee answers what For would, of a text that nobody sends: nothing is logged.
func (s *Senders) Foresee(c *campaigns.Campaign, to phone.Number) string {
	from, _ := s.choose(c, "", to)
	return from
}

// choose is For, and says whether texts from there are known not to arrive.
func (s *Senders) choose(c *campaigns.Campaign, asked string, to phone.Number) (from string, arrives bool) {
	v := s.now.Load()
	if !v.read {
		return "", true
	}
	named := asked
	if named == "" && c != nil {
		named = c.Originator
	}
	switch {
	case named != "" && v.isReleased(named):
		return "", true
	case named == "":
		named = v.configured
	}
	if named == "" {
		return v.number(to), true
	}
	if isName(named) && !Names(to.Region) {
		number := v.number(to)
		return cmp.Or(number, named), number != ""
	}
	return named, true
}

// Any tells whether there is a sender for campaigns that name none.
func (s *Senders) Any() bool { return s.now.Load().count() > 0 }

// Sends tells whether a campaign has anything its texts can come from: its own
// sender, or one of the service's. It says nothing of the service switch: texts
// go out where that is on and Sends says so. A nil campaign stands for one that
// names no sender.
func (s *Senders) Sends(c *campaigns.Campaign) bool {
	v := s.now.Load()
	if c != nil && c.Originator != "" {
		return v.read && !v.isReleased(c.Originator)
	}
	return v.count() > 0
}

// Own tells whether a number in E.164 is one that texts come from: nobody wants
// a text to it.
func (s *Senders) Own(e164 string) bool {
	_, own := s.now.Load().own[plain(e164)]
	return own
}

// maxWarnings bounds what is remembered, and said, of names that do not arrive:
// requests may name any.
const maxWarnings = 1000

// nameIn is a name and a country where it does not arrive.
type nameIn struct{ name, country string }

// warn says once that a name will not arrive in a country.
func (s *Senders) warn(name, country string) {
	key := nameIn{name, country}
	if _, said := s.warned.Load(key); said {
		return
	}
	if s.warnings.Add(1) > maxWarnings {
		return
	}
	if _, said := s.warned.LoadOrStore(key, struct{}{}); !said {
		s.o.Logger.Warn("texts from a name do not arrive in this country unless that was arranged: obtain a number for it",
			"sender", name, "country", country)
	}
}
