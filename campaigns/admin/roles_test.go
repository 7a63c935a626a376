package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/report"
)

// Each role may do what it is for, and nothing above it: for every operation.
func TestWhatRolesMayDo(t *testing.T) {
	f := newFixture(t)
	secrets := map[Role]string{RoleViewer: "look", RoleEditor: "write", RoleAdmin: "secret"}
	for _, o := range operations {
		for role, secret := range secrets {
			r := f.do(o.method, o.path, o.body, "Content-Type:"+o.media, as(secret))
			mayNot := !role.Allows(o.role) || o.path == sendBilling && role != RoleAdmin // what is no test
			require.Equal(t, mayNot, r.code == http.StatusForbidden, "%s %s as %s: %s", o.method, o.path, role, r.body)
		}
	}
}

// An editor sends tests and nothing else; who reads sends nothing.
func TestWhoSendsWhat(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing, as("write")).want(201)
	const test = `{"to":"+14155550132","test":true}`
	f.do("POST", sendBilling, test, as("look")).want(403)
	f.do("POST", sendBilling, test, as("write")).want(202)
	p := f.do("POST", sendBilling, sms, as("write")).want(403).problem()
	require.Equal(t, "role", p.Reason)
	require.Contains(t, p.Detail, "admin")
	require.Contains(t, p.Detail, "editor")
	f.do("POST", sendBilling, `{"to":"+14155550132","external":true}`, as("write")).want(403)
	f.do("POST", sendBilling, sms).want(202)
}

// Who only reads sees no number of a person, wherever one is.
func TestViewersSeeNoNumbers(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	m := f.texted(sms)
	f.do("PUT", optOut, `{"reason":"by letter"}`).want(201)
	f.active = []report.Call{{ID: "live", ANI: "+14155550135", Diverted: "+14155550136", DNIS: "+18005550101"}}
	f.options.Recorder.Record(report.Call{
		ID: "ended", ANI: "+14155550137", Diverted: "+14155550138", DNIS: "+18005550101", Outcome: report.Passed, Reason: report.ANIForwarded,
	})
	f.awaitCall("ended")
	for _, path := range []string{
		messagesPath, messagesPath + "/" + m.ID, messagesPath + "?to=+14155550132",
		callsPath, callsPath + "?active=true", callsPath + "/live", callsPath + "/ended",
		optOutsPath, optOut, optOutsPath + "?number=+14155550139",
	} {
		seen := f.do("GET", path, "", as("look")).want(200).body
		require.NotContains(t, seen, "415555", path)
		require.NotContains(t, seen, m.Link, "the link leads to the number: %s", path)
		for _, secret := range []string{"write", "secret"} {
			require.Contains(t, f.do("GET", path, "", as(secret)).want(200).body, "+1415555013", path)
		}
	}
	seen := read[message.Message](f.do("GET", messagesPath+"/"+m.ID, "", as("look")))
	require.True(t, strings.HasPrefix(seen.To, "+1") && strings.HasSuffix(seen.To, "32"), seen.To)
	require.Equal(t, "Acme: pay here {link}", seen.Text)
	require.Empty(t, seen.Link+seen.URL)
	call := read[report.Call](f.do("GET", callsPath+"/ended", "", as("look")))
	require.True(t, strings.HasSuffix(call.ANI, "37") && strings.HasSuffix(call.Diverted, "38"))
	require.Equal(t, "+18005550101", call.DNIS, "that is ours")
	entry := read[optout.Entry](f.do("GET", optOut, "", as("look")))
	require.True(t, strings.HasSuffix(entry.Number, "39"), entry.Number)

	require.NotContains(t, f.do("GET", sendersPath, "", as("look")).want(200).body, "inbound_url")
	require.Contains(t, f.do("GET", sendersPath, "", as("write")).want(200).body, "inbound_url")
	f.do("GET", optOutsPath+"?format=csv", "", as("look")).want(403)
	require.Contains(t, f.do("GET", optOutsPath+"?format=csv", "", as("write")).want(200).body, "+14155550139")
	// What a viewer sees masked is masked in the answer alone.
	require.Equal(t, "+14155550135", f.active[0].ANI)
}

// What the page asks, it asks in the name of who is signed in.
func TestThePageAsks(t *testing.T) {
	f := newFixture(t)
	o := f.options
	o.Registerer = prometheus.NewRegistry()
	server := New(o)
	ask := func(who Identity, path string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://deflectd"+path, nil)
		require.NoError(t, err)
		resp, err := server.As(who).RoundTrip(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, 403, ask(Identity{Name: "looker", Role: RoleViewer}, optOut))
	require.Equal(t, 201, ask(Identity{Name: "writer", Role: RoleEditor}, optOut))
	e := read[optout.Entry](f.do("GET", optOut, "").want(200))
	require.Equal(t, optout.Page, e.Source)
	require.Equal(t, "writer", e.By)
}
