package campaigns

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHasOptOutWording(t *testing.T) {
	for _, text := range []string{
		"Acme: 20% off today {link} Reply STOP to opt out",
		"Acme: 20% off {link}\nreply stop to end",
		"Acme: 20% off {link} Text STOP to 12345",
		"Acme: {link} Txt STOP 2 quit",
		"Acme: {link} STOP to end",
		"Acme: {link} STOP=opt out",
		"Acme: {link} Opt-out: STOP",
		"Acme: {link} Opt out? Send STOP.",
		"Acme: {link} Reply with the word STOP",
		"Acme: {link} Reply UNSUBSCRIBE or QUIT",
		"Acme: {link} Reply END to leave",
		"Acme: {link} Reply 'opt out'",
		"Acme: {link} Unsubscribe: STOP",
		"Acme: {link} ＲＥＰＬＹ ＳＴＯＰ",
		"Acme: {link} Abmelden: STOP",
		"Acme: {link} Zum Abmelden mit STOP antworten",
		"Acme: {link} Antworten Sie mit STOP",
		"Acme: {link} Mit STOP antworten",
		"Acme: {link} Répondez STOP",
		"Acme: {link} Répondez ARRÊT",
		"Acme : {link} STOP pour se désabonner",
		"Acme: {link} Responda STOP",
		"Acme: {link} STOP para cancelar",
		"Acme: {link} Rispondi STOP",
	} {
		require.True(t, HasOptOutWording(text), text)
	}
	for _, text := range []string{
		"", "{link}", "STOP",
		"Acme: 20% off today {link}",
		"Stop paying too much: {link}",
		"Cancel or end your contract here {link}",
		"The sale will end today: {link}",
		"Our bus has a new stop: {link}",
		"Unstoppable prices: reply to {link}",
		"Reply to this text and tell us how we did. Never stop! {link}",
		"Remove stains with Acme: {link}",
		"\xff\x00{{}}",
	} {
		require.False(t, HasOptOutWording(text), text)
	}
}

func FuzzHasOptOutWording(f *testing.F) {
	f.Add("Acme: {link} Reply STOP to opt out")
	f.Add("opt")
	f.Add("stop\xff opt")
	f.Fuzz(func(t *testing.T, text string) {
		if HasOptOutWording(text) && !HasOptOutWording(text+" \u200b") {
			t.Fatal("what follows takes nothing away")
		}
		if !HasOptOutWording(text + " . reply STOP") {
			t.Fatal("whatever stands before it")
		}
	})
}
