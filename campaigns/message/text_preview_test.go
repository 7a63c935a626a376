package message

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"deflectd/campaigns"
	"deflectd/campaigns/link"
	"deflectd/campaigns/phone"
)

// previewer is an outbox that cannot be asked to send: a preview needs nobody.
func previewer(change ...func(*Options)) *Outbox {
	o := &Outbox{opts: Options{PublicURL: "https://txt.example.com", Originator: "Acme"}}
	for _, f := range change {
		f(&o.opts)
	}
	return o
}

func TestPreview(t *testing.T) {
	o := previewer()
	c := testCampaign()
	c.Interaction.Params = map[string]string{"lang": "en", "due": "soon"}
	c.Text = "Acme: due {due} {link}"
	to := &phone.Number{E164: caller, Region: "US"}
	p, err := o.Preview(c, to, nil)
	require.NoError(t, err)
	assert.Equal(t, Preview{
		Text: "Acme: due soon https://txt.example.com/xxxxxxxxxxx", Link: "https://txt.example.com/xxxxxxxxxxx",
		InteractionURL: interaction + "&due=soon&lang=en&callerId=%2B14155550132", Originator: "Acme",
		Encoding: GSM7, Segments: 1, Length: 50, PerSegment: 160, Left: 110, Warnings: []campaigns.Problem{},
	}, p)
	assert.Len(t, p.Link, len(o.opts.PublicURL)+1+link.CodeLength)

	p, err = o.Preview(c, nil, map[string]string{"due": "in “May”"})
	require.NoError(t, err)
	assert.Contains(t, p.Text, "due in “May” http")
	assert.Equal(t, interaction+"&due=in+%E2%80%9CMay%E2%80%9D&lang=en", p.InteractionURL, "nobody's number")
	assert.Equal(t, UCS2, p.Encoding)
	assert.Equal(t, []string{"/params/due"}, pointers(p.Warnings))
	body, err := json.Marshal(p)
	require.NoError(t, err)
	for _, field := range []string{"text", "link", "interaction_url", "originator", "encoding", "segments", "length", "per_segment", "left", "warnings"} {
		assert.Contains(t, string(body), `"`+field+`":`)
	}
}

func pointers(list []campaigns.Problem) (names []string) {
	for _, p := range list {
		names = append(names, p.Pointer)
	}
	return names
}

// Whatever is missing or wrong in a draft, its text is shown.
func TestPreviewOfADraft(t *testing.T) {
	o := previewer(func(o *Options) { o.Originator = "" })
	for name, c := range map[string]struct {
		draft    campaigns.Campaign
		text     string
		url      string
		warnings []string
	}{
		"text alone":      {draft: campaigns.Campaign{Text: "Hello"}, text: "Hello", warnings: []string{"/text"}},
		"unknown name":    {draft: campaigns.Campaign{Text: "{name} {link}"}, text: "{name} https://txt.example.com/xxxxxxxxxxx"},
		"half a name":     {draft: campaigns.Campaign{Text: "{lin {link}"}, text: "{lin https://txt.example.com/xxxxxxxxxxx"},
		"HTML":            {draft: campaigns.Campaign{Text: "<script>alert(1)</script> {link}"}, text: "<script>alert(1)</script> https://txt.example.com/xxxxxxxxxxx"},
		"no address yet":  {draft: campaigns.Campaign{Text: "{link}", Interaction: campaigns.Interaction{URL: "https://"}}, text: "https://txt.example.com/xxxxxxxxxxx"},
		"no scheme":       {draft: campaigns.Campaign{Text: "{link}", Interaction: campaigns.Interaction{URL: "example.com"}}, text: "https://txt.example.com/xxxxxxxxxxx", warnings: []string{"/interaction/url"}},
		"script":          {draft: campaigns.Campaign{Text: "{link}", Interaction: campaigns.Interaction{URL: "javascript:alert(1)"}}, text: "https://txt.example.com/xxxxxxxxxxx", warnings: []string{"/interaction/url"}},
		"unparsable":      {draft: campaigns.Campaign{Text: "{link}", Interaction: campaigns.Interaction{URL: "https://[::1"}}, text: "https://txt.example.com/xxxxxxxxxxx"},
		"address alone":   {draft: campaigns.Campaign{Text: "{link}", Interaction: campaigns.Interaction{URL: "https://example.com"}}, text: "https://txt.example.com/xxxxxxxxxxx", url: "https://example.com?callerId=%2B14155550132"},
		"bad words":       {draft: campaigns.Campaign{Text: "{link}", Kind: "nosuch", DNIS: []string{"x"}, OnUnknown: "?"}, text: "https://txt.example.com/xxxxxxxxxxx"},
		"expiry too soon": {draft: campaigns.Campaign{Text: "{link}", Link: campaigns.LinkPolicy{ExpiresAfter: 1}}, text: "https://txt.example.com/xxxxxxxxxxx", warnings: []string{"/link/expires_after"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.draft
			p, err := o.Preview(&c.draft, &phone.Number{E164: caller, Region: "US"}, nil)
			require.NoError(t, err)
			assert.Equal(t, c.text, p.Text)
			assert.Equal(t, c.url, p.InteractionURL)
			assert.Equal(t, c.warnings, pointers(p.Warnings))
			assert.Empty(t, p.Originator)
			assert.Equal(t, before, c.draft, "the draft is as it was")
		})
	}
	for name, draft := range map[string]campaigns.Campaign{"empty": {}, "blank": {Text: " \n"}, "UTF-8": {Text: "a\xff"}} {
		_, err := o.Preview(&draft, nil, nil)
		var invalid campaigns.Invalid
		require.ErrorAs(t, err, &invalid, name)
		assert.Equal(t, []string{"/text"}, pointers(invalid))
	}
	_, err := o.Preview(&campaigns.Campaign{Text: "x"}, nil, map[string]string{"nosuch": "x"})
	var invalid campaigns.Invalid
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, []string{"/params/nosuch"}, pointers(invalid))
}

func TestPreviewSaysWhatATextComesFrom(t *testing.T) {
	o := previewer(guarded(t, connect(t, server), home()), func(o *Options) {
		o.Senders = senders(func(_ *campaigns.Campaign, asked string, to phone.Number) string { return asked + to.Region + to.E164 })
	})
	p, err := o.Preview(testCampaign(), &phone.Number{E164: "+49", Region: "DE"}, nil)
	require.NoError(t, err)
	assert.Equal(t, "DE+49", p.Originator)
	p, err = o.Preview(testCampaign(), nil, nil)
	require.NoError(t, err)
	assert.Equal(t, "US", p.Originator, "somebody at home")
}

// What a preview says of the segments agrees with how texts are split: so much more
// goes into the last segment, and no more.
func TestWhatIsLeftInASegment(t *testing.T) {
	for text, want := range map[string]size{
		"":                                    {GSM7, 0, 0, 160, 160},
		strings.Repeat("x", 160):              {GSM7, 1, 160, 160, 0},
		strings.Repeat("x", 161):              {GSM7, 2, 161, 153, 145},
		strings.Repeat("x", 152) + "€xxxxxxx": {GSM7, 2, 161, 153, 144},
		strings.Repeat("ж", 70):               {UCS2, 1, 70, 70, 0},
		strings.Repeat("ж", 71):               {UCS2, 2, 71, 67, 63},
		"👍":                                   {UCS2, 1, 2, 70, 68},
	} {
		assert.Equal(t, want, measureText(text), "%q", text)
	}
	rapid.Check(t, func(rt *rapid.T) {
		alphabet := rapid.SampledFrom([]string{"ab€{", "aж👍"}).Draw(rt, "alphabet")
		text := rapid.StringOfN(rapid.RuneFrom([]rune(alphabet)), 0, 500, -1).Draw(rt, "text")
		s := measureText(text)
		unit := "x"
		if s.encoding == GSM7 {
			assert.LessOrEqual(rt, s.length, s.segments*s.each)
		} else {
			unit = "ж"
			assert.Equal(rt, len(utf16.Encode([]rune(text))), s.length)
		}
		full := measureText(text + strings.Repeat(unit, s.left))
		assert.Equal(rt, max(1, s.segments), max(1, full.segments))
		assert.Zero(rt, full.left)
		assert.Greater(rt, measureText(text+strings.Repeat(unit, s.left+1)).segments, s.segments)
	})
}
