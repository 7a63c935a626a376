package admin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

// A link alone is made for a text that another gateway sends.
func TestLinks(t *testing.T) {
	f := newFixture(t)
	f.do("POST", linkBilling, `{}`).want(404)
	f.do("POST", campaignsPath, strings.Replace(withParams, `"mobile"`, `"mobile","unknown"`, 1)).want(201)
	l := read[Link](f.do("POST", linkBilling, `{"to":"(415) 555-0132","params":{"due":"Friday"}}`).want(201))
	require.Equal(t, "https://txt.example.com/"+l.Code, l.URL)
	require.Contains(t, l.InteractionURL, "callerId=%2B14155550132")
	require.Contains(t, l.InteractionURL, "due=Friday")
	require.WithinDuration(t, time.Now().Add(72*time.Hour), l.ExpiresAt, time.Hour)

	nobody := read[Link](f.do("POST", linkBilling, `{}`).want(201))
	require.NotContains(t, nobody.InteractionURL, "callerId")
	long := read[Link](f.do("POST", linkBilling, `{"to":"+14155550132","shorten":false}`).want(201))
	require.Equal(t, long.InteractionURL, long.URL)
	require.Empty(t, long.Code)

	const key = "Idempotency-Key: k"
	first := f.do("POST", linkBilling, `{"to":"+14155550132"}`, key).want(201)
	require.Equal(t, first.body, f.do("POST", linkBilling, `{"to":"+14155550132"}`, key).want(201).body)
	f.do("POST", linkBilling, `{"to":"+14155550133"}`, key).want(409).names("Idempotency-Key")
	require.NotEqual(t, first.body, f.do("POST", linkBilling, `{"to":"+14155550132"}`, key, as("other")).want(201).body)

	for body, place := range map[string]string{
		`{"to":"nobody"}`:             "/to",
		`{"to":7}`:                    "/to",
		`{"params":{"colour":"red"}}`: "/params/colour",
		`{"params":{"due":7}}`:        "/params/due",
		`{"shorten":"no"}`:            "/shorten",
		`{"colour":"red"}`:            "/colour",
		`[]`:                          "",
	} {
		f.unchanged(body, func() { f.do("POST", linkBilling, body).want(422).names(place) })
	}
	f.do("POST", linkBilling, `{"to":null}`).want(400).names("/to")
	require.NotContains(t, f.log.String(), "4155550132")
}

func TestLinksThatAreRefused(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	f.do("PUT", optOut, "").want(201)
	f.unchanged("opted out", func() {
		p := f.do("POST", linkBilling, `{"to":"+14155550139"}`).want(http.StatusConflict).problem()
		require.Equal(t, "opted_out", p.Reason)
	})
	f.do("PATCH", one, `{"enabled":false}`, match).want(200)
	f.unchanged("switched off", func() {
		p := f.do("POST", linkBilling, `{}`).want(http.StatusConflict).problem()
		require.Equal(t, "campaign_disabled", p.Reason)
	})
}

// A text that another gateway sends is recorded, guarded and counted.
func TestExternalTexts(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	r := f.do("POST", sendBilling, `{"to":"+14155550132","external":true}`).want(202)
	m := read[message.Message](r)
	require.Equal(t, message.Accepted, m.State)
	require.Equal(t, "external", m.Provider)
	require.Contains(t, m.Text, m.URL)
	require.Equal(t, message.Accepted, read[message.Message](f.do("GET", r.header.Get("Location"), "").want(200)).State)
	f.do("PUT", optOut, "").want(201)
	require.Equal(t, "opted_out", f.do("POST", sendBilling, `{"to":"+14155550139","external":true}`).want(409).problem().Reason)
}

// The list and the campaign show what became of its texts.
func TestTextsOfCampaigns(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	f.do("POST", campaignsPath, campaign("other", "+18005550102")).want(201)
	m := f.texted(sms)
	require.NoError(t, f.outbox.Report(t.Context(), message.Report{Message: m.ID, ProviderID: "p1", State: message.Delivered}))
	f.texted(`{"to":"+14155550133"}`)
	f.texted(`{"to":"+14155550134","test":true}`)
	list := read[CampaignList](f.do("GET", campaignsPath, "", as("look")).want(200))
	require.Equal(t, 2, list.Total)
	require.EqualValues(t, 2, list.Items[0].Texts.Sent)
	require.EqualValues(t, 1, list.Items[0].Texts.Delivered)
	require.Equal(t, 7, list.Items[0].Texts.Days)
	require.Zero(t, list.Items[1].Texts.Sent)
	got := f.do("GET", one, "").want(200)
	require.Contains(t, got.body, `"texts":{"days":7,"sent":2,"delivered":1`)
	f.do("PUT", one, got.body, match).want(200)
	require.Empty(t, f.holds(`"texts"`), "never stored")
}

// Texts can be searched by when they were asked for.
func TestMessagesByTime(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	first := f.texted(sms)
	second := f.texted(`{"to":"+14155550133"}`)
	require.False(t, second.Created.Before(first.Created))
	at := func(d time.Duration) string { return second.Created.Add(d).Format("2006-01-02T15:04:05.000Z") }
	for query, want := range map[string]int{
		"?from=" + at(-time.Hour):                               2,
		"?from=" + at(time.Millisecond):                         0,
		"?until=" + at(time.Millisecond):                        2,
		"?until=" + at(-time.Hour):                              0,
		"?from=" + at(-time.Hour) + "&until=" + at(time.Hour):   2,
		"?to=%2B14155550133&from=" + at(0):                      1,
		"?to=%2B14155550133&until=" + at(0):                     0,
		"?campaign=billing&state=failed&from=" + at(-time.Hour): 0,
	} {
		require.Len(t, read[List[message.Message]](f.do("GET", messagesPath+query, "").want(200)).Items, want, query)
	}
	page := read[List[message.Message]](f.do("GET", messagesPath+"?limit=1&until="+at(time.Hour), "").want(200))
	require.Equal(t, second.ID, page.Items[0].ID)
	page = read[List[message.Message]](f.do("GET", messagesPath+"?limit=1&until="+at(time.Hour)+"&cursor="+page.Next, "").want(200))
	require.Equal(t, first.ID, page.Items[0].ID)
	for _, query := range []string{"?from=yesterday", "?until=2026-11-20", "?from=12", "?from=" + strings.Repeat("1", 500)} {
		name := query[1:strings.Index(query, "=")]
		f.do("GET", messagesPath+query, "").want(422).names(name)
	}
}

// What would be decided is asked with the words of a call.
func TestDecisions(t *testing.T) {
	f := newFixture(t)
	f.unchanged("decision", func() {
		d := read[report.Decision](f.do("POST", decisionsPath,
			`{"dnis":"+18005550101","ani":"anonymous","pres":"prohib_passed_screen","rdnis":"1234"}`, as("look")).want(200))
		require.True(t, d.Offered)
		require.NotEmpty(t, d.Steps)
	})
	require.Equal(t, report.Question{DNIS: "+18005550101", ANI: "anonymous", Presentation: "prohib_passed_screen", RDNIS: "1234"}, f.asked)
	f.do("POST", decisionsPath, `{"dnis":"<script>","ani":""}`).want(200)
	for body, place := range map[string]string{
		`{}`:                       "/dnis",
		`{"dnis":"1"}`:             "/ani",
		`{"dnis":"","ani":"1"}`:    "/dnis",
		`{"dnis":1,"ani":"1"}`:     "/dnis",
		`{"dnis":"1","ani":["1"]}`: "/ani",
		`{"dnis":"1","ani":"1","at":"2026-11-20T10:00:00Z"}`:               "/at",
		`{"dnis":"1","ani":"1","colour":"red"}`:                            "/colour",
		`{"dnis":"1","ani":"1","pres":7}`:                                  "/pres",
		`{"dnis":"` + strings.Repeat("1", 65) + `","ani":"1"}`:             "/dnis",
		`{"dnis":"1","ani":"1","rdnis":"` + strings.Repeat("1", 65) + `"}`: "/rdnis",
	} {
		f.do("POST", decisionsPath, body).want(422).names(place)
	}
	require.NotContains(t, f.log.String(), "18005550101")
}

// A daemon that handles no calls decides on none.
func TestNobodyDecides(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Decide = nil })
	f.do("POST", decisionsPath, `{"dnis":"1","ani":"1"}`).want(503)
}
