package phone

import "strings"

// maxInput bounds what is looked at: the longest number has 15 digits, an
// international prefix a few more, and the rest is punctuation or hostile.
const maxInput = 64

// clean takes the digits out of s: it drops the scheme, host and parameters of
// a SIP or tel URI and the usual visual separators. It is false for anything
// that is not written like a number.
func clean(buf *[maxInput]byte, s string) (digits []byte, plus, ok bool) {
	if len(s) > maxInput {
		return nil, false, false
	}
	digits = buf[:0]
	for _, c := range []byte(user(s)) {
		switch {
		case c >= '0' && c <= '9':
			digits = append(digits, c)
		case c == '+' && !plus && len(digits) == 0:
			plus = true
		case strings.IndexByte(" -.()/", c) >= 0:
		default:
			return nil, false, false
		}
	}
	return digits, plus, true
}

// user is the user part of a SIP URI (RFC 3261, 19.1.1) or the number of a tel
// URI (RFC 3966); anything else is left as it is, less surrounding spaces.
func user(s string) string {
	s = strings.TrimSpace(s)
	for _, scheme := range [...]string{"sip:", "sips:", "tel:"} {
		if len(s) >= len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			s = s[len(scheme):]
			break
		}
	}
	if i := strings.IndexByte(s, '@'); i >= 0 {
		s = s[:i]
	}
	if i := strings.IndexByte(s, ';'); i >= 0 {
		s = s[:i]
	}
	return s
}

// withheld are the words that trunks and telephones put where a number should
// be. RFC 3323 (4.1.1.3) asks for "anonymous"; the others are custom.
var withheld = [...]string{
	"anonymous", "unavailable", "restricted", "unknown", "private", "withheld", "blocked",
}

// Withheld tells whether s says that the caller does not show a number:
// nothing at all, one of the usual words, nothing but zeros, or ANONYMOUS as
// spelled on a keypad (266696687).
func Withheld(s string) bool {
	if len(s) > maxInput {
		return false
	}
	s = strings.TrimPrefix(user(s), "+")
	if s == "" || s[0] == '0' || s[0] == '2' {
		return s == "266696687" || strings.Trim(s, "0") == ""
	}
	for _, w := range withheld {
		if strings.EqualFold(s, w) {
			return true
		}
	}
	return false
}
