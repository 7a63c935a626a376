package inbound

import (
	"strings"

	"deflectd/campaigns/phone"
)

// The shortest international number has more digits than the longest short code.
const maxShortCode = 6

// number reads who sent a text. It answers false for what is no number that
// could be texted: a name, a short code, nothing. Providers write international
// numbers without "+": what can be read as one is one.
func (i *Inbox) number(s string) (phone.Number, bool) {
	s = strings.TrimSpace(s)
	if isDigits(s) && len(s) > maxShortCode {
		if n, err := phone.Parse("+"+s, i.o.Region); err == nil {
			return n, true
		}
	}
	n, err := phone.Parse(s, i.o.Region)
	return n, err == nil
}

// sender is what a reply comes from: what was texted, or the service's own sender
// where that cannot be told; "" where there is none.
func (i *Inbox) sender(texted string, to phone.Number) string {
	if o := i.originator(texted); o != "" || i.o.Originator == nil {
		return o
	}
	return i.o.Originator(to)
}

// originator is the number or short code that was texted; "" where that cannot
// be told.
func (i *Inbox) originator(to string) string {
	if n, ok := i.number(to); ok {
		return n.E164
	}
	if to = strings.TrimSpace(to); isDigits(to) && len(to) <= maxShortCode {
		return to
	}
	return ""
}

// isDigits says whether s is digits and nothing else.
func isDigits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
