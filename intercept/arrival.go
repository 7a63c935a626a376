package intercept

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Arrival is what the switch says of a call that entered the application.
// Every text in it comes from outside and may be hostile.
type Arrival struct {
	// Channel is the channel's id, Node the configured name of its Asterisk.
	Channel, Node string
	// Args are the arguments of Stasis() as the dialplan wrote them: key=value
	// for any of dnis, ani, pres and rdnis.
	Args []string
	// Extension, CallerNumber and RDNIS are the channel's own; they stand in
	// for arguments that are not there.
	Extension, CallerNumber, RDNIS string
	// Presentation is what CALLERID(num-pres) holds, where that is known; it
	// stands in for the argument pres.
	Presentation string
	// Created is when the switch made the channel.
	Created time.Time
	// Stopping says of an orphan that nothing had failed: it was let go because
	// the daemon was being stopped.
	Stopping bool
}

// identity is who calls whom, as it was given: raw, never trusted.
type identity struct {
	dnis, ani string
	// rdnis is the number that forwarded the call; empty when none did.
	rdnis string
	// presentation is what CALLERID(num-pres) holds, when presented is true.
	presentation string
	presented    bool
}

// identity reads the arguments. The first of a key counts: what a caller
// smuggles in behind it, through a dialplan that does not filter, does not. A
// key that is given and empty is an answer (nobody forwarded the call, the
// number is withheld), except for the presentation, which always has a value.
func (a *Arrival) identity() identity {
	id := identity{dnis: a.Extension, ani: a.CallerNumber, rdnis: a.RDNIS}
	var dnis, ani, rdnis bool
	for _, arg := range a.Args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			continue
		}
		switch {
		case key == "dnis" && !dnis:
			id.dnis, dnis = value, true
		case key == "ani" && !ani:
			id.ani, ani = value, true
		case key == "rdnis" && !rdnis:
			id.rdnis, rdnis = value, true
		case key == "pres" && !id.presented && value != "":
			id.presentation, id.presented = value, true
		}
	}
	if !id.presented && a.Presentation != "" {
		id.presentation, id.presented = a.Presentation, true
	}
	return id
}

// presentationVariable is where Asterisk keeps whether the caller's number may
// be shown; the event of an arriving call does not carry it.
const presentationVariable = "CALLERID(num-pres)"

// prohibited tells whether a presentation forbids using the caller's number.
// Asterisk's values are allowed…, prohib… and unavailable (names of
// AST_PRES_*, main/callerid.c).
func prohibited(presentation string) bool {
	return hasPrefixFold(presentation, "prohib") || hasPrefixFold(presentation, "unavailable")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// longestShown is how many bytes of a text from outside go into a record: more
// than any number has, less than what would hurt.
const longestShown = 64

// shown makes a text from outside fit for a record: valid, printable and of a
// bounded length. It is for reading only; decisions are made on the original.
func shown(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if b.Len()+utf8.RuneLen('…')+utf8.UTFMax > longestShown {
			b.WriteRune('…')
			break
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain tells whether s is short printable ASCII, as nearly every number is.
func plain(s string) bool {
	if len(s) > longestShown {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
