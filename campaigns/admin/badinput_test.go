package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
)

// withParams is a campaign whose text and link have params.
const withParams = `{"id":"billing","dnis":["+18005550101"],"interaction":{"url":"https://visual.example.com/start","params":{"lang":"en","due":"today"}},` +
	`"text":"Acme: pay until {due} {link} or {due}","line_types":["mobile"]}`

// What cannot be sent is refused with a word about which field is wrong, and
// leaves no trace.
func TestBadTextsLeaveNoTrace(t *testing.T) {
	f := newFixture(t)
	const send = "/v1/campaigns/billing/messages"
	gb := newGuarded(t, guard.Policy{Countries: []string{"GB"}})
	gb.do("POST", campaignsPath, withParams).want(http.StatusCreated)
	f.do("POST", campaignsPath, withParams).want(http.StatusCreated)
	to := func(number, rest string) string { return `{"to":"` + number + `"` + rest + `}` }
	for name, tc := range map[string]struct {
		f      *fixture
		body   string
		code   int
		place  string // "" for none
		reason string
	}{
		"no number":            {f, `{}`, 422, "/to", ""},
		"empty":                {f, to("", ""), 422, "/to", ""},
		"withheld":             {f, to("anonymous", ""), 422, "/to", ""},
		"no digits":            {f, to("call me", ""), 422, "/to", ""},
		"three digits":         {f, to("911", ""), 422, "/to", ""},
		"plus three digits":    {f, to("+911", ""), 422, "/to", ""},
		"too many digits":      {f, to("+1415555013212345", ""), 422, "/to", ""},
		"no such area":         {f, to("+11115550132", ""), 422, "/to", ""},
		"injection":            {f, to(`+14155550132\r\nX: y`, ""), 422, "/to", ""},
		"NUL":                  {f, to(`+14155550132\u0000`, ""), 422, "/to", ""},
		"our own":              {f, to("+18005550100", ""), 422, "/to", "ani_own_number"},
		"another country":      {f, to("+447400123456", ""), 422, "/to", "country_not_allowed"},
		"a landline":           {gb, to("+442072222222", ""), 422, "/to", "not_mobile"},
		"a number, not a word": {f, `{"to":4155550132}`, 422, "/to", ""},
		"params of nobody":     {gb, to("+447400123456", `,"params":{"colour":"red"}`), 422, "/params/colour", ""},
		"long param":           {gb, to("+447400123456", `,"params":{"due":"`+strings.Repeat("x", 501)+`"}`), 422, "/params/due", ""},
		"param no text":        {gb, to("+447400123456", `,"params":{"due":7}`), 422, "/params/due", ""},
		"text gets too long":   {gb, to("+447400123456", `,"params":{"due":"`+strings.Repeat("ж", 500)+`"}`), 422, "/text", ""},
		"null":                 {f, `{"to":null}`, 400, "/to", ""},
		"twice":                {f, `{"to":"+14155550132","to":"+14155550133"}`, 400, "/to", ""},
		"invalid UTF-8":        {gb, to("+447400123456", ",\"params\":{\"due\":\"\xff\"}"), 400, "", ""},
		"not JSON":             {f, `to=+14155550132`, 400, "", ""},
		"unknown field":        {f, to("+14155550132", `,"colour":"red"`), 422, "/colour", ""},
		"external test":        {gb, to("+447400123456", `,"external":true,"test":true`), 422, "/external", ""},
		"bad originator":       {gb, to("+447400123456", `,"originator":"Too long a name"`), 422, "/originator", ""},
		"bad call":             {gb, to("+447400123456", `,"call_id":"x"`), 422, "/call_id", ""},
	} {
		for _, key := range []string{"Idempotency-Key:", "Idempotency-Key: " + name} {
			tc.f.unchanged(name, func() {
				r := tc.f.do("POST", send, tc.body, key).want(tc.code)
				if tc.place != "" {
					r.names(tc.place)
				}
				require.Equal(t, tc.reason, r.problem().Reason, name)
				require.NotContains(t, r.body, "Go struct")
			})
		}
	}
	f.unchanged("unknown campaign", func() {
		f.do("POST", "/v1/campaigns/none/messages", `{"to":"+14155550132"}`, "Idempotency-Key: x").want(404)
		f.do("POST", "/v1/campaigns/no%20ne/messages", `{"to":"+14155550132"}`).want(404)
	})
	require.NotContains(t, f.log.String()+gb.log.String(), "4155550132")
	require.NotContains(t, f.log.String()+gb.log.String(), "7400123456")
}

// Params given with a text stand for the campaign's own, in the text and in the
// link.
func TestParams(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, strings.Replace(withParams, `"mobile"`, `"mobile","unknown"`, 1)).want(http.StatusCreated)
	const send, key = "/v1/campaigns/billing/messages", "Idempotency-Key: k"
	m := read[message.Message](f.do("POST", send, `{"to":"+14155550132"}`).want(202))
	require.Contains(t, m.Text, "pay until today https://")
	require.Contains(t, m.Text, " or today")
	other := `{"to":"+14155550132","params":{"due":"Friday"}}`
	m = read[message.Message](f.do("POST", send, other, key).want(202))
	require.Contains(t, m.Text, "pay until Friday https://")
	require.Equal(t, m.ID, read[message.Message](f.do("POST", send, other, key).want(202)).ID)
	f.do("POST", send, `{"to":"+14155550132","params":{"due":"Sunday"}}`, key).want(409).names("Idempotency-Key")
	f.do("POST", send, `{"to":"+14155550132"}`, key).want(409).names("Idempotency-Key")
	require.Len(t, read[List[message.Message]](f.do("GET", messagesPath, "")).Items, 2)
	require.NotEmpty(t, f.holds("due=Friday"), "it is in the link too")
}

// Campaigns whose text could not be sent, or not be read, are refused; what is
// only odd is saved with a warning.
func TestBadCampaignTexts(t *testing.T) {
	f := newFixture(t)
	with := func(text string) string { return strings.Replace(billing, "Acme: pay here {link}", text, 1) }
	for name, tc := range map[string]struct {
		text  string
		code  int
		place string
	}{
		"empty":               {"", 422, "/text"},
		"spaces":              {"   ", 422, "/text"},
		"2000 characters":     {strings.Repeat("a", 2000), 422, "/text"},
		"2000 with link":      {strings.Repeat("a", 1994) + "{link}", 422, "/text"},
		"invalid UTF-8":       {"Acme \xc3\x28 {link}", 400, ""},
		"unknown placeholder": {"Hello {name} {link}", 422, "/text"},
		"bell":                {`Acme \u0007 {link}`, 422, "/text"},
		"NUL":                 {`Acme \u0000 {link}`, 422, "/text"},
	} {
		f.unchanged(name, func() {
			r := f.do("POST", campaignsPath, with(tc.text), "Idempotency-Key: "+name).want(tc.code)
			if tc.place != "" {
				r.names(tc.place)
			}
		})
	}
	c := read[campaigns.Campaign](f.do("POST", campaignsPath, with("Acme: call us")).want(http.StatusCreated))
	require.Equal(t, "/text", c.Warnings[0].Pointer)
	require.Contains(t, c.Warnings[0].Message, "{link}")
}

// Warnings come with the answer to every save and read of one campaign. They
// are made anew each time, never stored, and change no ETag.
func TestWarnings(t *testing.T) {
	f := newFixture(t)
	curly := strings.Replace(billing, "pay here", "it’s due", 1)
	made := f.do("POST", campaignsPath, curly).want(http.StatusCreated)
	warns := func(r reply) campaigns.Campaign {
		t.Helper()
		c := read[campaigns.Campaign](r)
		require.NotEmpty(t, c.Warnings)
		require.Equal(t, "/text", c.Warnings[0].Pointer)
		require.Contains(t, c.Warnings[0].Message, "’")
		return c
	}
	warns(made)
	got := f.do("GET", "/v1/campaigns/billing", "").want(200)
	warns(got)
	require.Equal(t, `"1"`, got.header.Get("ETag"))
	put := f.do("PUT", "/v1/campaigns/billing", got.body, `If-Match: "1"`).want(200)
	warns(put)
	require.Equal(t, `"1"`, put.header.Get("ETag"), "nothing is changed by it")
	warns(f.do("PATCH", "/v1/campaigns/billing", `{"name":"x","warnings":[]}`, `If-Match: "1"`).want(200))
	require.Empty(t, f.holds(`"warnings"`), "never stored")
	require.NotContains(t, f.do("GET", campaignsPath, "").want(200).body, `"warnings"`)
	f.do("GET", "/v1/campaigns/billing", "", `If-None-Match: "2"`).want(304)
	r := f.do("PATCH", "/v1/campaigns/billing", `{"text":"Acme: it's due {link}"}`, `If-Match: "2"`).want(200)
	for _, w := range read[campaigns.Campaign](r).Warnings {
		require.NotEqual(t, "/text", w.Pointer)
	}
}
