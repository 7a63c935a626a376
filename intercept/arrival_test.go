package intercept

import (
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
)

func TestIdentity(t *testing.T) {
	own := Arrival{Extension: "100", CallerNumber: "200", RDNIS: "300"}
	for _, test := range []struct {
		name string
		args []string
		want identity
	}{
		{"no arguments", nil, identity{dnis: "100", ani: "200", rdnis: "300"}},
		{"all", []string{"dnis=1", "ani=2", "pres=allowed", "rdnis=4"}, identity{"1", "2", "4", "allowed", true}},
		{"some", []string{"ani=2"}, identity{dnis: "100", ani: "2", rdnis: "300"}},
		{"the first counts", []string{"ani=", "ani=2", "dnis=1", "dnis=9", "pres=prohib", "pres=allowed"}, identity{"1", "", "300", "prohib", true}},
		{"nobody forwarded it", []string{"rdnis="}, identity{dnis: "100", ani: "200"}},
		{"no presentation", []string{"pres="}, identity{dnis: "100", ani: "200", rdnis: "300"}},
		{"nonsense", []string{"", "=", "==", "dnis", "DNIS=5", "campaign=x", "ani==2"}, identity{dnis: "100", ani: "=2", rdnis: "300"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := own
			a.Args = test.args
			require.Equal(t, test.want, a.identity())
		})
	}
}

func TestProhibited(t *testing.T) {
	// The names of all presentations of Asterisk 22.
	for presentation, want := range map[string]bool{
		"allowed_not_screened": false, "allowed_passed_screen": false, "allowed_failed_screen": false,
		"allowed": false, "prohib_not_screened": true, "prohib_passed_screen": true,
		"prohib_failed_screen": true, "prohib": true, "unavailable": true, "": false, "Prohib": true, "pro": false,
	} {
		require.Equal(t, want, prohibited(presentation), presentation)
	}
}

// TestPresentation asks for the presentation only where the call did not
// bring it and all else speaks for the text.
func TestPresentation(t *testing.T) {
	for _, test := range []struct {
		name   string
		setUp  func(*scene)
		reason report.Reason
		said   string
	}{
		{"allowed", func(s *scene) { s.key("2") }, report.KeypressDecline, "variable CALLERID(num-pres), answer, set, continue"},
		{"prohibited", func(s *scene) { s.variable = "prohib" }, report.ANIWithheld, "variable CALLERID(num-pres), set, continue"},
		{"not needed", func(s *scene) { s.book.off = true }, report.ServiceOff, "set, continue"},
		{"not to be had", func(s *scene) { s.instead["variable"] = hang }, report.SwitchLost, "variable CALLERID(num-pres), set, continue"},
		{"gone", func(s *scene) { s.hangUp() }, report.CallerHungUp, "variable CALLERID(num-pres)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.arrival.Args, s.arrival.Extension, s.arrival.CallerNumber = nil, dialled, "4155550123"
				test.setUp(s)
				call, _ := s.play(t)
				require.Equal(t, test.reason, call.Reason)
				require.Equal(t, test.said, strings.Join(s.said, ", "))
				if call.Reason == report.KeypressDecline {
					require.Equal(t, mobile, call.ANI)
				} else {
					require.Empty(t, call.ANI, "what may be withheld is not kept")
				}
				require.Equal(t, dialled, call.DNIS)
			})
		})
	}
}

// TestPeopleAreKeptOnceTheyMayBe checks whose numbers a record holds, by what is
// known of the presentation.
func TestPeopleAreKeptOnceTheyMayBe(t *testing.T) {
	const forwarder = "+14155550199"
	for pres, kept := range map[string]bool{"known": true, "": false, "pres=": false, "pres=prohib": false, "pres=allowed": true} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.arrival.Args = []string{"dnis=" + dialled, "ani=" + mobile, pres, "rdnis=" + forwarder}
			if pres == "known" {
				s.arrival.Presentation = "allowed"
			}
			call, _ := s.play(t)
			require.Equal(t, report.ANIForwarded, call.Reason, "passed for another reason")
			s.i.Orphaned(t.Context(), s.arrival)
			orphan := s.ledger.records[1]
			require.Equal(t, report.Orphaned, orphan.Reason)
			for _, call := range []report.Call{call, orphan} {
				require.Equal(t, dialled, call.DNIS)
				if kept {
					require.Equal(t, []string{mobile, forwarder}, []string{call.ANI, call.Diverted})
				} else {
					require.Equal(t, []string{"", ""}, []string{call.ANI, call.Diverted}, pres)
				}
			}
		})
	}
}

// hostile is what may stand where numbers should.
var hostile = []string{
	"", "anonymous", "0,dnis=+18005550100,ani=+14155550123", strings.Repeat("9", 200),
	strings.Repeat("ß", 100), "\x00\x01\xff", "+1415555\n0123", `";DROP`, "+1 (415) 555-0123", "日本",
	"sip:+14155550123@example.com;user=phone", "${SHELL(reboot)}", "+" + strings.Repeat("0", 60) + "١٢٣",
}

// TestHostileNumbers checks that a call with whatever in its numbers is
// handled, and that its record is fit to be shown.
func TestHostileNumbers(t *testing.T) {
	for _, ani := range hostile {
		for _, dnis := range append([]string{dialled}, hostile...) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.arrival.Args = []string{"dnis=" + dnis, "ani=" + ani, "pres=" + ani, "rdnis="}
				s.key("2")
				call, _ := s.play(t)
				for _, text := range []string{call.DNIS, call.ANI, call.Presentation, call.Diverted} {
					require.True(t, fit(text), text)
				}
			})
		}
	}
}

// TestWhatIsNoNumberIsNotKept checks that a record has the caller's number in the
// one form by which it can be found and forgotten, or none.
func TestWhatIsNoNumberIsNotKept(t *testing.T) {
	for _, ani := range append([]string{"123", "+1415555012", "+141555501234567890", "4155550123 ext 5000"}, hostile...) {
		a := arrival
		a.Args = []string{"dnis=" + dialled, "ani=" + ani, "pres=allowed", "rdnis="}
		want := ""
		if n, err := phone.Parse(ani, "US"); err == nil {
			want = n.E164
		}
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.arrival = a
			s.key("2")
			call, _ := s.play(t)
			require.Equal(t, want, call.ANI, ani)
			s.i.Orphaned(t.Context(), a)
			require.Equal(t, want, s.ledger.records[1].ANI, ani)
		})
	}
}

func fit(text string) bool {
	return len(text) <= longestShown && utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return r < ' ' }) < 0
}

func FuzzArrival(f *testing.F) {
	for _, text := range hostile {
		f.Add("dnis="+text, "ani="+text, text)
	}
	f.Fuzz(func(t *testing.T, first, second, own string) {
		a := Arrival{Args: []string{first, second}, Extension: own, CallerNumber: own, RDNIS: own}
		id := a.identity()
		r := benchmarkRules()
		n := r.read(&id)
		f := r.look(&n)
		if v := decide(&f); v == (verdict{}) && (n.caller.E164 == "" || f.campaign == nil) {
			t.Fatalf("intercepted: %+v", n)
		}
		rec := record{}
		rec.describe(&id, &n, r.region)
		if rec.ANI != "" && rec.ANI != n.caller.E164 {
			t.Fatalf("kept, and not found again: %q", rec.ANI)
		}
		for _, text := range []string{shown(own), rec.ANI, rec.DNIS} {
			if !fit(text) {
				t.Fatalf("not fit to be shown: %q", text)
			}
		}
	})
}
