package phone

import "github.com/nyaruka/phonenumbers"

// validity gathers the patterns of the regions of one country calling code, in
// libphonenumber's order, and what a match of each means.
type validity struct {
	patterns []string
	meanings []meaning // by pattern
	regions  int
	leading  []bool // by region: is chosen by its leading digits
}

type meaning struct {
	region  int
	role    role
	types   numberTypes // where the role is typed
	lengths lengths     // the match counts for numbers of these lengths
}

type role uint8

const (
	general role = iota // what all numbers of a region look like
	typed               // what the numbers of one type look like
	leading             // how the numbers of a region begin
)

func (v *validity) add(m *phonenumbers.PhoneMetadata, region int, several bool) {
	v.regions++
	v.leading = append(v.leading, several && m.GetLeadingDigits() != "")
	v.pattern(m.GetGeneralDesc(), meaning{region: region, role: general})
	for _, t := range typesOf(m) {
		v.pattern(t.desc, meaning{region: region, role: typed, types: t.types})
	}
	if v.leading[region] {
		v.patterns = append(v.patterns, "(?:"+m.GetLeadingDigits()+")[0-9]*")
		v.meanings = append(v.meanings, meaning{region: region, role: leading})
	}
}

// numberTypes is a set of libphonenumber's types of numbers. Where a number
// matches several, the lowest counts (getNumberTypeHelper in libphonenumber).
type numberTypes uint16

const (
	premiumRate numberTypes = 1 << iota
	tollFree
	sharedCost
	voip
	personal
	pager
	uan
	voicemail
	fixedLine
	mobileLine
)

// line is the kind of line that the types make together.
func (t numberTypes) line() Line {
	switch t & -t {
	case fixedLine:
		if t&mobileLine != 0 {
			return Unknown
		}
		return Fixed
	case mobileLine:
		return Mobile
	case voip:
		return VoIP
	case 0:
		return Unknown
	default:
		return Other
	}
}

// typeDesc is what the numbers of some types look like.
type typeDesc struct {
	types numberTypes
	desc  *phonenumbers.PhoneNumberDesc
}

// typesOf are the descriptions that make a number valid.
func typesOf(m *phonenumbers.PhoneMetadata) []typeDesc {
	list := []typeDesc{
		{premiumRate, m.GetPremiumRate()},
		{tollFree, m.GetTollFree()},
		{sharedCost, m.GetSharedCost()},
		{voip, m.GetVoip()},
		{personal, m.GetPersonalNumber()},
		{pager, m.GetPager()},
		{uan, m.GetUan()},
		{voicemail, m.GetVoicemail()},
	}
	if m.GetSameMobileAndFixedLinePattern() {
		return append(list, typeDesc{fixedLine | mobileLine, m.GetFixedLine()})
	}
	return append(list, typeDesc{fixedLine, m.GetFixedLine()}, typeDesc{mobileLine, m.GetMobile()})
}

func (v *validity) pattern(desc *phonenumbers.PhoneNumberDesc, m meaning) {
	if desc.GetNationalNumberPattern() == "" {
		return
	}
	m.lengths = lengthsOf(desc.GetPossibleLength())
	if len(desc.GetPossibleLength()) == 0 {
		m.lengths = ^lengths(0)
	}
	v.patterns = append(v.patterns, desc.GetNationalNumberPattern())
	v.meanings = append(v.meanings, m)
}

// verdict is what is known of a national number.
type verdict struct {
	region uint8 // its place in the plan's regions plus one; 0 where the number is not valid
	types  numberTypes
}

// rows are the verdicts by state of the automaton; equal ones are shared.
func (v *validity) rows(a *automaton) []row {
	rows := make([]row, len(a.matched))
	known := make(map[[maxNational + 1]verdict]row)
	for state, matched := range a.matched {
		var r [maxNational + 1]verdict
		for n := range r {
			r[n] = v.verdict(matched, n)
		}
		if known[r] == nil {
			known[r] = &r
		}
		rows[state] = known[r]
	}
	return rows
}

// matches is what of one region's patterns a number matches.
type matches struct {
	general, leading bool
	types            numberTypes
}

// verdict is what is known of a number of n digits that matches some patterns.
// The first region counts that has the number's leading digits, or, where a
// region is not known by these, that has the number.
func (v *validity) verdict(matched []int, n int) verdict {
	regions := make([]matches, v.regions)
	for _, p := range matched {
		m := v.meanings[p]
		r := &regions[m.region]
		switch {
		case m.role == leading:
			r.leading = true
		case !m.lengths.has(n):
		case m.role == typed:
			r.types |= m.types
		default:
			r.general = true
		}
	}
	for region, r := range regions {
		valid := r.general && r.types != 0
		switch {
		case v.leading[region] && r.leading && !valid:
			return verdict{}
		case valid && (!v.leading[region] || r.leading):
			return verdict{region: uint8(region + 1), types: r.types}
		}
	}
	return verdict{}
}
