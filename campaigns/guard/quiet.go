package guard

import (
	"errors"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

// Hours are a part of the day, the same each day: from one time to a later one,
// counted from midnight by the clock on the wall; the second is no more in it. The
// zero value stands for DefaultMarketingHours, 0 to 24 hours for the whole day.
type Hours struct{ From, To time.Duration }

// DefaultMarketingHours are those of the United States, where nobody may be
// solicited by telephone, which a text counts as, before 8 in the morning or after
// 9 in the evening, local time at the place of whoever is called (47 CFR
// 64.1200(c)(1)). Some states and other countries know narrower ones.
var DefaultMarketingHours = Hours{8 * time.Hour, 21 * time.Hour}

// Never is what Quiet answers where nobody knows when a text may go out: far
// longer than any text is valid.
const Never = 365 * 24 * time.Hour

var errHours = errors.New("make guards: the marketing hours must go from one time of a day to a later one")

// or answers the default for the zero value.
func (h Hours) or(standard Hours) Hours {
	if h == (Hours{}) {
		return standard
	}
	return h
}

func (h Hours) valid() bool { return h.From >= 0 && h.From < h.To && h.To <= 24*time.Hour }

// open tells whether the clock of a zone is within the hours.
func (h Hours) open(at time.Time, zone *time.Location) bool {
	at = at.In(zone)
	hour, minute, second := at.Clock()
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute +
		time.Duration(second)*time.Second + time.Duration(at.Nanosecond())
	return h.From <= clock && clock < h.To
}

// opens is when the hours begin in a zone, some days after a time.
func (h Hours) opens(at time.Time, zone *time.Location, days int) time.Time {
	year, month, today := at.In(zone).Date()
	return time.Date(year, month, today+days, 0, 0, int(h.From/time.Second), int(h.From%time.Second), zone)
}

// Quiet says for how long from a time on a text of a campaign of this kind must
// not go out to a number, because it is not within the marketing hours in every
// time zone that the number may be in; 0: it may. It is Never where no such zone is
// known, or where it is never within the hours in all of them at once.
//
// It holds for marketing alone, and is no matter of tests and of answers to what
// people text. Permit asks it; whoever keeps a text waiting asks it again before
// the text goes out.
func (g *Guards) Quiet(kind string, n phone.Number, at time.Time) time.Duration {
	if kind != campaigns.KindMarketing {
		return 0
	}
	return g.hours.wait(phone.Zones(n), at)
}

// wait is how long it is from a time until the clocks of all zones are within the
// hours; Never where they are never, or where there is no zone.
func (h Hours) wait(zones []*time.Location, at time.Time) time.Duration {
	if len(zones) == 0 {
		return Never
	}
	if h.openIn(zones, at) {
		return 0
	}
	// They are when they begin in the last of the zones: at that hour, or where a
	// clock is put past it.
	first := Never
	for _, zone := range zones {
		begins := [...]time.Time{h.opens(at, zone, 0), h.opens(at, zone, 1), h.opens(at, zone, 2), changes(at, zone)}
		for _, begin := range begins {
			if wait := begin.Sub(at); wait > 0 && wait < first && h.openIn(zones, begin) {
				first = wait
			}
		}
	}
	return first
}

// changes is when the clocks of a zone are put forward or back next; the zero time
// where that is not known.
func changes(at time.Time, zone *time.Location) time.Time {
	_, end := at.In(zone).ZoneBounds()
	return end
}

func (h Hours) openIn(zones []*time.Location, at time.Time) bool {
	for _, zone := range zones {
		if !h.open(at, zone) {
			return false
		}
	}
	return true
}

// quiet is Permit's rule of the marketing hours.
func (g *Guards) quiet(c *campaigns.Campaign, n phone.Number) Refusal {
	if c == nil {
		return Refusal{}
	}
	wait := g.Quiet(c.Kind, n, time.Now())
	switch {
	case wait == 0:
		return Refusal{}
	case wait >= Never:
		wait = 0 // that is not known, or for ever
	}
	return Refusal{Reason: OutsideHours, Limit: LimitMarketingHours, RetryAfter: wait}
}
