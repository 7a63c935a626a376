package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// TestHostileInput has strangers write what they like where a caller's number,
// a name and a number dialled belong: each call is handled or goes on in the
// dialplan, with one record, and nothing of it reaches where it does not belong.
func TestHostileInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	d := w.serve(t)
	victim := "+19075550121"
	t.Run("all", func(t *testing.T) {
		t.Run("callers", func(t *testing.T) { testHostileCallers(t, w, victim) })
		t.Run("numbers dialled", func(t *testing.T) { testHostileDNIS(t, w) })
		t.Run("API", func(t *testing.T) { testHostileAPI(t, w) })
	})
	w.noText(t, victim)
	w.audit(t, d, 0)
}

func testHostileCallers(t *testing.T, w *world, victim string) {
	tests := map[string]struct {
		caller lab.Caller
		reason report.Reason // of being passed
	}{
		"arguments in the user":             {lab.Caller{From: "0,dnis=+18005550199,ani=" + victim}, report.ANIInvalid},
		"dnis= in the user":                 {lab.Caller{From: "dnis=" + ownNumber}, report.ANIInvalid},
		"a place in the dialplan":           {lab.Caller{From: "1)?agents,7001,1"}, report.ANIInvalid},
		"dialplan functions":                {lab.Caller{From: "${SHELL(id)}$[1+1]"}, report.ANIInvalid},
		"quotes":                            {lab.Caller{From: `"'` + "`"}, report.ANIWithheld},
		"200 digits":                        {lab.Caller{From: strings.Repeat("1", 200)}, report.ANIInvalid},
		"200 letters":                       {lab.Caller{From: strings.Repeat("x", 200)}, report.ANIInvalid},
		"a number in a user of letters":     {lab.Caller{From: "user" + victim[1:]}, report.ANIInvalid},
		"anonymous as the user":             {lab.Caller{From: "Anonymous"}, report.ANIWithheld},
		"plus signs":                        {lab.Caller{From: "+++"}, report.ANIInvalid},
		"line breaks":                       {lab.Caller{From: "1\r\nX: y"}, report.ANIInvalid},
		"other digits":                      {lab.Caller{From: "٠١٢٣٤٥٦٧٨٩"}, report.ANIWithheld},
		"not UTF-8":                         {lab.Caller{From: "\xff\xfe"}, report.ANIWithheld},
		"arguments in the asserted number":  {lab.Caller{From: "1", PAI: "0,ani=" + victim}, report.ANIInvalid},
		"arguments in the forwarder":        {lab.Caller{Diversion: "1,ani=" + victim}, report.ANIForwarded},
		"nonsense in the forwarder":         {lab.Caller{Diversion: strings.Repeat("9", 200)}, report.ANIForwarded},
		"a longer wish for privacy":         {lab.Caller{From: "anonymous", PAI: victim, Privacy: "id;critical"}, report.ANIWithheld},
		"privacy of the user and the id":    {lab.Caller{From: "anonymous", PAI: victim, Privacy: "user;id"}, report.ANIWithheld},
		"privacy in capitals":               {lab.Caller{From: "anonymous", PAI: victim, Privacy: "ID"}, report.ANIWithheld},
		"number with spaces that is abroad": {lab.Caller{From: "+44 20 7183 8750"}, report.CountryNotAllowed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.campaign(t)
			test.caller.DNIS = c.DNIS[0]
			if test.caller.From == "" {
				test.caller.From = w.number()
			}
			r := w.call(t, test.caller)
			record := w.ended(t, c, report.Passed, test.reason)
			a := w.letGo(t, r, record, "ivr", "")
			require.Equal(t, c.DNIS[0], a.Extension)
			require.Equal(t, c.DNIS[0], record.DNIS)
		})
	}
	// What is only unusual is no reason to go without a text.
	for name, caller := range map[string]lab.Caller{
		"number with spaces":     {From: "+1 907 555 0131"},
		"number without +1":      {From: "9075550132"},
		"number with 1":          {From: "19075550133"},
		"number with 001 and +":  {From: "+1(907)555-0134"},
		"name in UTF-8":          {From: "+19075550135", DisplayName: "Zoë 🚗 “Ö” \u202e"},
		"name with arguments":    {From: "+19075550136", DisplayName: `x",dnis=1,ani=` + victim + `,"`},
		"name of 200 characters": {From: "+19075550137", DisplayName: strings.Repeat("é", 200)},
		"name with functions":    {From: "+19075550138", DisplayName: "${CHANNEL(name)} $[1/0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.campaign(t, send(5*time.Second))
			caller.DNIS = c.DNIS[0]
			w.released(t, w.call(t, caller))
			record := w.ended(t, c, report.Deflected, report.Released)
			require.Regexp(t, `^\+190755501\d\d$`, record.ANI)
			w.sent(t, c, record.ANI, w.message(t, record.Message, message.Accepted))
		})
	}
}

// What is dialled is filtered to digits and a plus by the dialplan: what is
// left is looked up, and comes out under the same number.
func testHostileDNIS(t *testing.T, w *world) {
	for name, dialled := range map[string]string{
		"a number like any other": "+18005550188",
		"arguments":               "18005550188,ani=" + "19075550121",
		"dnis= behind a digit":    "1dnis=18005550188",
		"a place in the dialplan": "1,agents,7001,1",
		"spaces and signs":        "+1-(800)-555%200188",
		"200 digits":              strings.Repeat("9", 200),
		"a plus alone":            "+",
		"pluses":                  "++1++",
		"a digit":                 "0",
		"emergency":               "911",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller := w.number()
			r := w.call(t, lab.Caller{DNIS: dialled, From: caller})
			record := w.record(t, url.Values{"ani": {caller}})
			require.Equal(t, []any{report.Passed, report.NoCampaign}, []any{record.Outcome, record.Reason})
			a := w.letGo(t, r, record, "ivr", "")
			require.Equal(t, "Ring", a.State)
			require.Regexp(t, `^[+0-9]*$`, a.Extension)
			require.Equal(t, a.Extension, a.Variables["DEFLECTD_DNIS"])
			w.noText(t, caller)
		})
	}
}

// testHostileAPI has the API refuse what it does not understand, naming what
// is wrong, and go on.
func testHostileAPI(t *testing.T, w *world) {
	const whole = `"id":"x","dnis":["+18005550177"],"interaction":{"url":"https://visual.example.com/"},"text":"hello {link}"`
	campaign := func(more string) string { return "{" + whole + more + "}" }
	tests := map[string]struct {
		method, path, body string
		status             int
		names              string // what the answer names
	}{
		"not JSON":                 {http.MethodPost, "/v1/campaigns", `{"id": `, 400, ""},
		"no JSON at all":           {http.MethodPost, "/v1/campaigns", "id=x", 400, ""},
		"nothing":                  {http.MethodPost, "/v1/campaigns", "", 400, "empty"},
		"null":                     {http.MethodPost, "/v1/campaigns", "null", 400, ""},
		"a list":                   {http.MethodPost, "/v1/campaigns", "[]", 422, ""},
		"two values":               {http.MethodPost, "/v1/campaigns", campaign("") + campaign(""), 400, ""},
		"a key twice":              {http.MethodPost, "/v1/campaigns", campaign(`,"id":"y"`), 400, "id"},
		"not UTF-8":                {http.MethodPost, "/v1/campaigns", campaign(`,"name":"` + "\xff\xfe" + `"`), 400, ""},
		"deep":                     {http.MethodPost, "/v1/campaigns", strings.Repeat("[", 50_000), 400, ""},
		"too much":                 {http.MethodPost, "/v1/campaigns", campaign(`,"name":"` + strings.Repeat("x", 257<<10) + `"`), 413, ""},
		"a number for a text":      {http.MethodPost, "/v1/campaigns", campaign(`,"name":5`), 422, "/name"},
		"a text for a number":      {http.MethodPost, "/v1/campaigns", campaign(`,"offer":{"attempts":"two"}`), 422, "/offer/attempts"},
		"a text for a list":        {http.MethodPost, "/v1/campaigns", `{"id":"x","dnis":"+18005550177"}`, 422, "/dnis"},
		"an unknown field":         {http.MethodPost, "/v1/campaigns", campaign(`,"colour":"red"`), 422, "colour"},
		"an unknown field inside":  {http.MethodPost, "/v1/campaigns", campaign(`,"offer":{"promt":"x"}`), 422, "promt"},
		"not available yet":        {http.MethodPost, "/v1/campaigns", campaign(`,"shadow":true`), 422, "/shadow"},
		"a scheme of sounds":       {http.MethodPost, "/v1/campaigns", campaign(`,"offer":{"prompt":"nonsense:x"}`), 422, "/offer/prompt"},
		"a transfer with a comma":  {http.MethodPost, "/v1/campaigns", campaign(`,"release":{"action":"transfer","transfer":{"context":"a,b","extension":"1"}}`), 422, "/release/transfer/context"},
		"javascript as the URL":    {http.MethodPost, "/v1/campaigns", `{"id":"x","dnis":["+18005550177"],"interaction":{"url":"javascript:alert(1)"},"text":"{link}"}`, 422, "/interaction/url"},
		"an id with a slash":       {http.MethodPost, "/v1/campaigns", `{"id":"../x","dnis":["+18005550177"],"interaction":{"url":"https://a.example/"},"text":"{link}"}`, 422, "/id"},
		"a number that is none":    {http.MethodPost, "/v1/campaigns", `{"id":"x","dnis":["hello"],"interaction":{"url":"https://a.example/"},"text":"{link}"}`, 422, "/dnis/0"},
		"an unknown campaign":      {http.MethodGet, "/v1/campaigns/nonesuch", "", 404, ""},
		"an unknown message":       {http.MethodGet, "/v1/messages/nonesuch", "", 404, ""},
		"an unknown call":          {http.MethodGet, "/v1/calls/" + strings.Repeat("x", 22), "", 404, ""},
		"an unknown address":       {http.MethodGet, "/v1/nonesuch", "", 404, ""},
		"another method":           {http.MethodDelete, "/v1/campaigns", "", 405, ""},
		"a cursor made up":         {http.MethodGet, "/v1/calls?cursor=%ff%00", "", 422, "cursor"},
		"a limit beyond all":       {http.MethodGet, "/v1/calls?limit=999999999999999999999", "", 422, "limit"},
		"an unknown filter":        {http.MethodGet, "/v1/calls?colour=red", "", 422, "colour"},
		"an outcome that is none":  {http.MethodGet, "/v1/calls?outcome=lost", "", 422, "outcome"},
		"a switch of another kind": {http.MethodPut, "/v1/service", `{"enabled":"no"}`, 422, "/enabled"},
		"a switch that says nothing": {
			http.MethodPut, "/v1/service", `{}`, 422, "enabled",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := w.api(t, test.method, test.path, test.body)
			require.Equal(t, test.status, a.status, a.body)
			require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
			var problem struct {
				Title, Detail string
				Status        int
			}
			a.into(t, test.status, &problem)
			require.Equal(t, test.status, problem.Status)
			require.NotEmpty(t, problem.Title)
			require.Contains(t, a.body, test.names)
		})
	}
	t.Run("texts to numbers that may not be texted", func(t *testing.T) {
		t.Parallel()
		c := w.campaign(t)
		for _, to := range []string{"", "hello", "+442071838750", ownNumber, c.DNIS[0], "anonymous", strings.Repeat("1", 200), "+1907555012\u0661"} {
			a := w.api(t, http.MethodPost, "/v1/campaigns/"+c.ID+"/messages", map[string]string{"to": to})
			require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", to, a.body)
			require.Contains(t, a.body, "/to", to)
		}
	})
	t.Run("a number or an id that is taken", func(t *testing.T) {
		t.Parallel()
		c := w.campaign(t)
		a := w.api(t, http.MethodPost, "/v1/campaigns", campaigns.Campaign{
			ID: "other", DNIS: c.DNIS, Text: c.Text, Interaction: campaigns.Interaction{URL: "https://visual.example.com/"},
		})
		require.Equal(t, http.StatusConflict, a.status, a.body)
		require.Contains(t, a.body, c.ID)
		require.Equal(t, http.StatusConflict, w.api(t, http.MethodPost, "/v1/campaigns", campaigns.Campaign{
			ID: c.ID, DNIS: []string{w.dnis()}, Text: c.Text, Interaction: campaigns.Interaction{URL: "https://visual.example.com/"},
		}).status)
	})
	t.Run("without a token", func(t *testing.T) {
		t.Parallel()
		for _, headers := range [][]string{nil, {"Authorization: Bearer wrong"}, {"Authorization: Basic " + w.token}, {"Authorization: Bearer " + w.token + "x"}} {
			for _, path := range []string{"/v1/campaigns", "/v1/calls", "/v1/service", "/v1/messages", "/debug/pprof/"} {
				a := request(t, http.MethodGet, w.admin+path, "", headers...)
				require.Equal(t, http.StatusUnauthorized, a.status, path)
				require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
			}
		}
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json"} {
			require.Equal(t, http.StatusOK, request(t, http.MethodGet, w.admin+path, "").status, path)
		}
	})
}
