package phone

import (
	"fmt"
	"slices"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Every plan that libphonenumber has can be made an automaton of: a release of
// it with patterns of another kind would be correct still, but slow.
func TestEveryPlanHasAnAutomaton(t *testing.T) {
	for code, build := range plans {
		if build != nil {
			require.NotNil(t, build(), "country calling code %d", code)
		}
	}
	for region, build := range diallings {
		require.NotNil(t, build(), "region %s", region)
	}
	_, err := newAutomaton([]string{`1$`})
	require.ErrorContains(t, err, "anchor")
	_, err = newAutomaton([]string{`(`})
	require.Error(t, err)
}

var regions = func() (list []string) {
	for r := range phonenumbers.GetSupportedRegions() {
		list = append(list, r)
	}
	slices.Sort(list)
	return list
}()

// written draws digits as a trunk may write them: numbers that exist, numbers
// that nearly do, and noise, with every prefix that is in use anywhere.
func written(t *rapid.T) (digits string, plus bool, region string) {
	region = rapid.SampledFrom(regions).Draw(t, "dialled in")
	owner := region
	if rapid.Bool().Draw(t, "foreign") {
		owner = rapid.SampledFrom(regions).Draw(t, "owner")
	}
	national := rapid.StringMatching(`[0-9]{1,13}`).Draw(t, "noise")
	kind := phonenumbers.PhoneNumberType(rapid.IntRange(0, 10).Draw(t, "type"))
	if example := phonenumbers.GetExampleNumberForType(owner, kind); example != nil && rapid.IntRange(0, 9).Draw(t, "real") > 0 {
		national = phonenumbers.GetNationalSignificantNumber(example)
	}
	// Other digits from some place on, and one digit more or fewer at times.
	keep := rapid.IntRange(0, len(national)).Draw(t, "keep")
	more := len(national) - keep + rapid.SampledFrom([]int{0, 0, 0, 0, -1, 1}).Draw(t, "length")
	national = national[:keep] + rapid.StringMatching(fmt.Sprintf(`[0-9]{%d}`, max(more, 0))).Draw(t, "tail")

	code := fmt.Sprint(phonenumbers.GetCountryCodeForRegion(owner))
	trunk := phonenumbers.GetNddPrefixForRegion(owner, true)
	prefix := rapid.SampledFrom([]string{"", trunk, code, code + trunk, "00" + code, "011" + code, "0", "1", "8", "9"}).Draw(t, "prefix")
	if rapid.Bool().Draw(t, "plus") {
		return code + rapid.SampledFrom([]string{"", "", "", trunk, "0", "9"}).Draw(t, "trunk") + national, true, region
	}
	return prefix + national, false, region
}

// What the automata say is what libphonenumber says.
func TestAgreesWithLibphonenumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits, plus, region := written(t)
		s := digits
		if plus {
			s = "+" + digits
		}
		if !Withheld(s) {
			want, wantErr := parseSlowly(digits, plus, region)
			got, err := Parse(s, region)
			require.Equal(t, wantErr, err, "Parse(%q, %s)", s, region)
			require.Equal(t, want, got, "Parse(%q, %s)", s, region)
		}
		if plus || len(digits) > shortDigits {
			want, wantErr := dnisSlowly(digits, plus, region)
			got, err := DNIS(s, region)
			require.Equal(t, wantErr, err, "DNIS(%q, %s)", s, region)
			require.Equal(t, want, got, "DNIS(%q, %s)", s, region)
			if err == nil {
				again, err := DNIS(got, region)
				require.NoError(t, err)
				require.Equal(t, got, again)
			}
		}
	})
}

// North America has one numbering plan for 25 regions: each area code is tried.
func TestAgreesOnEveryAreaCode(t *testing.T) {
	for area := range 1000 {
		s := fmt.Sprintf("+1%03d2345678", area)
		want, wantErr := parseSlowly(s[1:], true, "US")
		got, err := Parse(s, "US")
		require.Equal(t, wantErr, err, s)
		require.Equal(t, want, got, s)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, s string }{
		{"E.164", "+14155550132"},
		{"national", "4155550132"},
		{"SIP URI", "sip:+14155550132@example.com;user=phone"},
		{"international prefix", "011442079460958"},
		{"invalid", "+19995550132"},
		{"withheld", "anonymous"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Parse(c.s, "US")
			}
		})
	}
	b.Run("libphonenumber", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = parseSlowly("14155550132", true, "US")
		}
	})
}
