package page

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func decode(text string, v any) error { return json.Unmarshal([]byte(text), v) }

func TestObtainAndRelease(t *testing.T) {
	f := newFixture(t)
	b := f.browser("admin")
	b.get("/senders").want(200).shows("There is no sender yet", "Obtain a number", "United States", "What people text back", "keep it to yourself")
	a := b.get("/senders?country=us&area=(415)").want(200).shows("+14155550100", "1.00 EUR a month")
	require.Contains(t, a.body, `aria-label="Obtain &#43;14155550100 for 1.00 EUR a month"`)
	key := regexp.MustCompile(`name="key" value="([A-Z0-9]+)"`).FindStringSubmatch(a.body)[1]

	obtain := func() answer {
		return b.post("/senders/obtain", "number", "+14155550100", "country", "US", "key", key)
	}
	obtain().to("/senders?notice=sender-obtained")
	obtain().to("/senders?notice=sender-obtained") // pressed twice, obtained once
	a = b.get("/senders?notice=sender-obtained").want(200).shows("The number is yours", "+14155550100", "sms, voice", "by admin", "Release")
	require.Equal(t, 1, strings.Count(a.body, `<strong class="number">`))
	b.post("/senders/obtain", "number", "+14155550100", "country", "US", "key", strings.Repeat("k", 26)).want(409).shows("is a sender already")
	b.post("/senders/obtain", "number", "+14155550199", "country", "US", "key", strings.Repeat("m", 26)).want(409)
	b.post("/senders/obtain", "number", "+14155550101", "country", "US").want(400).shows("Nothing was obtained.")
	b.post("/senders/obtain", "number", "<script>", "country", "US", "key", strings.Repeat("n", 26)).want(422)

	f.create(billing)
	f.create(`{"id":"named","name":"Names it","dnis":["+18005550104"],"originator":"+14155550100","interaction":{"url":"https://visual.example.com/"},"text":"Hi {link}"}`)
	f.create(`{"id":"off","enabled":false,"dnis":["+18005550105"],"interaction":{"url":"https://visual.example.com/"},"text":"Hi {link}"}`)
	b.post("/senders/release", "number", "+14155550100").want(200).shows(
		"Release +14155550100?", "lost for good", "It is the last sender", "Billing questions (billing)", "Names it (named)",
	).hides("(off)")
	b.post("/senders/obtain", "number", "+14155550101", "country", "US", "key", strings.Repeat("o", 26)).to("/senders?notice=sender-obtained")
	b.post("/senders/release", "number", "+14155550101").want(200).shows("so none stops")
	stops := b.post("/senders/release", "number", "+14155550100").want(200).shows("Names it (named)").hides("(billing)")
	require.Contains(t, stops.body, `name="stops" value="named"`)

	// What stops is not what was shown: it is shown again.
	b.post("/senders/release", "number", "+14155550100", "confirmed", "yes").want(200).
		shows("Something stops without it that did not before.", "Names it (named)")
	b.post("/senders/release", "number", "+14155550101", "confirmed", "yes").to("/senders?notice=sender-released")
	// It is the last by now, so that more stops than was shown.
	more := b.post("/senders/release", "number", "+14155550100", "confirmed", "yes", "stops", "named").want(200).
		shows("Something stops without it that did not before.", "It is the last sender", "Billing questions (billing)")
	require.Contains(t, more.body, `name="stops" value="*"`)
	b.post("/senders/release", "number", "+14155550100", "confirmed", "yes", "stops", "*", "stops", "billing", "stops", "named").
		to("/senders?notice=sender-released")
	b.get("/senders?notice=sender-released").want(200).shows("The number is released.", "There is no sender yet")
	b.post("/senders/release", "number", "+14155550100").want(404).shows("none of your senders any more")
	b.post("/senders/release", "number", "+14155550100", "confirmed", "yes").want(404)
}

func TestSendersSearchBadly(t *testing.T) {
	f := newFixture(t)
	b := f.browser("admin")
	b.get("/senders?country=US&area=415&pattern=99").want(422).shows("Does not go together with pattern.")
	b.get("/senders?country=US&area=abc").want(422).shows("Can only be digits, at most 15.").hides("has no such number")
	b.get("/senders?country=%3Cscript%3E").want(422).hides("<script>alert")
	b.get("/senders?country=XX").want(200).shows("The provider has no such number")
	b.get("/senders?country=US&area=" + strings.Repeat("1", 60)).want(422)
}

func TestSendersByRole(t *testing.T) {
	f := newFixture(t)
	number := f.sender()
	for _, who := range []string{"viewer", "editor"} {
		b := f.browser(who)
		a := b.get("/senders?country=US").want(200).shows(number).hides("Obtain a number", "Release", "webhooks/messagebird")
		require.NotContains(t, a.body, "/senders/release")
		b.post("/senders/obtain", "number", "+14155550101", "country", "US", "key", strings.Repeat("k", 26)).want(403)
		b.post("/senders/release", "number", number, "confirmed", "yes").want(403)
	}
	f.call(http.MethodDelete, "/v1/senders/"+number+"?confirm=true", "", 204)
}

func TestCountries(t *testing.T) {
	p := &pages{Options: Options{Region: "GB", Countries: []string{"US", "CA"}}}
	all := p.countries("DE")
	require.Equal(t, []option{{"US", "United States"}, {"CA", "Canada"}, {"GB", "United Kingdom"}, {"DE", "Germany"}, {"AF", "Afghanistan"}}, all[:5])
	seen := map[string]bool{}
	for _, o := range all {
		require.False(t, seen[o.Value], o.Value)
		require.NotEmpty(t, o.Label)
		seen[o.Value] = true
	}
	require.Greater(t, len(all), 200)
}
