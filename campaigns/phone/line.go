package phone

import "github.com/nyaruka/phonenumbers"

// Line is the kind of line behind a number, as far as its numbering plan says.
type Line string

// The kinds of line.
const (
	Mobile Line = "mobile"
	Fixed  Line = "fixed"
	VoIP   Line = "voip"
	// Unknown is a line that may be mobile or fixed: North America, among
	// others, does not tell them apart.
	Unknown Line = "unknown"
	// Other is a line that no text is for: toll-free, premium rate and shared
	// cost numbers, personal numbers, pagers, company-wide numbers (UAN) and
	// voicemail.
	Other Line = "other"
)

// LineType is the kind of line behind a number in E.164. A number that nobody
// can have is Unknown.
func LineType(n Number) Line {
	var buf [maxInput]byte
	digits, plus, ok := clean(&buf, n.E164)
	if !ok || !plus {
		return Unknown
	}
	p, national, how := readInternational(digits)
	switch how {
	case plain:
		return p.look(national).types.line()
	case unusual:
		return lineSlowly(string(digits))
	default:
		return Unknown
	}
}

// lineSlowly is LineType by libphonenumber itself.
func lineSlowly(digits string) Line {
	n, err := libphonenumber(digits, true, "")
	if err != nil {
		return Unknown
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE:
		return Mobile
	case phonenumbers.FIXED_LINE:
		return Fixed
	case phonenumbers.VOIP:
		return VoIP
	case phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.UNKNOWN:
		return Unknown
	default:
		return Other
	}
}
