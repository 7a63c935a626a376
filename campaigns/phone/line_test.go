package phone

import (
	"fmt"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLineType(t *testing.T) {
	for number, want := range map[string]Line{
		"+14155550132":   Unknown, // North America does not tell
		"+18005550100":   Other,   // toll-free
		"+19005550100":   Other,   // premium rate
		"+15005550100":   Other,   // personal
		"+447911123456":  Mobile,
		"+442079460958":  Fixed,
		"+445600123456":  VoIP,
		"+447600123456":  Other, // pager
		"+448001234567":  Other, // toll-free
		"+4915123456789": Mobile,
		"+493012345678":  Fixed,
		"+491371234567":  Other, // shared cost
		"+33612345678":   Mobile,
		"+33123456789":   Fixed,
		"+33912345678":   VoIP,
		"+390612345678":  Fixed, // the zero belongs to it
		"+393123456789":  Mobile,
		"+5491123456789": Mobile,
		"+80012345678":   Other,

		"":              Unknown,
		"+":             Unknown,
		"100":           Unknown,
		"4155550132":    Unknown, // not in E.164
		"+19995550132":  Unknown, // nobody's
		"anonymous":     Unknown,
		"+999123456789": Unknown,
	} {
		require.Equal(t, want, LineType(Number{E164: number}), number)
	}
}

// What the automata say of a line is what libphonenumber says.
func TestLineTypesAgreeWithLibphonenumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits, plus, region := written(t)
		if plus {
			require.Equal(t, lineSlowly(digits), LineType(Number{E164: "+" + digits}), "+%s", digits)
			return
		}
		if n, err := Parse(digits, region); err == nil {
			require.Equal(t, lineSlowly(n.E164[1:]), LineType(n), n.E164)
		}
	})
	for area := range 1000 {
		digits := fmt.Sprintf("1%03d2345678", area)
		require.Equal(t, lineSlowly(digits), LineType(Number{E164: "+" + digits}), digits)
	}
}

// Each kind of number that libphonenumber has an example of, in every country.
func TestLineTypesOfAllExamples(t *testing.T) {
	seen := map[Line]int{}
	for _, region := range regions {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.UNKNOWN; kind++ {
			example := phonenumbers.GetExampleNumberForType(region, kind)
			if example == nil {
				continue
			}
			n := Number{E164: phonenumbers.Format(example, phonenumbers.E164), Region: region}
			line := LineType(n)
			require.Equal(t, lineSlowly(n.E164[1:]), line, "%s %v", region, n)
			seen[line]++
		}
	}
	for _, line := range []Line{Mobile, Fixed, VoIP, Unknown, Other} {
		require.NotZero(t, seen[line], line)
	}
}

func BenchmarkLineType(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = LineType(Number{E164: "+14155550132"})
	}
}
