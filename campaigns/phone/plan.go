package phone

import (
	"math/bits"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// maxNational is how many digits a national number may have for libphonenumber,
// which knows some that are longer than E.164 allows.
const maxNational = 17

// lengths is a set of numbers of digits: bit n stands for n.
type lengths uint32

func (l lengths) has(n int) bool { return n <= maxNational && l>>n&1 != 0 }

func lengthsOf(list []int32) (l lengths) {
	for _, n := range list {
		if n > 0 && n <= maxNational { // -1 stands for "no such numbers"
			l |= 1 << n
		}
	}
	return l
}

// plan is the numbering plan of one country calling code: what libphonenumber
// knows about it, made quick to ask.
type plan struct {
	code     string // country calling code
	regions  []string
	trunk    *automaton // what libphonenumber may take off a national number
	possible lengths    // of a national number
	numbers  *automaton
	rows     []row // by state of numbers
}

// row is what is known of a national number, by the length of the number.
type row *[maxNational + 1]verdict

// look is what is known of a national number.
func (p *plan) look(national []byte) verdict {
	if len(national) > maxNational {
		return verdict{}
	}
	return p.rows[p.numbers.read(national)][len(national)]
}

// region is the region of a valid national number.
func (p *plan) region(national []byte) (string, bool) {
	v := p.look(national)
	if v.region == 0 {
		return "", false
	}
	return country(p.regions[v.region-1]), true
}

// dialling is how a number without "+" is read in one region.
type dialling struct {
	plan    *plan
	general *automaton // what looks like a national number
	trunk   affix      // what may stand before one ("0")
	idd     affix      // what stands before an international number ("00", "011")
	lengths lengths    // of a national number
}

// affix is what may stand before a number and be taken off.
type affix struct {
	pattern *automaton
	sure    bool   // nothing but the length of what matches decides how much that is
	usual   string // digits that people put there; may be empty
}

// length is how many digits of a number are to be taken off, which may be none.
// It is false where that takes more than the pattern to know.
func (a *affix) length(digits []byte) (n int, ok bool) {
	state := uint16(start)
	for i, d := range digits {
		state = a.pattern.step(state, d)
		if len(a.pattern.matched[state]) == 0 {
			continue
		}
		if n != 0 || !a.sure {
			return 0, false
		}
		n = i + 1
	}
	return n, true
}

// looks tells whether digits look like a national number.
func (d *dialling) looks(digits []byte) bool {
	return len(d.general.matched[d.general.read(digits)]) > 0
}

// longer tells whether a number of n digits is longer than any of the region.
func (d *dialling) longer(n int) bool {
	return n >= bits.Len32(uint32(d.lengths))
}

// A plan is built when it is first needed, in some milliseconds (the one of
// country calling code 1, with 25 regions, in 60): a trunk shows few of them.
var (
	plans     [1000]func() *plan // by country calling code; nil where there is none
	diallings = map[string]func() *dialling{}
)

func init() {
	for code := range phonenumbers.GetSupportedCallingCodes() {
		plans[code] = sync.OnceValue(func() *plan { return newPlan(code) })
	}
	for region := range phonenumbers.GetSupportedRegions() {
		diallings[region] = sync.OnceValue(func() *dialling { return newDialling(region) })
	}
}

// metadata is libphonenumber's, by region or, for what belongs to no region, by
// country calling code.
var metadata = sync.OnceValue(func() map[string]*phonenumbers.PhoneMetadata {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return nil
	}
	m := make(map[string]*phonenumbers.PhoneMetadata)
	for _, one := range all.GetMetadata() {
		m[metadataKey(one.GetId(), int(one.GetCountryCode()))] = one
	}
	return m
})

func metadataKey(region string, code int) string {
	if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
		return strconv.Itoa(code)
	}
	return region
}

// newPlan is nil where the metadata hold what an automaton cannot.
func newPlan(code int) *plan {
	p := &plan{code: strconv.Itoa(code), regions: phonenumbers.GetRegionCodesForCountryCode(code)}
	main := metadata()[metadataKey(p.regions[0], code)]
	general := main.GetGeneralDesc()
	p.possible = lengthsOf(general.GetPossibleLength())
	var err error
	if p.trunk, err = prefixes(main.GetNationalPrefixForParsing()); err != nil {
		return nil
	}
	var v validity
	for i, region := range p.regions {
		v.add(metadata()[metadataKey(region, code)], i, len(p.regions) > 1)
	}
	if p.numbers, err = newAutomaton(v.patterns); err != nil {
		return nil
	}
	p.rows = v.rows(p.numbers)
	return p
}

// newDialling is nil where the metadata hold what an automaton cannot.
func newDialling(region string) *dialling {
	m := metadata()[region]
	p := plans[m.GetCountryCode()]()
	if p == nil {
		return nil
	}
	d := &dialling{plan: p, lengths: lengthsOf(m.GetGeneralDesc().GetPossibleLength())}
	var err error
	if d.general, err = newAutomaton([]string{m.GetGeneralDesc().GetNationalNumberPattern()}); err != nil {
		return nil
	}
	if d.trunk, err = newAffix(m.GetNationalPrefixForParsing(), m.GetNationalPrefix()); err != nil {
		return nil
	}
	if m.GetNationalPrefixTransformRule() != "" {
		d.trunk.sure = false
	}
	if d.idd, err = newAffix(m.GetInternationalPrefix(), m.GetInternationalPrefix()); err != nil {
		return nil
	}
	return d
}

func newAffix(pattern, usual string) (a affix, err error) {
	a.pattern, err = prefixes(pattern)
	a.sure = !strings.Contains(pattern, "$")
	if strings.Trim(usual, "0123456789") == "" {
		a.usual = usual
	}
	return a, err
}

// prefixes is the automaton of what may be taken off a number. It may say yes
// where libphonenumber says no ("$" is passed over): whoever hears yes asks
// libphonenumber.
func prefixes(pattern string) (*automaton, error) {
	return newAutomaton([]string{strings.ReplaceAll(pattern, "$", "")})
}

// planOf finds the plan of an international number, and its national number.
func planOf(digits []byte) (p *plan, national []byte) {
	code := 0
	for i := 0; i < 3 && i < len(digits); i++ {
		code = code*10 + int(digits[i]-'0')
		if code == 0 {
			return nil, nil
		}
		if build := plans[code]; build != nil {
			return build(), digits[i+1:]
		}
	}
	return nil, nil
}
