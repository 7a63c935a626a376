package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// day is 24 hours, whatever the calendar says.
const day = 24 * time.Hour

var errDuration = errors.New("must be a duration, such as 90s, 72h or 90d")

// parseDuration reads what time.ParseDuration reads, and whole days before
// it: "90d", "1d12h". It is never negative.
func parseDuration(s string) (time.Duration, error) {
	var days time.Duration
	if number, rest, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil || n > uint64(math.MaxInt64/int64(day)) {
			return 0, errDuration
		}
		days, s = time.Duration(n)*day, rest
		if s == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > math.MaxInt64-days {
		return 0, errDuration
	}
	return days + d, nil
}

// formatDuration writes a duration the way people do: 90d, 72h, 15m, 3s.
func formatDuration(d time.Duration) string {
	if d > 0 && d%day == 0 && d > 3*day {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if d%time.Minute == 0 && d != 0 {
		s = strings.TrimSuffix(s, "0s")
	}
	if d%time.Hour == 0 && d != 0 {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
