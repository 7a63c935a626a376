package campaigns

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// OptOutWords are the words that opt out whoever texts them, in small letters and
// without accents. The first six are what CTIA's Messaging Principles and Best
// Practices (5.1.3) ask for; "revoke" and "opt out" are of 47 CFR
// 64.1200(a)(10), which names the words that are always meant so; "arret" is
// the Canadian carriers' French. Of two words is none but "opt out".
var OptOutWords = []string{
	"stop", "stopall", "unsubscribe", "cancel", "end", "quit",
	"revoke", "optout", "remove", "arret",
}

var (
	// plainOptOut are those that are hardly said for another reason beside a word
	// of leaving; "end" and "cancel" are, so they need somebody to be told to text
	// them.
	plainOptOut = []string{"stop", "stopall", "arret"}
	// replyWords tell somebody to text something, in the languages of most of the
	// countries whose carriers know STOP.
	replyWords = []string{
		"reply", "text", "txt", "send", "sms", "respond", "answer",
		"antworten", "antworte", "antwort", "sende", "senden", "schreiben", "schreibe",
		"repondez", "repondre", "envoyez", "envoyer",
		"responda", "responde", "responder", "envie", "envia", "enviar",
		"rispondi", "rispondere", "invia", "inviare", "antwoord", "stuur",
	}
	// leaveWords say what for.
	leaveWords = []string{
		"unsubscribe", "optout", "opt", "end", "cancel", "quit", "leave",
		"abmelden", "abmeldung", "abbestellen", "beenden", "abmelde",
		"desabonner", "desinscrire", "desinscription", "arreter",
		"baja", "cancelar", "salir", "sair", "disiscriversi", "disdire", "cancellarsi", "afmelden",
	}
)

// around is how many words before or behind a word that opts out are looked at:
// "reply with the word STOP".
const around = 4

// HasOptOutWording tells whether a text says how to opt out: whether it has a word
// that opts out (OptOutWords, or "opt out") close behind one that tells to text it
// ("reply STOP", "Antworten Sie mit STOP"), or STOP close to one that says what for
// ("STOP to end", "Abmelden: STOP", "STOP=opt out"). Capital letters, accents and
// punctuation make no difference. It is a check of what was forgotten, not of what
// was meant: whoever writes "stop by to end the day" gets away with it.
func HasOptOutWording(text string) bool {
	words := simpleWords(text)
	for i, word := range words {
		before, after := words[max(0, i-around):i], words[i+1:min(len(words), i+1+around)]
		optsOut := slices.Contains(OptOutWords, word) || word == "opt" && len(after) > 0 && after[0] == "out"
		switch {
		case optsOut && containsAny(before, replyWords):
			return true
		case slices.Contains(plainOptOut, word) && (containsAny(before, leaveWords) || containsAny(after, leaveWords)):
			return true
		// What German and Dutch tell comes behind: "mit STOP antworten".
		case slices.Contains(plainOptOut, word) && len(after) > 0 && slices.Contains(replyWords, after[0]):
			return true
		}
	}
	return false
}

func containsAny(list, words []string) bool {
	return slices.ContainsFunc(list, func(word string) bool { return slices.Contains(words, word) })
}

// simpleWords are the words of a text in small letters, less all marks (Unicode
// Standard Annex 15, NFKD).
func simpleWords(text string) []string {
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(text))
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
