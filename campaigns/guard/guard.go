// Package guard decides how often and where texts may go: what an operator
// allows, and what is known of a number from before. The rules that need that
// history are functions in Lua: they are asked in one round trip before a call
// is answered, and again in the script that makes a text durable, so that no two
// texts can slip through a limit together.
//
// Nothing here keeps a number: persons and prefixes are pseudonyms (see
// campaigns.Pseudonym).
package guard

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

// ErrStore says that Redis is away or too slow to ask; nobody may be texted
// without having asked. It comes wrapped.
var ErrStore = errors.New("the history of texts cannot be read")

// Policy is what an operator allows, over all campaigns. A limit that is zero
// does not exist.
type Policy struct {
	// Countries are those whose numbers may be texted (ISO 3166-1 alpha-2);
	// where there is none, nobody may.
	Countries       []string
	Cooldown        time.Duration // between two texts of one campaign to one number, where the campaign says nothing
	PerCallerPerDay int           // texts to one number in 24 hours, of all campaigns
	// PerPrefixPerHour is how many texts go to numbers that differ in the last
	// four digits only, in 60 minutes: traffic pumping calls from such ranges.
	PerPrefixPerHour int
	SegmentsPerDay   int // segments of all texts in the current hour and the 23 before
	// SurgeCalls is how many calls one number may make within 5 to 10 minutes:
	// with that many, and a fifth of all calls, it is no caller's number but one
	// that the trunk shows for many.
	SurgeCalls int
	Suppress   time.Duration // how long a number is left alone after a permanent failure; see Guards.Suppress
	// MarketingHours are when texts of marketing campaigns may go out, by the clock
	// of whoever gets them; zero: DefaultMarketingHours.
	MarketingHours Hours
}

// Options are what Guards need.
type Options struct {
	Redis  redis.UniversalClient
	Policy Policy
	// Own says whether a number in E.164 is one of ours; nil: none is.
	Own func(e164 string) bool
	// OptOuts know who has opted out and is not on the list yet, because Redis
	// could not be reached; nil: nobody.
	OptOuts OptOuts
	// Secret is the service secret; it answers nil until Redis was reached.
	Secret       func() []byte
	Timeout      time.Duration // of one look at the history, for a caller waits; 200 ms
	StoreTimeout time.Duration // where nobody waits; campaigns.StoreTimeout when zero
	Logger       *slog.Logger
	Registerer   prometheus.Registerer
}

// OptOuts tell whether an opt-out of a number in E.164 waits to be written.
type OptOuts interface{ Waiting(e164 string) bool }

// defaultTimeout is how long a caller hears ringing for the sake of a look at
// the history.
const defaultTimeout = 200 * time.Millisecond

// Guards refuse texts.
type Guards struct {
	o         Options
	countries map[string]struct{}
	hours     Hours // of marketing
	metrics   *metrics
	every     time.Duration // between two readings of the figures
}

// New makes Guards and registers their metrics. The error names what is missing
// or wrong.
func New(o Options) (*Guards, error) {
	if o.Redis == nil || o.Secret == nil {
		return nil, errors.New("make guards: a Redis client and the service secret are needed")
	}
	p := o.Policy
	if min(int64(p.Cooldown), int64(p.PerCallerPerDay), int64(p.PerPrefixPerHour), int64(p.SegmentsPerDay),
		int64(p.SurgeCalls), int64(p.Suppress)) < 0 {
		return nil, errors.New("make guards: a limit is negative")
	}
	hours := p.MarketingHours.or(DefaultMarketingHours)
	if !hours.valid() {
		return nil, errHours
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.StoreTimeout = cmp.Or(o.StoreTimeout, campaigns.StoreTimeout)
	if o.Own == nil {
		o.Own = func(string) bool { return false }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Guards{o: o, every: figuresEvery, hours: hours, countries: make(map[string]struct{}, len(p.Countries))}
	for _, c := range p.Countries {
		if len(c) != 2 {
			return nil, fmt.Errorf("make guards: %q is no country (ISO 3166-1 alpha-2)", c)
		}
		g.countries[strings.ToUpper(c)] = struct{}{}
	}
	g.metrics = newMetrics(o.Registerer, p)
	return g, nil
}

// Suppress is how long a number is left alone after a text to it failed for
// good; 0: it is not. The script that takes a delivery report tells
// guard_suppress.
func (g *Guards) Suppress() time.Duration { return g.o.Policy.Suppress }

// Timeout is how long one look at the history may take.
func (g *Guards) Timeout() time.Duration { return g.o.Timeout }

// Countries are those whose numbers may be texted, in alphabetical order.
func (g *Guards) Countries() []string {
	list := make([]string, 0, len(g.countries))
	for c := range g.countries {
		list = append(list, c)
	}
	slices.Sort(list)
	return list
}

// rules are what needs no history, in the order in which it is asked. The hours
// come last: they alone do not hold for tests.
var rules = [...]func(*Guards, *campaigns.Campaign, phone.Number) Refusal{
	(*Guards).own, (*Guards).country, (*Guards).line, (*Guards).quiet,
}

// Permit decides what needs no history, and asks nobody: ANIOwnNumber,
// CountryNotAllowed, NotMobile, and for marketing OutsideHours, in this order.
// Without a campaign (nil) any kind of line will do, at any hour.
func (g *Guards) Permit(c *campaigns.Campaign, n phone.Number) Refusal {
	return g.permit(rules[:], c, n)
}

// PermitTest decides the same for a test of the campaign's text, which may go out
// at any hour.
func (g *Guards) PermitTest(c *campaigns.Campaign, n phone.Number) Refusal {
	return g.permit(rules[:len(rules)-1], c, n)
}

func (g *Guards) permit(
	rules []func(*Guards, *campaigns.Campaign, phone.Number) Refusal, c *campaigns.Campaign, n phone.Number,
) Refusal {
	for _, rule := range rules {
		if r := rule(g, c, n); !r.None() {
			return r
		}
	}
	return Refusal{}
}

// Forbidden is all that Permit would refuse, were it not for the others, in the
// same order.
func (g *Guards) Forbidden(c *campaigns.Campaign, n phone.Number) []Refusal {
	var list []Refusal
	for _, rule := range rules {
		if r := rule(g, c, n); !r.None() {
			list = append(list, r)
		}
	}
	return list
}

func (g *Guards) own(_ *campaigns.Campaign, n phone.Number) Refusal {
	if g.o.Own(n.E164) {
		return Refusal{Reason: ANIOwnNumber}
	}
	return Refusal{}
}

func (g *Guards) country(_ *campaigns.Campaign, n phone.Number) Refusal {
	if _, allowed := g.countries[n.Region]; !allowed {
		return Refusal{Reason: CountryNotAllowed}
	}
	return Refusal{}
}

func (g *Guards) line(c *campaigns.Campaign, n phone.Number) Refusal {
	if c != nil && !c.Takes(phone.LineType(n)) {
		return Refusal{Reason: NotMobile}
	}
	return Refusal{}
}

// Where a refusal is counted.
const (
	AtCall = "call" // before a call was answered
	AtText = "text" // when a text was to be made durable
)

// Refused counts a refusal of something that was really to happen: AtCall or
// AtText. What refuses nothing is not counted.
func (g *Guards) Refused(r Refusal, at string) {
	if !r.None() {
		g.metrics.refusals.WithLabelValues(r.label(), at).Inc()
	}
}
