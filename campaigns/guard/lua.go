package guard

import (
	_ "embed"
	"errors"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

//go:embed scripts/guard.lua
var functions string

// Lua is put in front of scripts that send, behind optout.Lua and a function
// clock() that answers Redis' time in Unix milliseconds:
//
//	guard_args(i) -> subject, limits           what Args made, from ARGV[i] on
//	guard_refusal(subject, limits, at, segments) -> reason, limit, retry_ms
//	                                           reason '' where the text may go out; writes nothing
//	guard_rules(subject, limits, at, segments, refuse)
//	                                           tells of each, in the same order: refuse(reason, limit,
//	                                           retry_ms), until that answers true
//	guard_count(subject, at, id, segments)     a text was made durable; once for each text
//	guard_uncount(person, prefix, campaign, at, id, segments)
//	                                           it certainly did not go out; once for each text
//	guard_suppress(person, ms)                 texts to this person are pointless for a while
//
// subject has the fields person, prefix, campaign and exempt; at is the time in
// Unix milliseconds, the same in guard_uncount as it was in guard_count.
var Lua = "local GUARD = '" + campaigns.Key("guard", "") + "'\n" + functions

// ArgCount is how many values Args makes.
const ArgCount = 11

// Exempt says which rules a text is exempt from.
type Exempt string

// The exemptions.
const (
	NotExempt Exempt = ""     // none: a text to a caller, or to one of a list
	Test      Exempt = "test" // only opt-outs are checked, and nothing is counted
	// Reply is of an answer to what the person has just texted, of no campaign:
	// only the limits of prefixes and of segments hold, and it counts there.
	Reply Exempt = "reply"
)

// Args are the values that guard_args reads. The campaign may be nil. The error
// is ErrStore while the service secret is not known.
func (g *Guards) Args(c *campaigns.Campaign, n phone.Number, e Exempt) ([]any, error) {
	return g.appendArgs(make([]any, 0, ArgCount), c, n, e)
}

func (g *Guards) appendArgs(args []any, c *campaigns.Campaign, n phone.Number, e Exempt) ([]any, error) {
	secret := g.o.Secret()
	if secret == nil {
		return nil, storeError("guard a text", errNoSecret)
	}
	p := &g.o.Policy
	cooldown, id, perCaller, perDay := p.Cooldown, "", 0, 0
	if c != nil {
		id = c.ID
		if l := c.Limits; l != nil {
			setTo(&cooldown, l.Cooldown)
			setTo(&perCaller, l.PerCallerPerDay)
			setTo(&perDay, l.PerDay)
		}
	}
	return append(
		args,
		campaigns.Pseudonym(secret, n.E164), campaigns.Pseudonym(secret, prefix(n.E164)), id, string(e),
		cooldown.Milliseconds(), p.PerCallerPerDay, perCaller, perDay, p.PerPrefixPerHour, p.SegmentsPerDay, p.SurgeCalls,
	), nil
}

var errNoSecret = errors.New("the service secret is not known yet")

// setTo sets what a campaign says for itself.
func setTo[T, C ~int | ~int64](value *T, own *C) {
	if own != nil {
		*value = T(*own)
	}
}

// lineDigits is how many digits of a number a prefix lacks.
const lineDigits = 4

// prefix is a number less its last four digits. No number is written so: its
// pseudonym is nobody's.
func prefix(e164 string) string {
	return e164[:max(0, len(e164)-lineDigits)] + "…"
}
