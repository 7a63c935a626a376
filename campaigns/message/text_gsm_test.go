package message

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestReplacements(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"Zürich: 5 €":                     "Zürich: 5 €", // all of it is there
		"it’s “fine” – really…":           `it's "fine" - really...`,
		"ê á ç č ł ø ß œ ı Đ":             "e a c c l ø ß oe i D",
		"Őrült ÀÁÂÃ":                      "Orült AAAA",
		"e\u0301 e\u0302 n\u0303 x\u0302": "é e ñ x", // accents that stand by themselves
		"a\u00a0b\u202fc\td":              "a b c d",
		"soft\u00adhyphen\u200b\ufeff":    "softhyphen",
		"a\u2028b":                        "a\nb",
		"• one":                           "- one",
		"½ ﬁne ™ ２":                       "1/2 fine TM 2",
		"№ 1, 20 ℃":                       "No 1, 20  degC",
		"ΑΘΗΝΑ":                           "AΘHNA",
		"Ω":                               "Ω", // the sign of the unit
		"привет 😀 漢 हिन्दी": "привет 😀 漢 हिन्दी", // nothing reads alike
		"й":    "й",
		"\xff": "\xff",
	} {
		assert.Equal(t, want, replaced(text), "%q", text)
	}
	for r, words := range replacements {
		assert.Zero(t, gsm7Width(r), "%q is in the alphabet", r)
		assert.True(t, inGSM7(words), "%q is not in the alphabet", words)
	}
}

// Nothing is lost of a text, and nothing that could be sent as it is is touched.
func TestReplacementProperties(t *testing.T) {
	piece := rapid.SampledFrom(strings.Split("a é € ê ’ … ç \u0301 \u0302 \u200b \u00a0 ч й 漢 😀 한 \u1112 ि \xff \n", " "))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.OneOf(piece, rapid.String())).Draw(t, "text"), "")
		assert.Equal(t, text, strings.Join(collect(text), ""))
		once := replaced(text)
		assert.Equal(t, once, replaced(once))
		if inGSM7(text) {
			assert.Equal(t, text, once)
		}
		if advice := advise(text); inGSM7(text) {
			assert.Empty(t, advice)
		} else {
			assert.NotEmpty(t, advice)
		}
		if utf8.ValidString(text) {
			assert.True(t, utf8.ValidString(advise(text)))
		}
	})
}

func collect(text string) (pieces []string) {
	for piece := range characters(text) {
		pieces = append(pieces, piece)
	}
	return pieces
}
