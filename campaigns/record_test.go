package campaigns

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/phone"
)

// What the first version stored is read as it was meant: what it did not have
// gets its default.
func TestRecordsOfTheFirstVersion(t *testing.T) {
	rdb := connect(t)
	const body = `{"id":"billing","name":"Billing questions","enabled":true,"kind":"service","dnis":["+18005550100"],` +
		`"interaction":{"id":"pay","url":"https://visual.example.com/{interaction_id}","params":{"lang":"en"},"caller_id":"plain","caller_id_param":"callerId"},` +
		`"text":"Acme: {link}","originator":"Acme","validity":"15m","on_unknown":"drop","link":{"expires_after":"72h"},` +
		`"offer":{"mode":"ask","prompt":"sound:deflectd/offer","accept":"1","decline":"2","timeout":"6s","attempts":2},` +
		`"prompts":{"sent":"sound:deflectd/sent"},"release":{"action":"transfer","wait_for":"accepted","wait":"5s","on_timeout":"transfer",` +
		`"transfer":{"context":"queues","extension":"100","priority":1}}}`
	require.NoError(t, rdb.HSet(t.Context(), keyCampaigns, "billing", "3 1000 2000 0 ab\n"+body).Err())
	s := NewStore(rdb)
	c, err := s.Get(t.Context(), "billing")
	require.NoError(t, err)
	require.NoError(t, c.Validate(rules))
	require.Equal(t, []string{LineMobile, LineUnknown}, c.LineTypes)
	require.Nil(t, c.Limits)
	require.Empty(t, c.Offer.OptOut)

	d := run(t, rdb, DirectoryOptions{})
	eventually(t, d.Ready)
	require.True(t, d.Lookup("+18005550100").IsEnabled())

	// It is written anew with what this version adds.
	written, err := s.Written(t.Context(), "billing")
	require.NoError(t, err)
	written.Offer.OptOut = "9"
	require.NoError(t, s.Replace(t.Context(), written, Write{Version: 3}))
	c, err = s.Get(t.Context(), "billing")
	require.NoError(t, err)
	require.Equal(t, "9", c.Offer.OptOut)
	require.EqualValues(t, 4, c.Version)
}

// All that a campaign says comes back from the store, and reaches the calls.
func TestLimitsReachTheCalls(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	c := sample("a", "+18005550100")
	c.Limits = limits(0, 2, 0)
	c.LineTypes = []string{LineFixed, LineVoIP}
	c.OnUnknown, c.Offer.OptOut, c.Prompts.OptedOut = OnUnknownResend, "9", "sound:deflectd/opted-out"
	c.Interaction.Params = map[string]string{"name": "{link}"}
	c.Text = "{name}: {link}"
	require.NoError(t, c.Validate(rules))
	c.Warnings = []Problem{{Pointer: "/text", Message: "is odd"}}
	require.NoError(t, s.Create(t.Context(), c, "", ""))

	plain := sample("b", "+18005550101")
	require.NoError(t, s.Create(t.Context(), plain, "", ""))

	d := run(t, rdb, DirectoryOptions{})
	eventually(t, d.Ready)
	got := d.Lookup("+18005550100")
	require.NotNil(t, got.Limits)
	require.Zero(t, *got.Limits.Cooldown)
	require.Equal(t, 2, *got.Limits.PerCallerPerDay)
	require.Zero(t, *got.Limits.PerDay)
	require.True(t, got.Takes(phone.VoIP))
	require.False(t, got.Takes(phone.Mobile))
	require.Empty(t, got.Warnings, "they are never stored")
	c.Warnings = nil
	require.Equal(t, c, got)
	require.Nil(t, d.Lookup("+18005550101").Limits)
}

// A word that this version does not know may be what forbids a text.
func TestNewWordsDisable(t *testing.T) {
	for name, change := range map[string]func(m map[string]any){
		"kind":       func(m map[string]any) { m["kind"] = "survey" },
		"shadow":     func(m map[string]any) { m["shadow"] = true },
		"hours":      func(m map[string]any) { m["hours"] = map[string]any{"timezone": "America/New_York"} },
		"caller id":  func(m map[string]any) { m["interaction"].(map[string]any)["caller_id"] = "token" },
		"action":     func(m map[string]any) { m["release"] = map[string]any{"action": "hold"} },
		"line types": func(m map[string]any) { m["line_types"] = []string{"mobile", "satellite"} },
		"on_unknown": func(m map[string]any) { m["on_unknown"] = "ask" },
	} {
		body, err := encode(sample("a", "+18005550100"))
		require.NoError(t, err)
		var m map[string]any
		require.NoError(t, json.Unmarshal(body, &m))
		change(m)
		body, err = json.Marshal(m)
		require.NoError(t, err)
		r, err := decode("1 1 1 0 ab\n" + string(body))
		require.NoError(t, err, name)
		require.True(t, r.newer, name)
	}
	// What breaks a rule but says nothing new is as good as it was.
	c := sample("a", "+18005550100")
	c.Validity, c.Text = Duration(100*time.Hour), "{unknown}"
	body, err := encode(c)
	require.NoError(t, err)
	r, err := decode("1 1 1 0 ab\n" + string(body))
	require.NoError(t, err)
	require.False(t, r.newer)
}
