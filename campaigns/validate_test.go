package campaigns

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/phone"
)

var update = flag.Bool("update", false, "write the golden files")

var rules = Rules{Region: "US"}

// read is a campaign as it comes over the API.
func readCampaign(t *testing.T, text string) *Campaign {
	t.Helper()
	c := new(Campaign)
	require.NoError(t, json.Unmarshal([]byte(text), c))
	c.SetDefaults()
	return c
}

func TestSmallestCampaignGetsDefaults(t *testing.T) {
	c := readCampaign(t, `{"id":"billing","dnis":["8005550100"],"interaction":{"url":"https://a.example"},"text":"{link}"}`)
	require.NoError(t, c.Validate(rules))
	require.True(t, c.IsEnabled())
	got, err := json.MarshalIndent(c, "", "  ")
	require.NoError(t, err)
	require.JSONEq(t, `{
		"id": "billing", "enabled": true, "kind": "service", "dnis": ["+18005550100"],
		"interaction": {"url": "https://a.example", "caller_id": "plain", "caller_id_param": "callerId"},
		"text": "{link}", "validity": "15m", "on_unknown": "drop", "line_types": ["mobile", "unknown"], "link": {"expires_after": "72h"},
		"offer": {"mode": "ask", "prompt": "sound:deflectd/offer", "accept": "1", "decline": "2", "timeout": "6s", "attempts": 2},
		"prompts": {},
		"release": {"action": "hangup", "wait_for": "accepted", "wait": "5s", "on_timeout": "transfer"}
	}`, dropEmpty(t, got))
}

// dropEmpty takes out members that are empty objects, but for prompts.
func dropEmpty(t *testing.T, doc []byte) string {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(doc, &m))
	m["prompts"] = map[string]any{}
	out, err := json.Marshal(m)
	require.NoError(t, err)
	return string(out)
}

func TestSendModeNeedsNoPrompt(t *testing.T) {
	c := readCampaign(t, `{"id":"a","dnis":["*"],"interaction":{"url":"https://a.example"},"text":"x","offer":{"mode":"send"}}`)
	require.NoError(t, c.Validate(rules))
	require.Empty(t, c.Offer.Prompt)
}

func TestFullCampaign(t *testing.T) {
	c := readCampaign(t, `{
		"id": "billing", "name": "Billing questions", "enabled": false, "kind": "service",
		"dnis": ["+1 (800) 555-0100", "2079460958", "1234", "+1888*", "12*", "*"],
		"interaction": {"id": "pay a bill", "url": "https://visual.example.com:8443/start?interaction={interaction_id}#top",
			"params": {"lang": "en", "a/b~c": "", "name": "Ann"}, "caller_id": "plain", "caller_id_param": "callerId"},
		"text": "Acme: {name}, pay your bill here {a/b~c}\n{link} }{", "originator": "+14155550100",
		"validity": "72h", "on_unknown": "resend_once", "line_types": ["other", "voip", "fixed", "unknown", "mobile"], "link": {"expires_after": "365d"},
		"offer": {"mode": "ask", "prompt": "sound:deflectd/offer,sound:en/beep", "accept": "*", "decline": "#", "opt_out": "9", "timeout": "30s", "attempts": 5},
		"prompts": {"sent": "sound:deflectd/sent", "failed": "sound:deflectd/failed", "opted_out": "sound:deflectd/opted-out"},
		"release": {"action": "transfer", "wait_for": "accepted", "wait": "30s", "on_timeout": "transfer",
			"transfer": {"context": "queues", "extension": "*billing-1"}},
		"limits": {"cooldown": "30d", "per_caller_per_day": 100, "per_day": 1000000}
	}`)
	require.NoError(t, c.Validate(rules))
	require.Equal(t, []string{"+18005550100", "+12079460958", "1234", "+1888*", "12*", "*"}, c.DNIS)
	require.Equal(t, 1, c.Release.Transfer.Priority)
	require.False(t, c.IsEnabled())
}

// Each rule, and what is said when it is broken.
func TestProblems(t *testing.T) {
	type change = func(c *Campaign)
	cases := []struct {
		name   string
		change change
	}{
		{"no id", func(c *Campaign) { c.ID = "" }},
		{"id with capitals", func(c *Campaign) { c.ID = "Billing" }},
		{"id with a comma", func(c *Campaign) { c.ID = "a,b" }},
		{"id too long", func(c *Campaign) { c.ID = strings.Repeat("a", 65) }},
		{"name too long", func(c *Campaign) { c.Name = strings.Repeat("ä", 101) }},
		{"name with a line end", func(c *Campaign) { c.Name = "a\nb" }},
		{"name not UTF-8", func(c *Campaign) { c.Name = "\xff" }},
		{"id with umlauts and spaces", func(c *Campaign) { c.ID = " Bücher & Ünzeitung 2026! " }},
		{"id of another script", func(c *Campaign) { c.ID = "كتب" }},
		{"id of the form for new ones", func(c *Campaign) { c.ID = "new" }},
		{"id not UTF-8", func(c *Campaign) { c.ID = "\xff" }},
		{"name with a tab", func(c *Campaign) { c.Name = "a\tb" }},
		{"name with a bell", func(c *Campaign) { c.Name = "a\ab" }},
		{"other kind", func(c *Campaign) { c.Kind = "spam" }},
		{"no dnis", func(c *Campaign) { c.DNIS = nil }},
		{"dnis is no number", func(c *Campaign) { c.DNIS = []string{"+18005550100", "billing"} }},
		{"dnis twice", func(c *Campaign) { c.DNIS = []string{"+18005550100", "800 555 0100"} }},
		{"dnis with a broken prefix", func(c *Campaign) { c.DNIS = []string{"+*", "18005550*", "+1*800*", "**"} }},
		{"dnis that is too short for its country", func(c *Campaign) { c.DNIS = []string{"+18005550"} }},
		{"too many dnis", func(c *Campaign) { c.DNIS = make([]string, 1001) }},
		{"no URL", func(c *Campaign) { c.Interaction.URL = "" }},
		{"URL without a scheme", func(c *Campaign) { c.Interaction.URL = "visual.example.com/start" }},
		{"URL of a script", func(c *Campaign) { c.Interaction.URL = "javascript:alert(1)" }},
		{"URL without a host", func(c *Campaign) { c.Interaction.URL = "https:///start" }},
		{"URL with a password", func(c *Campaign) { c.Interaction.URL = "https://me:secret@a.example" }},
		{"URL with a broken escape", func(c *Campaign) { c.Interaction.URL = "https://a.example/%zz" }},
		{"URL with a broken query", func(c *Campaign) { c.Interaction.URL = "https://a.example/?a=%zz" }},
		{"URL with a line end", func(c *Campaign) { c.Interaction.URL = "https://a.example/\nX: y" }},
		{"URL not UTF-8", func(c *Campaign) { c.Interaction.URL = "https://a.example/\xff" }},
		{"URL with a host of another script", func(c *Campaign) { c.Interaction.URL = "https://bücher.example" }},
		{"URL with a placeholder for host", func(c *Campaign) { c.Interaction.URL = "https://{interaction_id}.example" }},
		{"URL with another placeholder", func(c *Campaign) { c.Interaction.URL = "https://a.example/{caller}" }},
		{"URL wants an interaction id", func(c *Campaign) { c.Interaction.URL = "https://a.example/{interaction_id}" }},
		{"URL too long", func(c *Campaign) { c.Interaction.URL = "https://a.example/" + strings.Repeat("a", 2000) }},
		{"param without a name", func(c *Campaign) { c.Interaction.Params = map[string]string{"": "x"} }},
		{"param with a control character", func(c *Campaign) { c.Interaction.Params = map[string]string{"a/b~c": "x\x00"} }},
		{"param in the URL already", func(c *Campaign) {
			c.Interaction.URL, c.Interaction.Params = "https://a.example?lang=de", map[string]string{"lang": "en"}
		}},
		{"too many params", func(c *Campaign) {
			c.Interaction.Params = map[string]string{}
			for i := range 51 {
				c.Interaction.Params[fmt.Sprint(i)] = ""
			}
		}},
		{"caller_id token", func(c *Campaign) { c.Interaction.CallerID = "token" }},
		{"other caller_id", func(c *Campaign) { c.Interaction.CallerID = "cookie" }},
		{"no caller_id_param", func(c *Campaign) { c.Interaction.CallerIDParam = "" }},
		{"caller_id_param in params", func(c *Campaign) { c.Interaction.Params = map[string]string{"callerId": "x"} }},
		{"caller_id_param in the URL", func(c *Campaign) { c.Interaction.URL = "https://a.example?callerId" }},
		{"no text", func(c *Campaign) { c.Text = " \n" }},
		{"text too long", func(c *Campaign) { c.Text = strings.Repeat("ä", 1001) }},
		{"text of 2,000 characters", func(c *Campaign) { c.Text = strings.Repeat("x", 2000) }},
		{"text with a bell", func(c *Campaign) { c.Text = "\a{link}" }},
		{"text not UTF-8", func(c *Campaign) { c.Text = "\xff" }},
		{"text of params that are empty", func(c *Campaign) {
			c.Text, c.Interaction.Params = "{a}\n{b}", map[string]string{"a": "", "b": " "}
		}},
		{"text with a tab and a carriage return", func(c *Campaign) { c.Text = "a\tb\r\n{link}" }},
		{"text with other placeholders", func(c *Campaign) { c.Text = "Dear {name}, {link} { link } {} {{x}}" }},
		{"text with a placeholder that is no param", func(c *Campaign) {
			c.Text, c.Interaction.Params = "{Lang} {link}", map[string]string{"lang": "en", "id": "1"}
		}},
		{"text with a placeholder beside many params", func(c *Campaign) {
			c.Text, c.Interaction.Params = "{x} {link}", map[string]string{}
			for i := range 12 {
				c.Interaction.Params[fmt.Sprintf("p%02d", i)] = ""
			}
		}},
		{"originator too long", func(c *Campaign) { c.Originator = "AcmeBilling1" }},
		{"originator with an umlaut", func(c *Campaign) { c.Originator = "Ämter" }},
		{"originator with a space", func(c *Campaign) { c.Originator = "Acme Inc" }},
		{"originator with a line end", func(c *Campaign) { c.Originator = "Acme\n" }},
		{"originator not UTF-8", func(c *Campaign) { c.Originator = "Acme\xff" }},
		{"originator of a plus", func(c *Campaign) { c.Originator = "+" }},
		{"originator with too many digits", func(c *Campaign) { c.Originator = strings.Repeat("1", 18) }},
		{"validity too short", func(c *Campaign) { c.Validity = Duration(time.Second) }},
		{"validity too long", func(c *Campaign) { c.Validity = Duration(4 * day) }},
		{"other on_unknown", func(c *Campaign) { c.OnUnknown = "resend" }},
		{"link expires too late", func(c *Campaign) { c.Link.ExpiresAfter = Duration(366 * day) }},
		{"link expires too soon", func(c *Campaign) { c.Link.ExpiresAfter = Duration(time.Second) }},
		{"no line types", func(c *Campaign) { c.LineTypes = []string{} }},
		{"other line types", func(c *Campaign) { c.LineTypes = []string{"mobile", "Fixed", "mobile", ""} }},
		{"other mode", func(c *Campaign) { c.Offer.Mode = "whisper" }},
		{"prompt of another scheme", func(c *Campaign) { c.Offer.Prompt = "https://a.example/x.wav" }},
		{"prompt list with a gap", func(c *Campaign) { c.Offer.Prompt = "sound:a,,sound:b" }},
		{"prompt out of its folder", func(c *Campaign) { c.Offer.Prompt = "sound:../../etc/passwd" }},
		{"prompt with an argument", func(c *Campaign) { c.Offer.Prompt = "sound:a&b" }},
		{"prompt too long", func(c *Campaign) { c.Offer.Prompt = "sound:" + strings.Repeat("a", 1000) }},
		{"accept is no key", func(c *Campaign) { c.Offer.Accept = "11" }},
		{"decline is no key", func(c *Campaign) { c.Offer.Decline = "A" }},
		{"accept is decline", func(c *Campaign) { c.Offer.Accept, c.Offer.Decline = "5", "5" }},
		{"timeout too long", func(c *Campaign) { c.Offer.Timeout = Duration(time.Minute) }},
		{"too many attempts", func(c *Campaign) { c.Offer.Attempts = 6 }},
		{"negative attempts", func(c *Campaign) { c.Offer.Attempts = -1 }},
		{"opt_out is no key", func(c *Campaign) { c.Offer.OptOut = "99" }},
		{"opt_out is accept", func(c *Campaign) { c.Offer.OptOut = "1" }},
		{"opt_out is decline", func(c *Campaign) { c.Offer.OptOut = "2" }},
		{"opt_out where no key is listened to", func(c *Campaign) { c.Offer.Mode, c.Offer.OptOut = ModeSend, "9" }},
		{"other_number", func(c *Campaign) { c.Offer.OtherNumber = true }},
		{"prompts", func(c *Campaign) {
			c.Prompts = Prompts{Sent: "tone:ring", Failed: "recording:x", OptedOut: "sound:x,"}
		}},
		{"hold", func(c *Campaign) { c.Release.Action = "hold" }},
		{"wait for delivered", func(c *Campaign) { c.Release.WaitFor = "delivered" }},
		{"transfer that does not wait", func(c *Campaign) { c.Release.Action, c.Release.WaitFor = "transfer", "queued" }},
		{"wait too long", func(c *Campaign) { c.Release.Wait = Duration(time.Minute) }},
		{"on_timeout hangup", func(c *Campaign) { c.Release.OnTimeout = "hangup" }},
		{"transfer without an extension", func(c *Campaign) { c.Release.Transfer = Transfer{Context: "queues", Priority: 1} }},
		{"transfer without a context", func(c *Campaign) { c.Release.Transfer = Transfer{Extension: "100", Priority: 1} }},
		{"transfer into an expression", func(c *Campaign) {
			c.Release.Transfer = Transfer{Context: "a,b,1)", Extension: "${SHELL(id)}", Priority: -1}
		}},
		{"hours", func(c *Campaign) { c.Hours = &Hours{} }},
		{"negative limits", func(c *Campaign) { c.Limits = limits(-1, -1, -1) }},
		{"limits that are too high", func(c *Campaign) { c.Limits = limits(31*day, 101, 1_000_001) }},
		{"cooldown too short", func(c *Campaign) { c.Limits = limits(time.Millisecond, 0, 0) }},
		{"shadow", func(c *Campaign) { c.Shadow = true }},
		{"holdout", func(c *Campaign) { c.Holdout = 5 }},
	}
	var b strings.Builder
	for _, tc := range cases {
		c := sample("billing", "+18005550100")
		tc.change(c)
		err := c.Validate(rules)
		var invalid Invalid
		require.ErrorAs(t, err, &invalid, tc.name)
		fmt.Fprintf(&b, "# %s\n", tc.name)
		for _, p := range invalid {
			fmt.Fprintf(&b, "%s %s\n", p.Pointer, p.Message)
		}
		b.WriteByte('\n')
	}
	const golden = "testdata/problems.txt"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func limits(cooldown time.Duration, perCaller, perDay int) *Limits {
	return &Limits{Cooldown: (*Pause)(&cooldown), PerCallerPerDay: &perCaller, PerDay: &perDay}
}

// Marketing is a kind like any other, to whoever writes it.
func TestMarketing(t *testing.T) {
	c := sample("billing", "+18005550100")
	c.Kind = KindMarketing
	require.NoError(t, c.Validate(rules))
	require.True(t, c.understood())
}

// A limit that is left out is the service's, and one that is 0 is none.
func TestLimits(t *testing.T) {
	c := readCampaign(t, `{"id":"a","dnis":["*"],"interaction":{"url":"https://a.example"},"text":"{link}",
		"limits":{"cooldown":"0s","per_day":0}}`)
	require.NoError(t, c.Validate(rules))
	require.Equal(t, new(Pause), c.Limits.Cooldown)
	require.Nil(t, c.Limits.PerCallerPerDay)
	require.Equal(t, new(int), c.Limits.PerDay)
	text, err := json.Marshal(c.Limits)
	require.NoError(t, err)
	require.JSONEq(t, `{"cooldown":"0s","per_day":0}`, string(text))
	c.Limits = new(Limits)
	require.NoError(t, c.Validate(rules))
	require.ErrorContains(t, json.Unmarshal([]byte(`{"cooldown":"-1s"}`), new(Limits)), "negative")
	require.ErrorContains(t, json.Unmarshal([]byte(`{"cooldown":"1w"}`), new(Limits)), `"90s"`)
}

func TestLineTypes(t *testing.T) {
	c := new(Campaign)
	for range 2 { // without its defaults, and with them
		for _, line := range []phone.Line{phone.Mobile, phone.Unknown} {
			require.True(t, c.Takes(line))
		}
		for _, line := range []phone.Line{phone.Fixed, phone.VoIP, phone.Other} {
			require.False(t, c.Takes(line))
		}
		c.SetDefaults()
	}
	c.LineTypes = []string{LineFixed}
	require.True(t, c.Takes(phone.Fixed))
	require.False(t, c.Takes(phone.Mobile))

	// Two campaigns have a list each.
	a, b := new(Campaign), new(Campaign)
	a.SetDefaults()
	b.SetDefaults()
	a.LineTypes[0] = LineFixed
	require.Equal(t, LineMobile, b.LineTypes[0])
}

func TestValidateParams(t *testing.T) {
	c := &Campaign{Interaction: Interaction{Params: map[string]string{"lang": "en", "a/b": ""}}}
	require.NoError(t, c.ValidateParams(nil))
	require.NoError(t, c.ValidateParams(map[string]string{"lang": "", "a/b": "{link}"}))
	err := c.ValidateParams(map[string]string{
		"a/b": "\x00", "lang": strings.Repeat("x", 501), "Lang": "de", "x/~": "", "\xff": "",
	})
	require.Equal(t, Invalid{
		{"/params/Lang", "is not one of the campaign's params; /interaction/params names: a/b, lang"},
		{"/params/a~1b", "must be one line of plain characters: take out the control character U+0000"},
		{"/params/lang", "has 501 characters; at most 500 are allowed"},
		{"/params/x~1~0", "is not one of the campaign's params; /interaction/params names: a/b, lang"},
		{"/params/\ufffd", "is not one of the campaign's params; /interaction/params names: a/b, lang"},
	}, err)
	require.EqualError(t, new(Campaign).ValidateParams(map[string]string{"lang": "de"}),
		"campaign is not valid: /params/lang: is not one of the campaign's params; /interaction/params names none")
}

func TestAllProblemsAtOnce(t *testing.T) {
	c := &Campaign{}
	c.SetDefaults()
	var invalid Invalid
	require.ErrorAs(t, c.Validate(Rules{}), &invalid)
	var pointers []string
	for _, p := range invalid {
		pointers = append(pointers, p.Pointer)
	}
	require.Equal(t, []string{"/id", "/dnis", "/interaction/url", "/text"}, pointers)
	require.ErrorContains(t, invalid, "campaign is not valid: /id: is needed")
}

// Whatever comes over the API, validation answers.
func FuzzValidate(f *testing.F) {
	f.Add(`{"id":"billing","dnis":["+18005550100"],"interaction":{"url":"https://a.example/{interaction_id}?x=1#y"},"text":"{link}"}`)
	f.Add(`{"id":"a","dnis":["*","+1*","8005550100"],"interaction":{"url":"http://[::1]:80/","params":{"a":"b"}},"text":"{link","offer":{"prompt":"sound:a,b"}}`)
	f.Add(`{"id":"a","dnis":["*"],"interaction":{"url":"https://a.example","params":{"n":"{link}"}},"text":"{n}{link}","line_types":["fixed"],"limits":{"cooldown":"0s","per_day":5},"offer":{"opt_out":"9"}}`)
	f.Add(`{"release":{"transfer":{"priority":1}},"validity":"1h"}`)
	f.Fuzz(func(t *testing.T, text string) {
		c := new(Campaign)
		if json.Unmarshal([]byte(text), c) != nil {
			return
		}
		c.SetDefaults()
		if c.Validate(rules) != nil {
			return
		}
		// What is valid stays so in the store.
		body, err := encode(c)
		require.NoError(t, err)
		r, err := decode("1 0 0 0 ab\n" + string(body))
		require.NoError(t, err)
		require.False(t, r.newer)
		r.campaign.SetDefaults()
		require.NoError(t, r.campaign.Validate(rules))
		require.Equal(t, c.DNIS, r.campaign.DNIS)
	})
}
