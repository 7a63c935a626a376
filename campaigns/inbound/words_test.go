package inbound

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestWords(t *testing.T) {
	for want, bodies := range map[kind][]string{
		stop: {
			"STOP", "stop", "Stop.", " stop \r\n", "STOP!!!", "\"Stop\"", "'stop'", "«STOP»", "(stop)", "stop 🛑", "\ufeffSTOP",
			"S T O P", "s.t.o.p.", "S-T-O-P", "st\u00adop", "st\u200bop", "STOP\x00", "stop\u00a0", "\u202eSTOP",
			"ＳＴＯＰ", "ｓｔｏｐ　", "𝐒𝐓𝐎𝐏", "ⓢⓣⓞⓟ", "Stóp", "STOPALL", "Stop all", "stop-all", "UNSUBSCRIBE", "un-subscribe", "Unsubscribe me",
			"CANCEL", "END", "QUIT", "REVOKE", "OPT OUT", "OPT-OUT", "optout", "Opt out.", "OPT\nOUT", "REMOVE", "Remove me",
			"ARRET", "Arrêt", "ARRE\u0302T", "arrêt svp",
			"Stop texting me!", "STOP, I do not want this", "stop\nsent from my telephone", "Stop: no more", "Quit it",
			"cancel my texts please", "Opt out of all this", "revoke my consent", "END this now", "Please stop", "pls, unsubscribe",
			"please opt-out", "STOP START", "STOP HELP", "stop " + strings.Repeat("very ", 5000) + "much",
			strings.Repeat(" ", 1500) + "stop", "stop\xff\xfe",
		},
		start: {"START", "start", "Start!", "UNSTOP", "un-stop", "ＳＴＡＲＴ", " start ", "s t a r t"},
		help:  {"HELP", "help?", "INFO", "Info.", "ｈｅｌｐ", "H E L P"},
		other: {
			"", " ", "...", "👍", "\xff\xfe", "yes", "ok thanks", "Don't stop", "don’t stop", "do not stop", "non-stop", "I will stop by",
			"stopping by", "stopped", "unstoppable", "ending", "cancelled", "endless", "removed", "quite good",
			"start again please", "starting", "UNSTOP now", "please start", "restart", "please", "help me please", "helpful", "information",
			"opt", "opt in", "out opt", "opt outside", "arretez", "1", "STOP1", "нет", "停止",
			"Thank you. STOP", strings.Repeat("a", 100_000), strings.Repeat("a ", 3000) + "stop",
		},
	} {
		for _, body := range bodies {
			assert.Equal(t, want, read(body), "%.60q", body)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"STOP", "Stop texting me", "ＳＴＯＰ", "START", "unstop!", "help", "arrêt", "opt out", "s t o p", "\xff", "don't stop", "ﬃ ǅ İ"} {
		f.Add("14155550132", s)
	}
	f.Add("+14155550132", "stop")
	f.Add("Acme", "stop")
	f.Add("12345", "stop")
	i := &Inbox{o: Options{Region: "US"}}
	f.Fuzz(func(t *testing.T, from, body string) {
		k := read(body)
		if k != stop && k != start && k != help && k != other {
			t.Fatalf("%q is read as %q", body, k)
		}
		if again := read(" \t" + body + "\n!"); utf8.RuneCountInString(body) < maxRunes-10 && again != k {
			t.Fatalf("%q is read as %q, with spaces around it as %q", body, k, again)
		}
		if said := read("Stop, " + body); said != stop {
			t.Fatalf("%q after a stop is read as %q", body, said)
		}
		n, ok := i.number(from)
		if ok && (!strings.HasPrefix(n.E164, "+") || len(n.E164) < 4 || len(n.E164) > 16) {
			t.Fatalf("%q is read as %q", from, n.E164)
		}
		if o := i.originator(from); o != "" && !isDigits(strings.TrimPrefix(o, "+")) {
			t.Fatalf("a reply to %q comes from %q", from, o)
		}
	})
}
