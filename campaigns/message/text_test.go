package message

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/warthog618/sms"
	"github.com/warthog618/sms/encoding/tpdu"
	"pgregory.net/rapid"

	"deflectd/campaigns"
)

func TestMeasure(t *testing.T) {
	for text, want := range map[string]struct {
		encoding string
		segments int
	}{
		"":                              {GSM7, 0},
		"hello":                         {GSM7, 1},
		strings.Repeat("a", 160):        {GSM7, 1},
		strings.Repeat("a", 161):        {GSM7, 2},
		strings.Repeat("a", 306):        {GSM7, 2},
		strings.Repeat("a", 307):        {GSM7, 3},
		strings.Repeat("€", 80):         {GSM7, 1}, // each counts twice
		strings.Repeat("€", 81):         {GSM7, 2},
		"[{~}]^|\\":                     {GSM7, 1},
		"it’s":                          {UCS2, 1}, // a curly quote turns all of it
		strings.Repeat("ч", 70):         {UCS2, 1},
		strings.Repeat("ч", 71):         {UCS2, 2},
		strings.Repeat("ч", 134):        {UCS2, 2},
		strings.Repeat("ч", 135):        {UCS2, 3},
		strings.Repeat("😀", 35):         {UCS2, 1}, // two units each
		strings.Repeat("😀", 36):         {UCS2, 2},
		"a" + strings.Repeat("€", 80):   {GSM7, 2},
		strings.Repeat("a", 159) + "ÄÖ": {GSM7, 2},
	} {
		encoding, segments := Measure(text)
		assert.Equal(t, want.encoding, encoding, text)
		assert.Equal(t, want.segments, segments, text)
	}
}

// The count agrees with one made by hand: an escaped character is not split
// between segments, nor is a surrogate pair.
func TestMeasureAgreesWithACountByHand(t *testing.T) {
	letters := []rune("aB9 @£$èé_ΔΦäöñüà€[]{}^~|\\")
	rapid.Check(t, func(rt *rapid.T) {
		text := string(rapid.SliceOfN(rapid.SampledFrom(letters), 1, 700).Draw(rt, "gsm"))
		widths := []int{}
		for _, r := range text {
			if strings.ContainsRune("€[]{}^~|\\", r) {
				widths = append(widths, 2)
			} else {
				widths = append(widths, 1)
			}
		}
		encoding, segments := Measure(text)
		assert.Equal(rt, GSM7, encoding)
		assert.Equal(rt, pack(widths, 160, 153), segments)

		text += string(rapid.SliceOfN(rapid.SampledFrom([]rune("ч’😀漢")), 1, 200).Draw(rt, "others"))
		widths = widths[:0]
		for _, r := range text {
			widths = append(widths, utf16.RuneLen(r))
		}
		encoding, segments = Measure(text)
		assert.Equal(rt, UCS2, encoding)
		assert.Equal(rt, pack(widths, 70, 67), segments)
	})
}

func pack(widths []int, one, many int) int {
	total := 0
	for _, w := range widths {
		total += w
	}
	if total <= one {
		return 1
	}
	segments, used := 1, 0
	for _, w := range widths {
		if used+w > many {
			segments, used = segments+1, 0
		}
		used += w
	}
	return segments
}

func FuzzMeasure(f *testing.F) {
	for _, s := range []string{"", "a", "€", "it’s", "\xff", "😀", "\x1b", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, segments := Measure(s); (segments == 0) != (s == "") {
			t.Fatalf("%q takes %d segments", s, segments)
		}
	})
}

// The count is the one of the library that makes the PDUs of a telephone.
func TestMeasureAgreesWithPDUs(t *testing.T) {
	letters := []rune("aB9 @£$èé_ΔΦäöñüà€[]{}^~|\\\n\f\r’“…–êçč\u00a0\u200bч漢😀✓")
	common := letters[:30]
	check := func(t assert.TestingT, text string) {
		encoding, n := Measure(text)
		pdus, err := sms.Encode([]byte(text))
		if !assert.NoError(t, err) || !assert.Len(t, pdus, n, "%q", text) || n == 0 {
			return
		}
		alphabet, err := pdus[0].DCS.Alphabet()
		assert.NoError(t, err)
		assert.Equal(t, alphabet == tpdu.Alpha7Bit, encoding == GSM7, "%q", text)
	}
	rapid.Check(t, func(rt *rapid.T) {
		check(rt, string(rapid.SliceOfN(rapid.SampledFrom(common), 1, 700).Draw(rt, "text")))
		check(rt, string(rapid.SliceOfN(rapid.SampledFrom(letters), 1, 700).Draw(rt, "text")))
	})
	for r := range rune(0x3000) {
		if utf8.ValidRune(r) {
			check(t, string(r))
		}
	}
}

func TestCompose(t *testing.T) {
	c := &campaigns.Campaign{
		Text: "{name}: {link} {lang} {link} {other}",
		Interaction: campaigns.Interaction{Params: map[string]string{
			"name": "{lang} {link}", "lang": "en", "link": "no link",
		}},
	}
	assert.Equal(t, "{lang} {link}: L en L {other}", Compose(c, "L", nil), "what was put in is not looked at again")
	assert.Equal(t, "Ann: L  L {other}", Compose(c, "L", map[string]string{
		"name": "Ann", "lang": "", "link": "nor here", "other": "not the campaign's",
	}))
	assert.Equal(t, "en", c.Interaction.Params["lang"])
}
