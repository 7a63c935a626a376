package campaigns

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time span written as "90s", "15m", "72h" or "90d". Zero means
// "not given".
type Duration time.Duration

const day = 24 * time.Hour

var errDuration = errors.New(`a duration is written like "90s", "15m", "72h" or "90d"`)

// MarshalText writes the shortest exact form; zero is empty.
func (d Duration) MarshalText() ([]byte, error) {
	return []byte(d.String()), nil
}

// String writes the shortest exact form, in hours up to three days and in days
// from there; zero is empty.
func (d Duration) String() string {
	t := time.Duration(d)
	switch {
	case t == 0:
		return ""
	case t%day == 0 && t > 3*day:
		return unit(t, day, "d")
	case t%time.Hour == 0:
		return unit(t, time.Hour, "h")
	case t%time.Minute == 0:
		return unit(t, time.Minute, "m")
	case t%time.Second == 0:
		return unit(t, time.Second, "s")
	}
	return t.String()
}

func unit(t, u time.Duration, name string) string {
	return strconv.FormatInt(int64(t/u), 10) + name
}

// UnmarshalText reads what MarshalText writes, and whatever time.ParseDuration
// reads. A zero is refused, because zero stands for "not given": what has no
// duration is left out.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "" {
		*d = 0
		return nil
	}
	t, err := parseDuration(s)
	if err != nil {
		return err
	}
	if t <= 0 {
		return fmt.Errorf("%q is not positive: leave it out for the default", s)
	}
	*d = Duration(t)
	return nil
}

func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err != nil || n > math.MaxInt64/int64(day) || n < 0 {
			return 0, fmt.Errorf("%q: %w", s, errDuration)
		}
		return time.Duration(n) * day, nil
	}
	t, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", s, errDuration)
	}
	return t, nil
}

// Pause is a time to be left between two texts. It is written like a Duration,
// but zero is a value of its own ("0s"): none.
type Pause time.Duration

// String writes the shortest exact form.
func (p Pause) String() string {
	if p == 0 {
		return "0s"
	}
	return Duration(p).String()
}

// MarshalText writes the shortest exact form.
func (p Pause) MarshalText() ([]byte, error) {
	return []byte(p.String()), nil
}

// UnmarshalText reads what MarshalText writes, and whatever time.ParseDuration
// reads, unless it is negative.
func (p *Pause) UnmarshalText(text []byte) error {
	t, err := parseDuration(string(text))
	if err != nil {
		return err
	}
	if t < 0 {
		return fmt.Errorf("%q is negative: write \"0s\" for none", text)
	}
	*p = Pause(t)
	return nil
}
