package phone

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		s, region string
		want      Number
		err       error
	}{
		{"+14155550132", "US", Number{"+14155550132", "US"}, nil},
		{"+14155550132", "GB", Number{"+14155550132", "US"}, nil},
		{"+14155550132", "", Number{"+14155550132", "US"}, nil},
		{"4155550132", "US", Number{"+14155550132", "US"}, nil},
		{"14155550132", "US", Number{"+14155550132", "US"}, nil},
		{"01114155550132", "US", Number{"+14155550132", "US"}, nil},
		{"+1 (415) 555-0132", "US", Number{"+14155550132", "US"}, nil},
		{"tel:+1-415-555-0132", "US", Number{"+14155550132", "US"}, nil},
		{"sip:+14155550132@example.com;user=phone", "US", Number{"+14155550132", "US"}, nil},
		{"SIPS:+14155550132;cpc=ordinary@example.com", "US", Number{"+14155550132", "US"}, nil},
		{"+16044010132", "US", Number{"+16044010132", "CA"}, nil},
		{"+12425550132", "US", Number{}, ErrInvalid}, // the Bahamas have no 555
		{"+12423250132", "US", Number{"+12423250132", "BS"}, nil},
		{"02079460958", "GB", Number{"+442079460958", "GB"}, nil},
		{"+4402079460958", "US", Number{"+442079460958", "GB"}, nil},
		{"00442079460958", "DE", Number{"+442079460958", "GB"}, nil},
		{"442079460958", "GB", Number{"+442079460958", "GB"}, nil},
		{"+393123456789", "US", Number{"+393123456789", "IT"}, nil},
		{"+390236618300", "US", Number{"+390236618300", "IT"}, nil}, // keeps its zero
		{"+5491123456789", "US", Number{"+5491123456789", "AR"}, nil},
		{"+80012345678", "US", Number{"+80012345678", ""}, nil}, // no country
		{"+77012345678", "US", Number{"+77012345678", "KZ"}, nil},

		{"", "US", Number{}, ErrWithheld},
		{"Anonymous", "US", Number{}, ErrWithheld},
		{"sip:anonymous@anonymous.invalid", "US", Number{}, ErrWithheld},
		{"+266696687", "US", Number{}, ErrWithheld},
		{"0000000000", "US", Number{}, ErrWithheld},

		{"4155550132", "", Number{}, ErrInvalid}, // dialled where?
		{"4155550132", "XX", Number{}, ErrInvalid},
		{"+", "US", Number{}, ErrWithheld},
		{"911", "US", Number{}, ErrInvalid},
		{"5550132", "US", Number{}, ErrInvalid},
		{"+1999", "US", Number{}, ErrInvalid},
		{"+999123456789", "US", Number{}, ErrInvalid},
		{"+0123456789", "US", Number{}, ErrInvalid},
		{"1800FLOWERS", "US", Number{}, ErrInvalid}, // no caller's number has letters
		// What is left of a SIP user when a dialplan has dropped its punctuation.
		{"user19075550121", "US", Number{}, ErrInvalid},
		{"19075550121x5", "US", Number{}, ErrInvalid},
		{"tel19075550121", "US", Number{}, ErrInvalid},
		{"sip+19075550121", "US", Number{}, ErrInvalid},
		{"+1907555O121", "US", Number{}, ErrInvalid}, // a letter for a digit
		{"anonymous1", "US", Number{}, ErrInvalid},
		{"++14155550132", "US", Number{}, ErrInvalid},
		{"+1415+5550132", "US", Number{}, ErrInvalid},
		{"+14155550132,dnis=+18005550100", "US", Number{}, ErrInvalid},
		{"+1415555\x000132", "US", Number{}, ErrInvalid},
		{"+1415555\n0132", "US", Number{}, ErrInvalid},
		{"+١٤١٥٥٥٥٠١٣٢", "US", Number{}, ErrInvalid},
		{"＋１４１５５５５０１３２", "US", Number{}, ErrInvalid},
		{"\xff\xfe", "US", Number{}, ErrInvalid},
		{strings.Repeat("1", 200), "US", Number{}, ErrInvalid},
		{"+" + strings.Repeat("4", 60), "US", Number{}, ErrInvalid},
	} {
		got, err := Parse(c.s, c.region)
		require.ErrorIs(t, err, c.err, "%q in %q", c.s, c.region)
		require.Equal(t, c.want, got, "%q in %q", c.s, c.region)
	}
}

func TestWithheld(t *testing.T) {
	for _, s := range []string{
		"", " ", "+", "anonymous", "ANONYMOUS", "Unavailable", "restricted", "unknown", "private", "withheld",
		"blocked", "0", "0000000000", "+0000", "266696687", "+266696687",
		"sip:anonymous@anonymous.invalid", "sip:anonymous@example.com;tag=1", "anonymous@example.com",
	} {
		require.True(t, Withheld(s), "%q", s)
	}
	for _, s := range []string{
		"+14155550132", "4155550132", "100", "+2666966870", "anonymous caller", "nobody", strings.Repeat("0", 200),
	} {
		require.False(t, Withheld(s), "%q", s)
	}
}

func TestDNIS(t *testing.T) {
	for _, c := range []struct{ s, region, want string }{
		{"+18005550100", "US", "+18005550100"},
		{"18005550100", "US", "+18005550100"},
		{"8005550100", "US", "+18005550100"},
		{"01118005550100", "US", "+18005550100"},
		{"+1 800 555 0100", "US", "+18005550100"},
		{"0018005550100", "DE", "+18005550100"},
		{"02079460958", "GB", "+442079460958"},
		{"+4402079460958", "GB", "+442079460958"},
		{"+11115550100", "US", "+11115550100"}, // no number anybody has, but a trunk may deliver it
		{"1234567", "US", "1234567"},
		{"12-34", "US", "1234"},
		{"0", "US", "0"},
		{"112", "", "112"},

		{"", "US", ""},
		{"s", "US", ""},
		{"+1234567", "US", ""},
		{"+999123456789", "US", ""},
		{"12345678", "US", ""},
		{"8005550100", "", ""},
		{strings.Repeat("9", 200), "US", ""},
	} {
		got, err := DNIS(c.s, c.region)
		if c.want == "" {
			require.ErrorIs(t, err, ErrInvalid, "%q in %q", c.s, c.region)
		} else {
			require.NoError(t, err, "%q in %q", c.s, c.region)
		}
		require.Equal(t, c.want, got, "%q in %q", c.s, c.region)
	}
}

func TestSpellings(t *testing.T) {
	for _, c := range []struct {
		dnis, region string
		want         []string
	}{
		{"+18005550100", "US", []string{"0018005550100", "01118005550100", "18005550100", "8005550100"}},
		{"+442079460958", "GB", []string{"00442079460958", "02079460958", "2079460958", "442079460958"}},
		{"+18005550100", "", []string{"0018005550100", "18005550100"}},
		// 18005550100 would be a number in Berlin's country, 0018005550100 is not.
		{"+18005550100", "DE", []string{"0018005550100"}},
		{"1234", "US", nil},
		{"+1800*", "US", nil},
		{"*", "US", nil},
		{"", "US", nil},
	} {
		require.Equal(t, c.want, Spellings(c.dnis, c.region), "%q in %q", c.dnis, c.region)
	}
}

var e164Form = regexp.MustCompile(`^\+[1-9][0-9]{5,18}$`)

// Whatever arrives, the answer is a number in E.164 or an error, and what was
// made canonical stays as it is.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "+", "+14155550132", "4155550132", "01144 20 7946 0958", "tel:+1-415-555-0132;ext=9", "anonymous",
		"sip:\"Bob\" <sip:+1415@example.com>", "0,dnis=+18005550100,ani=1", "+1\x00", "\xff\xff", "＋１",
		strings.Repeat("+", 100), strings.Repeat("9", 200), "sip:", "tel:@;", "+39012345678", "+5491123456789", "()-./ ",
	} {
		for _, region := range []string{"US", "BR", "", "ZZ", "us\x00"} {
			f.Add(s, region)
		}
	}
	f.Fuzz(func(t *testing.T, s, region string) {
		n, err := Parse(s, region)
		if err == nil {
			require.Regexp(t, e164Form, n.E164)
			again, err := Parse(n.E164, region)
			require.NoError(t, err)
			require.Equal(t, n, again)
			require.False(t, Withheld(s))
			require.Contains(t, []Line{Mobile, Fixed, VoIP, Unknown, Other}, LineType(n))
		} else {
			require.Zero(t, n)
		}
		if dnis, err := DNIS(s, region); err == nil {
			again, err := DNIS(dnis, region)
			require.NoError(t, err)
			require.Equal(t, dnis, again)
			for _, spelling := range Spellings(dnis, region) {
				if other, err := DNIS(spelling, region); err == nil {
					require.Equal(t, dnis, other)
				}
			}
		}
	})
}
