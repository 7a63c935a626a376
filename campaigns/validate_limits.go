package campaigns

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of the limits. More than that is a mistake, or means no limit, which is
// written 0.
const (
	maxCooldown  = 30 * day
	maxPerCaller = 100
	maxPerDay    = 1_000_000
)

func (k *checker) limits(l *Limits) {
	if l == nil {
		return
	}
	if l.Cooldown != nil {
		if t := time.Duration(*l.Cooldown); t < 0 || t > maxCooldown || t > 0 && t < time.Second {
			k.problem("/limits/cooldown", "is %s; it must be from 1s to %s, or 0s for none", *l.Cooldown, Duration(maxCooldown))
		}
	}
	k.limit("/limits/per_caller_per_day", l.PerCallerPerDay, maxPerCaller)
	k.limit("/limits/per_day", l.PerDay, maxPerDay)
}

func (k *checker) limit(pointer string, n *int, most int) {
	if n != nil && (*n < 0 || *n > most) {
		k.problem(pointer, "is %d; it must be from 1 to %d, or 0 for none", *n, most)
	}
}

// lines are the words of line_types.
var lines = []string{LineMobile, LineUnknown, LineFixed, LineVoIP, LineOther}

func (k *checker) lineTypes(list []string) {
	if list != nil && len(list) == 0 {
		k.problem("/line_types", "is empty, so that nobody could get the text; leave it out for %s and %s", LineMobile, LineUnknown)
	}
	for i, word := range list {
		pointer := fmt.Sprintf("/line_types/%d", i)
		switch first := slices.Index(list, word); {
		case first < i:
			k.problem(pointer, "says the same as /line_types/%d (%s)", first, word)
		case !slices.Contains(lines, word):
			k.foreign = true
			k.problem(pointer, "%q is not known; possible: %s", word, strings.Join(lines, ", "))
		}
	}
}
