package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/sender"
)

const obtain = `{"number":"` + numberToLet + `","country":"US"}`

func TestSenders(t *testing.T) {
	f := newFixture(t)
	all := read[SenderList](f.do("GET", sendersPath, "").want(200))
	require.Equal(t, "https://txt.example.com/webhooks/messagebird/inbound/secret", all.Inbound)
	require.Len(t, all.Items, 1)
	require.Equal(t, "Acme", all.Items[0].ID)
	require.Equal(t, sender.SourceConfiguration, all.Items[0].Source)

	found := read[NumberList](f.do("GET", sendersPath+"/available?country=us&area=415&features=voice,mms&limit=5", "").want(200))
	require.Equal(t, numberToLet, found.Items[0].Number)
	require.Equal(t, "US", f.shop.asked.Country)
	require.Equal(t, "415", f.shop.asked.Area)
	require.Subset(t, f.shop.asked.Features, []string{"voice", "mms"})
	require.Equal(t, 5, f.shop.asked.Limit)

	got := read[sender.Sender](f.do("POST", sendersPath, obtain).want(http.StatusCreated))
	require.Equal(t, numberToLet, got.ID)
	require.Equal(t, "ops", got.By)
	require.Len(t, read[SenderList](f.do("GET", sendersPath, "").want(200)).Items, 2)
	f.do("POST", sendersPath, obtain).want(http.StatusConflict).names("/number")
	f.do("GET", sendersPath+"/available?country=US", "").want(200)

	f.do("POST", campaignsPath, strings.TrimSuffix(billing, "}")+`,"originator":"`+numberToLet+`"}`).want(201)
	require.Equal(t, numberToLet, f.texted(`{"to":"+14155550132"}`).Originator)
	r := f.do("DELETE", sendersPath+"/"+numberToLet, "").want(http.StatusConflict).names("confirm")
	require.Equal(t, []string{"billing"}, r.problem().Campaigns)
	require.Equal(t, "confirm", r.problem().Reason)
	f.do("DELETE", sendersPath+"/"+numberToLet+"?confirm=false", "").want(http.StatusConflict)
	f.do("DELETE", sendersPath+"/"+numberToLet+"?confirm=true", "").want(http.StatusNoContent)
	f.do("DELETE", sendersPath+"/"+numberToLet+"?confirm=true", "").want(http.StatusNotFound)
	require.Empty(t, f.shop.owned)
	require.Equal(t, "no_sender", f.do("POST", sendBilling, `{"to":"+14155550132"}`).want(http.StatusConflict).problem().Reason)
	f.do("DELETE", sendersPath+"/Acme?confirm=true", "").want(http.StatusConflict)
}

// The service sends when it is switched on and there is a sender; releasing the
// last one wants to be confirmed, and says which campaigns stop.
func TestTheLastSender(t *testing.T) {
	f := newSetup(t, setup{policy: guard.Policy{Countries: []string{"US"}}, configured: ""})
	service := func(want Service) {
		t.Helper()
		require.Equal(t, want, read[Service](f.do("PUT", "/v1/service", fmt.Sprintf(`{"enabled":%t}`, want.Enabled)).want(200)))
		require.Equal(t, want, read[Service](f.do("GET", "/v1/service", "").want(200)))
	}
	service(Service{Enabled: true, Why: noSender})
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	service(Service{Enabled: true, Why: noSender})
	require.Equal(t, "no_sender", f.do("POST", sendBilling, `{"to":"+14155550132"}`).want(409).problem().Reason)
	f.do("POST", sendersPath, obtain).want(http.StatusCreated)
	service(Service{Enabled: true, Sending: true})
	require.Equal(t, numberToLet, f.texted(`{"to":"+14155550132"}`).Originator)
	service(Service{Why: switchedOff})
	require.Equal(t, "service_off", f.do("POST", sendBilling, `{"to":"+14155550132"}`).want(409).problem().Reason)
	service(Service{Enabled: true, Sending: true})
	r := f.do("DELETE", sendersPath+"/"+numberToLet, "").want(http.StatusConflict)
	require.Contains(t, r.problem().Detail, "the last sender")
	require.Equal(t, []string{"billing"}, r.problem().Campaigns)
	f.do("DELETE", sendersPath+"/"+numberToLet+"?confirm=true", "").want(http.StatusNoContent)
	service(Service{Enabled: true, Why: noSender})

	// A campaign with a sender of its own sends all the same.
	f.do("PATCH", "/v1/campaigns/billing", `{"originator":"Acme"}`, "If-Match: *").want(200)
	service(Service{Enabled: true, Sending: true})
	f.do("PATCH", "/v1/campaigns/billing", `{"enabled":false}`, "If-Match: *").want(200)
	service(Service{Enabled: true, Why: noSender})
}

func TestObtainingTwiceWithOneKey(t *testing.T) {
	f := newFixture(t)
	const key = "Idempotency-Key: k"
	first := f.do("POST", sendersPath, obtain, key).want(http.StatusCreated)
	require.Equal(t, first.body, f.do("POST", sendersPath, obtain, key).want(http.StatusCreated).body)
	f.do("POST", sendersPath, strings.Replace(obtain, "0170", "0171", 1), key).want(http.StatusConflict).names("Idempotency-Key")
	f.do("POST", sendersPath, obtain, key, "Authorization: Bearer other").want(http.StatusConflict).names("/number")
	require.Len(t, f.shop.owned, 1)
}

func TestSendersThatAreRefused(t *testing.T) {
	f := newFixture(t)
	for body, place := range map[string]string{
		`{}`:                               "/number",
		`{"number":"","country":"US"}`:     "/number",
		`{"number":"12","country":"US"}`:   "/number",
		`{"number":"Acme","country":"US"}`: "/number",

		`{"number":"` + numberToLet + `","country":"us"}`:              "/country",
		`{"number":"` + numberToLet + `","country":"GB"}`:              "/country",
		`{"number":"` + numberToLet + `"}`:                             "/country",
		`{"number":"` + numberToLet + `","country":"US","months":"1"}`: "/months",
	} {
		f.unchanged(body, func() { f.do("POST", sendersPath, body).want(422).names(place) })
	}
	for query, place := range map[string]string{
		"":                                 "country",
		"?country=usa":                     "country",
		"?country=US&area=x":               "area",
		"?country=US&area=1&pattern=2":     "area",
		"?country=US&pattern=%2B1":         "pattern",
		"?country=US&match=middle":         "match",
		"?country=US&features=fax":         "features[0]",
		"?country=US&limit=0":              "limit",
		"?country=US&limit=101":            "limit",
		"?country=US&colour=red":           "colour",
		"?country=US&features=sms,fax,mms": "features[1]",
	} {
		f.do("GET", sendersPath+"/available"+query, "").want(422).names(place)
	}
	f.do("DELETE", sendersPath+"/"+numberToLet, "").want(404)
	f.do("DELETE", sendersPath+"/%00", "").want(404)
	f.do("DELETE", sendersPath+"/"+numberToLet+"?confirm=perhaps", "").want(422).names("confirm")
}

// What the provider says is told in our words.
func TestWhatTheProviderOfNumbersSays(t *testing.T) {
	f := newFixture(t)
	for name, tc := range map[string]struct {
		err    error
		code   int
		reason string
	}{
		"not allowed": {sender.ErrNotAllowed, http.StatusConflict, "not_allowed"},
		"away":        {sender.ErrProvider, http.StatusBadGateway, ""},
	} {
		f.shop.fail(fmt.Errorf("the provider's own words: %w", tc.err))
		for _, do := range []func() reply{
			func() reply { return f.do("GET", sendersPath+"/available?country=US", "") },
			func() reply { return f.do("POST", sendersPath, obtain) },
		} {
			r := do().want(tc.code)
			require.Equal(t, tc.reason, r.problem().Reason, name)
			require.NotContains(t, r.body, "own words")
		}
	}
	f.shop.fail(nil)
	f.do("POST", sendersPath, strings.Replace(obtain, "0170", "0199", 1)).want(http.StatusConflict)
	for _, err := range []error{
		sender.ErrBusy, sender.ErrConfigured, sender.ErrUnavailable, sender.ErrNotAllowed, sender.ErrProvider,
		sender.ErrTaken, fmt.Errorf("%w: x", sender.ErrQuery), errors.Join(sender.ErrProvider, sender.ErrUncertain),
	} {
		p := problemOfSender(fmt.Errorf("release: %w", err))
		require.NotNil(t, p, err)
		require.NotEmpty(t, p.Detail)
	}
	require.Nil(t, problemOfSender(message.ErrStore))
}
