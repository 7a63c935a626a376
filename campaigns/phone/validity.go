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
	lengths lengths // the match counts for numbers of these lengths
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
	for _, desc := range types(m) {
		v.pattern(desc, meaning{region: region, role: typed})
	}
	if v.leading[region] {
		v.patterns = append(v.patterns, "(?:"+m.GetLeadingDigits()+")[0-9]*")
		v.meanings = append(v.meanings, meaning{region: region, role: leading})
	}
}

// types are the descriptions that make a number valid (getNumberTypeHelper in
// libphonenumber).
func types(m *phonenumbers.PhoneMetadata) []*phonenumbers.PhoneNumberDesc {
	list := []*phonenumbers.PhoneNumberDesc{
		m.GetPremiumRate(), m.GetTollFree(), m.GetSharedCost(), m.GetVoip(), m.GetPersonalNumber(),
		m.GetPager(), m.GetUan(), m.GetVoicemail(), m.GetFixedLine(),
	}
	if !m.GetSameMobileAndFixedLinePattern() {
		list = append(list, m.GetMobile())
	}
	return list
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

// rows are the verdicts by state of the automaton; equal ones are shared.
func (v *validity) rows(a *automaton) []row {
	rows := make([]row, len(a.matched))
	known := make(map[[maxNational + 1]uint8]row)
	for state, matched := range a.matched {
		var r [maxNational + 1]uint8
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

// verdict is the region plus one that a number of n digits is valid in, or 0.
// The first region counts that has the number's leading digits, or, where a
// region is not known by these, that has the number.
func (v *validity) verdict(matched []int, n int) uint8 {
	roles := make([][3]bool, v.regions)
	for _, p := range matched {
		m := v.meanings[p]
		if m.role == leading || m.lengths.has(n) {
			roles[m.region][m.role] = true
		}
	}
	for region, r := range roles {
		valid := r[general] && r[typed]
		switch {
		case v.leading[region] && r[leading] && !valid:
			return 0
		case valid && (!v.leading[region] || r[leading]):
			return uint8(region + 1)
		}
	}
	return 0
}
