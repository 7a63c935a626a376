package inbound

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"deflectd/campaigns"
)

// kind is what a text asks for.
type kind string

// The kinds of texts, as they are counted.
const (
	stop    kind = "stop"
	start   kind = "start"
	help    kind = "help"
	other   kind = "other"
	ignored kind = "ignored" // from nobody who could be answered, or overtaken by something later
)

// kinds are all of them.
func kinds() []kind { return []kind{stop, start, help, other, ignored} }

var (
	// stopWords opt out.
	stopWords  = campaigns.OptOutWords
	startWords = []string{"start", "unstop"}
	helpWords  = []string{"help", "info"}
	// politeWords may stand before a word that opts out.
	politeWords = []string{"please", "pls"}
)

// maxWords is how many words of a text are looked at, and maxRunes how many of
// its characters.
const (
	maxWords = 16
	maxRunes = 2000
)

// read finds out what a text asks for. Capital letters, accents, punctuation,
// spaces, and letters of other widths and styles make no difference.
//
// Opting out takes no care: a word for it is enough, alone or at the beginning
// of whatever is said. Opting in again does: nothing but the word for it counts.
func read(text string) kind {
	words := wordsOf(text)
	if len(words) == 0 {
		return other
	}
	// "S T O P" and "un-subscribe" are one word.
	whole := strings.Join(words, "")
	switch {
	case slices.Contains(stopWords, whole):
		return stop
	case slices.Contains(startWords, whole):
		return start
	case slices.Contains(helpWords, whole):
		return help
	}
	if slices.Contains(politeWords, words[0]) {
		words = words[1:]
	}
	if len(words) == 0 {
		return other
	}
	if slices.Contains(stopWords, words[0]) || len(words) > 1 && words[0] == "opt" && words[1] == "out" {
		return stop
	}
	return other
}

// wordsOf takes the first words out of a text, in small letters of the simplest
// kind there is for each: full-width, bold and accented ones are taken for the
// plain ones (Unicode Standard Annex 15, NFKD, less the marks). What cannot be
// seen is not there: nobody can tell it from nothing.
func wordsOf(text string) []string {
	var words []string
	var word strings.Builder
	for _, r := range norm.NFKD.String(beginning(text)) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			word.WriteRune(unicode.ToLower(r))
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r), r == '\'', r == '’':
			// A part of the word around it: "don't" does not begin with "don".
		case word.Len() > 0:
			words = append(words, word.String())
			word.Reset()
		}
		if len(words) == maxWords {
			return words
		}
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

// beginning is as much of a text as is looked at.
func beginning(text string) string {
	n := 0
	for i := range text {
		if n == maxRunes {
			return text[:i]
		}
		n++
	}
	return text
}
