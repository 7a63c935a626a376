package message

import (
	"strings"
	"unicode/utf16"

	"github.com/warthog618/sms/encoding/gsm7/charset"
	"golang.org/x/text/unicode/norm"
)

// How much one segment holds when it is the only one, and when it is one of
// several: 3GPP TS 23.040, 9.2.3.24.1.
const (
	gsm7Alone, gsm7Part = 160, 153 // septets
	ucs2Alone, ucs2Part = 70, 67   // UTF-16 code units
)

// gsm7Septets is how many septets a character takes in the GSM 7-bit default
// alphabet (3GPP TS 23.038, 6.2.1): one, two in its extension table, or 0 where
// it is not there. The euro sign is the last that is.
var gsm7Septets = func() (septets ['€' + 1]uint8) {
	for r := range charset.DefaultEncoder() {
		septets[r] = 1
	}
	for r := range charset.DefaultExtEncoder() {
		septets[r] = 2
	}
	return septets
}()

func gsm7Width(r rune) int {
	if int(r) < len(gsm7Septets) {
		return int(gsm7Septets[r])
	}
	return 0
}

// inGSM7 tells whether a text can be written in the GSM 7-bit alphabet.
func inGSM7(text string) bool {
	for _, r := range text {
		if gsm7Width(r) == 0 {
			return false
		}
	}
	return true
}

// split is how a text is split whose characters have some width each; none is
// split between two segments. It is false where a character has no width.
func split(text string, width func(rune) int, alone, part int) (s size, ok bool) {
	last := 0 // what the last segment holds
	s.segments = 1
	for _, r := range text {
		w := width(r)
		if w == 0 {
			return size{}, false
		}
		if s.length += w; last+w > part {
			s.segments, last = s.segments+1, 0
		}
		last += w
	}
	s.each = part
	if s.length <= alone {
		s.segments, s.each, last = min(1, s.length), alone, s.length
	}
	s.left = s.each - last
	return s, true
}

// utf16Width is how many code units of UTF-16 a character of valid UTF-8 takes:
// what the networks call UCS-2 is UTF-16 today.
func utf16Width(r rune) int { return utf16.RuneLen(r) }

// replaced puts every character that the GSM 7-bit alphabet does not have into
// words that it has. What has no such words stays as it is.
func replaced(text string) string {
	var b strings.Builder
	for piece := range characters(text) {
		if with, ok := inGSM7Words(piece); ok {
			piece = with
		}
		b.WriteString(piece)
	}
	return b.String()
}

// characters are the pieces of a text that a reader takes for one character: a
// letter and the accents that follow it.
func characters(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for text != "" {
			n := norm.NFC.NextBoundaryInString(text, true)
			if !yield(text[:n]) {
				return
			}
			text = text[n:]
		}
	}
}

// inGSM7Words says how a character can be written in the GSM 7-bit alphabet; it
// is false where there is no way that reads alike.
//
// The table of replacements comes first, then the rule: what Unicode takes a
// character apart into (compatibility decomposition, Unicode Standard Annex 15),
// without the accents that the alphabet does not have.
func inGSM7Words(character string) (words string, ok bool) {
	if composed := norm.NFC.String(character); inGSM7(composed) {
		return composed, true
	}
	var b strings.Builder
	for _, r := range character {
		if word, known := replacements[r]; known {
			b.WriteString(word)
			continue
		}
		if gsm7Width(r) > 0 {
			b.WriteRune(r)
			continue
		}
		for _, part := range norm.NFKD.String(string(r)) {
			switch word, known := replacements[part]; {
			case known:
				b.WriteString(word)
			case gsm7Width(part) > 0:
				b.WriteRune(part)
			case isAccent(part):
			default:
				return "", false
			}
		}
	}
	return b.String(), true
}

// isAccent tells whether r is one of the accents that European letters carry
// (the Unicode block of combining diacritical marks). The marks of other scripts
// are letters of their own: nothing could be read without them.
func isAccent(r rune) bool { return r >= 0x300 && r <= 0x36f }

// replacements are the usual characters that the alphabet does not have and that
// do not come apart into some it has.
var replacements = map[rune]string{
	'‘': "'", '’': "'", '‚': "'", '‛': "'", '′': "'", '´': "'", '`': "'", 'ʼ': "'", '‹': "'", '›': "'",
	'“': `"`, '”': `"`, '„': `"`, '‟': `"`, '″': `"`, '«': `"`, '»': `"`,
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-", '⁃': "-",
	'•': "-", '·': "-", '‣': "-", '▪': "-", '●': "-", '◦': "-",
	'⁄': "/", '÷': "/", '×': "x",
	'→': "->", '←': "<-", '⇒': "=>", '≤': "<=", '≥': ">=", '≠': "<>", '≈': "~", '±': "+/-",
	'©': "(c)", '®': "(R)", '°': " deg", 'µ': "u", 'μ': "u", '¢': "c", '¬': "-", '¦': "|", '¯': "-", '¸': ",", '¨': `"`,
	'ª': "a", 'º': "o",
	'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th", 'ħ': "h", 'Ħ': "H",
	'ı': "i", 'œ': "oe", 'Œ': "OE", 'ẞ': "ß", 'ŋ': "n", 'Ŋ': "N", 'ŧ': "t", 'Ŧ': "T", 'ĸ': "k", 'ƒ': "f",
	// Greek capitals that are written like Latin ones: the alphabet has the others.
	'Α': "A", 'Β': "B", 'Ε': "E", 'Ζ': "Z", 'Η': "H", 'Ι': "I", 'Κ': "K", 'Μ': "M", 'Ν': "N", 'Ο': "O", 'Ρ': "P",
	'Τ': "T", 'Υ': "Y", 'Χ': "X",
	'\t': " ", '\v': "\n", '\u0085': "\n", '\u2028': "\n", '\u2029': "\n",
	// Not seen, and not missed.
	'\u00ad': "", '\u200b': "", '\u200c': "", '\u200d': "", '\u200e': "", '\u200f': "", '\u2060': "", '\ufeff': "",
	'\ufe0e': "", '\ufe0f': "",
}
