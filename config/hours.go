package config

import (
	"errors"
	"strings"
	"time"
)

var errHours = errors.New("must be two times of the day, the earlier first, such as 08:00-21:00; 00:00-24:00 for the whole day")

// parseHours reads "08:00-21:00" as times since midnight. 24:00 is the end of
// the day.
func parseHours(s string) (from, to time.Duration, err error) {
	first, last, found := strings.Cut(s, "-")
	if !found {
		return 0, 0, errHours
	}
	from, err = parseClock(strings.TrimSpace(first))
	if err != nil {
		return 0, 0, err
	}
	to, err = parseClock(strings.TrimSpace(last))
	if err != nil || from >= to {
		return 0, 0, errHours
	}
	return from, to, nil
}

func parseClock(s string) (time.Duration, error) {
	if s == "24:00" {
		return day, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, errHours
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// Marketing is when texts of marketing campaigns may arrive, as times since
// midnight where the recipient is. Of what Load has checked it is always from
// an earlier time to a later one.
func (l Limits) Marketing() (from, to time.Duration) {
	from, to, _ = parseHours(l.MarketingHours) // Load has checked it
	return from, to
}
