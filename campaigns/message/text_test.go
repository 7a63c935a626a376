package message

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
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

func TestCompose(t *testing.T) {
	c := &campaigns.Campaign{Text: "a {link} b {link}"}
	assert.Equal(t, "a L b L", Compose(c, "L"))
}

func TestForecast(t *testing.T) {
	o := &Outbox{opts: Options{PublicURL: "https://t.example"}}
	f := o.Forecast(&campaigns.Campaign{Text: "go to {link}"})
	assert.Equal(t, Forecast{Text: "go to https://t.example/xxxxxxxxxxx", Link: "https://t.example/xxxxxxxxxxx", Encoding: GSM7, Segments: 1, Warnings: []string{}}, f)

	f = o.Forecast(&campaigns.Campaign{Text: strings.Repeat("it’s ", 20)})
	assert.Equal(t, UCS2, f.Encoding)
	assert.Equal(t, 2, f.Segments)
	assert.Len(t, f.Warnings, 2)
	assert.Contains(t, f.Warnings[0], "no {link}")
	assert.Contains(t, f.Warnings[1], "’ cannot be written in the GSM 7-bit alphabet: the text takes 2 instead of 1 segments")

	f = o.Forecast(&campaigns.Campaign{Text: "{link}" + strings.Repeat("x", 2000)})
	assert.Contains(t, f.Warnings[0], "at most 9 segments")
}
