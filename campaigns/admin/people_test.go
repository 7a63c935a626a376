package admin

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/inbound"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
)

// After a person was forgotten, nothing in Redis has the number, in any
// spelling; and what is left of the opt-out still refuses.
func TestForgetting(t *testing.T) {
	f := newGuarded(t, guard.Policy{
		Countries: []string{"US"}, Cooldown: time.Hour, PerCallerPerDay: 20, PerPrefixPerHour: 100, SegmentsPerDay: 1000,
		SurgeCalls: 3, Suppress: 24 * time.Hour,
	})
	const person, other = "+14155550132", "+14155550133"
	f.do("POST", campaignsPath, withCooldown).want(http.StatusCreated)
	// One text that was delivered, one that failed for good, a test, and one that
	// waits because the service is off.
	f.texted(`{"to":"` + other + `"}`)
	m := f.texted(`{"to":"` + person + `"}`)
	require.NoError(t, f.outbox.Report(t.Context(), message.Report{Message: m.ID, ProviderID: "p1", State: message.Delivered}))
	f.do("POST", sendBilling, `{"to":"4155550132","test":true}`, "Idempotency-Key: +1 (415) 555-0132").want(202)
	f.failed(person)
	n, err := phone.Parse(person, "US")
	require.NoError(t, err)
	c, err := f.options.Campaigns.Get(t.Context(), "billing")
	require.NoError(t, err)
	for range 4 {
		_, err = f.options.Guards.Check(t.Context(), c, n, 1)
		require.NoError(t, err)
	}
	for i, call := range []report.Call{
		{ID: "asked", ANI: person, Campaign: "billing", Outcome: report.Deflected, Reason: report.Released, Message: m.ID},
		{ID: "forwarded", ANI: other, Diverted: person, Outcome: report.Passed, Reason: report.ANIForwarded},
		{ID: "stranger", ANI: other, Outcome: report.Passed, Reason: report.NoCampaign},
	} {
		call.DNIS, call.Started = "+18005550101", time.Now().Add(-time.Duration(i)*time.Minute)
		f.options.Recorder.Record(call)
	}
	for _, id := range []string{"asked", "forwarded", "stranger"} {
		f.awaitCall(id)
	}
	// And a text of theirs, with its answer.
	require.NoError(t, f.options.Inbox.Receive(t.Context(), inbound.Text{ID: "1", From: person, To: "+18005550100", Body: "HELP"}))
	f.do("PUT", optOutsPath+"/"+person, `{"reason":"asked by letter, Anna Meier"}`).want(http.StatusCreated)
	require.NotEmpty(t, f.holds("4155550132"))

	got := read[Forgotten](f.do("DELETE", "/v1/people/415-555-0132", "").want(200))
	require.Equal(t, Forgotten{Messages: 4, Calls: 2, OptedOut: true}, got)
	require.Empty(t, f.holds(
		"4155550132", "415-555-0132", "(415) 555-0132", "415 555 0132", "%2B14155550132", "NDE1NTU1MDEzM",
		m.Text, m.Link+"?", "Anna Meier",
	))
	require.NotEmpty(t, f.holds("4155550133"), "nobody else is forgotten")

	// What is left of it is the keyed hash, which still refuses.
	secret, err := campaigns.ServiceSecret(t.Context(), f.rdb)
	require.NoError(t, err)
	hash := campaigns.Pseudonym(secret, person)
	e := read[optout.Entry](f.do("GET", optOutsPath+"/"+person, "").want(200))
	require.Equal(t, hash, e.Hash)
	require.Empty(t, e.Number)
	require.Equal(t, "opted_out", f.do("POST", sendBilling, `{"to":"`+person+`"}`).want(409).problem().Reason)
	for _, place := range f.holds(hash) {
		require.Contains(t, place, "optout", "the hash is left for the opt-out alone")
	}

	// Texts and calls are still there, without the number.
	kept := read[message.Message](f.do("GET", messagesPath+"/"+m.ID, "").want(200))
	require.Equal(t, message.Delivered, kept.State)
	require.Empty(t, kept.To+kept.Text+kept.URL)
	require.Empty(t, read[List[message.Message]](f.do("GET", messagesPath+"?to="+person, "").want(200)).Items)
	require.Empty(t, read[List[report.Call]](f.do("GET", callsPath+"?ani="+person, "").want(200)).Items)
	require.Equal(t, report.Released, read[report.Call](f.do("GET", callsPath+"/asked", "").want(200)).Reason)
	require.Equal(t, other, read[report.Call](f.do("GET", callsPath+"/forwarded", "").want(200)).ANI)

	require.Equal(t, Forgotten{OptedOut: true}, read[Forgotten](f.do("DELETE", "/v1/people/"+person, "").want(200)), "again")
	require.Equal(t, Forgotten{}, read[Forgotten](f.do("DELETE", "/v1/people/+14155550199", "").want(200)), "nobody")
	require.NotContains(t, f.log.String(), "4155550132")
}

// Somebody who has not opted out is a stranger after being forgotten: limits
// begin anew.
func TestForgettingLimits(t *testing.T) {
	f := newGuarded(t, guard.Policy{Countries: []string{"US"}, Cooldown: time.Hour, PerCallerPerDay: 1})
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	f.texted(`{"to":"+14155550132"}`)
	f.do("POST", sendBilling, `{"to":"+14155550132"}`).want(409)
	require.Equal(t, Forgotten{Messages: 1}, read[Forgotten](f.do("DELETE", "/v1/people/+14155550132", "").want(200)))
	f.texted(`{"to":"+14155550132"}`)
}

const withCooldown = `{"id":"billing","dnis":["+18005550101"],"interaction":{"url":"https://visual.example.com/start"},` +
	`"text":"Acme: pay here {link}","limits":{"cooldown":"0s"}}`

// awaitCall waits until a call has its record.
func (f *fixture) awaitCall(id string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		_, err := f.options.Recorder.Get(f.t.Context(), id)
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}
