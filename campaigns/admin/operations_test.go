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

func TestMessages(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	const send = "/v1/campaigns/billing/messages"
	call := strings.Repeat("A", 22)
	r := f.do("POST", send, `{"to":"(415) 555-0132","call_id":"`+call+`","test":true}`).want(http.StatusAccepted)
	m := read[message.Message](r)
	require.Equal(t, "+14155550132", m.To)
	require.Equal(t, call, m.Call)
	require.True(t, m.Test)
	require.Equal(t, "Acme", m.Originator)
	require.Equal(t, message.Queued, m.State)
	require.Equal(t, "/v1/messages/"+m.ID, r.header.Get("Location"))
	require.Contains(t, m.Text, "https://txt.example.com/")
	require.Eventually(t, func() bool {
		return read[message.Message](f.do("GET", "/v1/messages/"+m.ID, "").want(200)).State == message.Accepted
	}, time.Minute, 20*time.Millisecond)
	require.NotEmpty(t, read[message.Message](f.do("GET", "/v1/messages/"+m.ID, "")).History)

	key := "Idempotency-Key: abc"
	named := `{"to":"+14155550133","originator":"Support"}`
	first := read[message.Message](f.do("POST", send, named, key).want(http.StatusAccepted))
	require.Equal(t, "Support", first.Originator)
	require.Equal(t, first.ID, read[message.Message](f.do("POST", send, named, key).want(http.StatusAccepted)).ID)
	f.do("POST", send, `{"to":"+14155550134"}`, key).want(http.StatusConflict).names("Idempotency-Key")
	other := read[message.Message](f.do("POST", send, named, key, "Authorization: Bearer other").want(http.StatusAccepted))
	require.NotEqual(t, first.ID, other.ID)

	type messages = List[message.Message]
	for query, want := range map[string]int{
		"":                                  3,
		"?to=4155550133":                    2,
		"?to=%2B14155550132":                1,
		"?to=+14155550132":                  1,
		"?to=%2B14155550199":                0,
		"?campaign=billing":                 3,
		"?campaign=none":                    0,
		"?state=failed":                     0,
		"?limit=3":                          3,
		"?to=415-555-0133&campaign=billing": 2,
	} {
		l := read[messages](f.do("GET", messagesPath+query, "").want(200))
		require.Len(t, l.Items, want, query)
	}
	seen, next := map[string]bool{}, ""
	for range 4 {
		address := messagesPath + "?limit=1"
		if next != "" {
			address += "&cursor=" + next
		}
		l := read[messages](f.do("GET", address, "").want(200))
		for _, m := range l.Items {
			seen[m.ID] = true
		}
		if next = l.Next; next == "" {
			break
		}
	}
	require.Len(t, seen, 3)
}

func TestMessagesThatAreRefused(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	const send = "/v1/campaigns/billing/messages"
	for body, place := range map[string]string{
		`{}`:                     "/to",
		`{"to":""}`:              "/to",
		`{"to":"anonymous"}`:     "/to",
		`{"to":"hello"}`:         "/to",
		`{"to":"+18005550100"}`:  "/to", // our own
		`{"to":"+447700900123"}`: "/to", // another country
		`{"to":"` + strings.Repeat("1", 200) + `"}`:            "/to",
		`{"to":4155550132}`:                                    "/to",
		`{"to":"+14155550132","params":{"a":"b"}}`:             "/params/a",
		`{"to":"+14155550132","external":true,"test":true}`:    "/external",
		`{"to":"+14155550132","external":"yes"}`:               "/external",
		`{"to":"+14155550132","call_id":"x"}`:                  "/call_id",
		`{"to":"+14155550132","originator":"Too long a name"}`: "/originator",
		`{"to":"+14155550132","originator":"a\u0000b"}`:        "/originator",
	} {
		f.do("POST", send, body).want(422).names(place)
	}
	f.do("POST", "/v1/campaigns/none/messages", `{"to":"+14155550132"}`).want(404)
	f.do("POST", send, `{"to":"+14155550132"}`, "Idempotency-Key: "+strings.Repeat("k", 256)).want(422).names("Idempotency-Key")

	f.do("PATCH", "/v1/campaigns/billing", `{"enabled":false}`, "If-Match: *").want(200)
	f.do("POST", send, `{"to":"+14155550132"}`).want(409)
	f.do("POST", send, `{"to":"+14155550132","test":true}`).want(202)
	f.do("PUT", "/v1/service", `{"enabled":false}`).want(200)
	require.Contains(t, f.do("POST", send, `{"to":"+14155550132","test":true}`).want(409).body, "/v1/service")
}

// Whoever has lost the first answer gets it, whatever has changed since.
func TestRepeatedMessageIsAnsweredFirst(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	const send, body, key = "/v1/campaigns/billing/messages", `{"to":"+14155550132"}`, "Idempotency-Key: abc"
	first := f.do("POST", send, body, key).want(http.StatusAccepted)
	again := func() {
		t.Helper()
		r := f.do("POST", send, body, key).want(http.StatusAccepted)
		require.Equal(t, read[message.Message](first).ID, read[message.Message](r).ID)
		require.Equal(t, first.header.Get("Location"), r.header.Get("Location"))
		f.do("POST", send, `{"to":"+14155550133"}`, key).want(http.StatusConflict).names("Idempotency-Key")
	}
	f.do("PATCH", "/v1/campaigns/billing", `{"enabled":false}`, "If-Match: *").want(200)
	again()
	f.own.add("+14155550132") // the number is one of ours now
	again()
	f.do("PUT", optOutsPath+"/+14155550132", "").want(http.StatusCreated)
	again()
	f.do("PUT", "/v1/service", `{"enabled":false}`).want(200)
	again()
	f.do("DELETE", "/v1/campaigns/billing", "", "If-Match: *").want(204)
	again()
	f.do("POST", send, body, "Idempotency-Key: new").want(404)
}

func TestService(t *testing.T) {
	f := newFixture(t)
	require.Equal(t, Service{Enabled: true, Sending: true}, read[Service](f.do("GET", "/v1/service", "").want(200)))
	f.do("PUT", "/v1/service", `{"enabled":false}`).want(200)
	require.Equal(t, Service{Why: switchedOff}, read[Service](f.do("GET", "/v1/service", "").want(200)))
	f.do("PUT", "/v1/service", `{"enabled":"off"}`).want(422).names("/enabled")
	f.do("PUT", "/v1/service", `{}`).want(422).names("/enabled")
	f.do("PUT", "/v1/service", `{"enabled":true,"until":"noon"}`).want(422).names("/until")
	f.do("PUT", "/v1/service", `{"enabled":true}`).want(200)
	require.Contains(t, f.log.String(), "the service was switched")
}

func TestCalls(t *testing.T) {
	f := newFixture(t)
	start := time.Now().UTC().Truncate(time.Second)
	for i, id := range []string{"first", "second", "third"} {
		f.options.Recorder.Record(report.Call{
			ID: id, DNIS: "+18005550101", ANI: "+1415555013" + string('0'+rune(i)), Campaign: "billing",
			Outcome: report.Deflected, Reason: report.Released, Started: start.Add(time.Duration(i) * time.Second),
			Steps: []report.Step{{At: start, Name: "answer"}},
		})
	}
	f.active = []report.Call{{ID: "live", Campaign: "billing", ANI: "+14155550139", Started: start}}
	type calls = List[report.Call]
	require.Eventually(t, func() bool {
		return len(read[calls](f.do("GET", callsPath, "").want(200)).Items) == 3
	}, time.Minute, 20*time.Millisecond)
	for query, want := range map[string]string{
		"":                                    "third second first",
		"?limit=2":                            "third second",
		"?campaign=billing":                   "third second first",
		"?campaign=none":                      "",
		"?ani=%2B14155550131":                 "second",
		"?ani=+14155550131":                   "second",
		"?ani=415-555-0131&outcome=deflected": "second",
		"?outcome=failed":                     "",
		"?active=true":                        "live",
		"?active=true&campaign=none":          "",
		"?active=false&ani=4155550130":        "first",
	} {
		var ids []string
		for _, c := range read[calls](f.do("GET", callsPath+query, "").want(200)).Items {
			ids = append(ids, c.ID)
		}
		require.Equal(t, want, strings.Join(ids, " "), query)
	}
	page := read[calls](f.do("GET", callsPath+"?limit=2", ""))
	page = read[calls](f.do("GET", callsPath+"?limit=2&cursor="+page.Next, ""))
	require.Len(t, page.Items, 1)

	ended := f.do("GET", "/v1/calls/second", "").want(200)
	require.Equal(t, report.Released, read[report.Call](ended).Reason)
	require.Contains(t, ended.body, `"started_at":"`+start.Add(time.Second).Format(time.RFC3339)+`"`)
	live := f.do("GET", "/v1/calls/live", "").want(200)
	require.NotContains(t, live.body, "outcome")
	f.do("GET", "/v1/calls/none", "").want(404)
}

func TestQueriesThatAreWrong(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		path  string
		code  int
		place string
	}{
		{campaignsPath + "?colour=red", 422, "colour"},
		{messagesPath + "?Limit=1", 422, "Limit"},
		{callsPath + "/x?verbose=1", 422, "verbose"},
		{"/v1/service?x=1", 422, "x"},
		{campaignsPath + "?limit=0", 422, "limit"},
		{campaignsPath + "?limit=501", 422, "limit"},
		{campaignsPath + "?limit=-1", 422, "limit"},
		{campaignsPath + "?limit=99999999999999999999", 422, "limit"},
		{campaignsPath + "?limit=ten", 422, "limit"},
		{campaignsPath + "?enabled=maybe", 422, "enabled"},
		{campaignsPath + "?deleted=perhaps", 422, "deleted"},
		{campaignsPath + "?dnis=hello", 422, "dnis"},
		{campaignsPath + "?cursor=!", 422, "cursor"},
		{campaignsPath + "?q=" + strings.Repeat("a", 300), 422, "q"},
		{messagesPath + "?cursor=!", 422, "cursor"},
		{messagesPath + "?state=sent", 422, "state"},
		{messagesPath + "?to=nobody", 422, "to"},
		{callsPath + "?cursor=!", 422, "cursor"},
		{callsPath + "?active=true&cursor=!", 422, "cursor"},
		{callsPath + "?outcome=good", 422, "outcome"},
		{callsPath + "?ani=anonymous", 422, "ani"},
		{campaignsPath + "?limit=1&limit=2", 400, "limit"},
		{campaignsPath + "?limit=", 400, "limit"},
		{campaignsPath + "?q", 400, "q"},
		{campaignsPath + "?q=%zz", 400, ""},
		{campaignsPath + "?q=a;b=c", 400, ""},
		{campaignsPath + "/" + strings.Repeat("a", 100), 422, "id"},
	} {
		r := f.do("GET", tc.path, "").want(tc.code)
		if tc.place != "" {
			r.names(tc.place)
		}
	}
	for _, path := range []string{"/v1/campaigns/%00", "/v1/campaigns/%ff", "/v1/campaigns/a%2Fb", "/v1/campaigns/..%2f..", "/v1/messages/%0d%0a", "/v1/calls/*"} {
		f.do("GET", path, "").want(404)
	}
}
