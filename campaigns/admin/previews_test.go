package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

const previewBilling = one + "/preview"

// A campaign that is saved is shown as it would be sent, and nothing is left
// behind by it.
func TestPreview(t *testing.T) {
	f := newFixture(t)
	f.do("POST", previewBilling, `{}`).want(404)
	f.do("POST", campaignsPath, withParams).want(201)
	f.unchanged("preview", func() {
		p := read[Preview](f.do("POST", previewBilling, `{"to":"(415) 555-0132","params":{"due":"Friday"}}`, as("look")).want(200))
		require.Equal(t, "Acme: pay until Friday "+p.Link+" or Friday", p.Text)
		require.True(t, strings.HasPrefix(p.Link, "https://txt.example.com/"))
		require.Len(t, p.Link, len("https://txt.example.com/")+11)
		require.Contains(t, p.InteractionURL, "callerId=%2B14155550132")
		require.Contains(t, p.InteractionURL, "due=Friday")
		require.Equal(t, "Acme", p.Originator)
		require.Equal(t, "gsm7", p.Encoding)
		require.Equal(t, 1, p.Segments)
		require.Equal(t, 160, p.PerSegment)
		require.Equal(t, 160, p.Length+p.Left)
		require.Empty(t, p.Errors)
		require.Contains(t, f.do("POST", previewBilling, `{}`).body, `"warnings":[`)
	})
	// Without a number it is one of numbers.region.
	p := read[Preview](f.do("POST", previewBilling, `{}`).want(200))
	require.Contains(t, p.InteractionURL, "callerId=%2B1")
	f.do("POST", previewBilling, "", "Content-Type:").want(200)
	tooLong := `{"to":"` + strings.Repeat("1", 65) + `"}`
	for body, place := range map[string]string{
		`{"to":"nobody"}`:               "/to",
		`{"to":7}`:                      "/to",
		`{"to":""}`:                     "",
		`{"params":{"colour":"red"}}`:   "/params/colour",
		`{"params":{"due":7}}`:          "/params/due",
		`{"draft":"billing"}`:           "/draft",
		`{"draft":[]}`:                  "/draft",
		`{"colour":"red"}`:              "/colour",
		`[]`:                            "",
		`{"params":{"due":"a\u0000b"}}`: "/params/due",
		`{"to":"+14155550132\u0000"}`:   "/to",
		`{"params":"due=Friday"}`:       "/params",
		tooLong:                         "/to",
	} {
		if place == "" && strings.HasPrefix(body, "{") {
			f.do("POST", previewBilling, body).want(200) // an empty number is none
			continue
		}
		f.do("POST", previewBilling, body).want(422).names(place)
	}
}

// draft is a preview of a draft.
func (f *fixture) draft(id, draft string) Preview {
	f.t.Helper()
	return read[Preview](f.do("POST", campaignsPath+"/"+id+"/preview", `{"draft":`+draft+`}`).want(200))
}

func pointers(all []campaigns.Problem) (list []string) {
	for _, p := range all {
		list = append(list, p.Pointer)
	}
	return list
}

// A draft need not be right: what can be shown is shown, with all that is wrong.
func TestPreviewOfDrafts(t *testing.T) {
	f := newFixture(t)
	p := f.draft("fresh", campaign("anything", "+18005550103"))
	require.Empty(t, p.Errors)
	require.Contains(t, p.Text, "Acme: pay here https://")

	with := func(extra string) string {
		return strings.TrimSuffix(campaign("fresh", "+18005550103"), "}") + "," + extra + "}"
	}
	for name, tc := range map[string]struct {
		draft string
		wrong []string
	}{
		"nothing":           {`{}`, []string{"/dnis", "/interaction/url", "/text"}},
		"a text":            {`{"text":"Hello {link}"}`, []string{"/dnis", "/interaction/url"}},
		"spaces":            {`{"text":"   "}`, []string{"/dnis", "/interaction/url", "/text"}},
		"wrong types":       {with(`"enabled":"yes","offer":{"attempts":"two"},"name":7`), []string{"/name", "/enabled", "/offer/attempts"}},
		"a text is none":    {strings.Replace(billing, `"Acme: pay here {link}"`, `7`, 1), []string{"/text"}},
		"no object":         {`{"interaction":"https://x.example","text":"a","dnis":["1"]}`, []string{"/interaction"}},
		"durations":         {with(`"validity":"0s","link":{"expires_after":"soon"},"limits":{"cooldown":"-1s"}`), []string{"/validity", "/link/expires_after", "/limits/cooldown"}},
		"a long duration":   {with(`"validity":"99999999999999999999d"`), []string{"/validity"}},
		"numbers":           {strings.Replace(billing, `"+18005550101"`, `7,"hello"`, 1), []string{"/dnis/0"}},
		"a bad number":      {strings.Replace(billing, `+18005550101`, `hello`, 1), []string{"/dnis/0"}},
		"unknown":           {with(`"colour":"red","offer":{"volume":11}`), []string{"/offer/volume", "/colour"}},
		"unknown word":      {with(`"kind":"poem"`), []string{"/kind"}},
		"placeholder":       {strings.Replace(billing, "pay here", "{who} pays", 1), []string{"/text"}},
		"too long":          {strings.Replace(billing, "pay here", strings.Repeat("ж", 700), 1), []string{"/text"}},
		"no https and such": {strings.Replace(billing, "https://visual.example.com/start", "javascript:alert(1)", 1), []string{"/interaction/url"}},
		"set by us":         {with(`"version":7`), nil},
	} {
		p := f.draft("fresh", tc.draft)
		require.Equal(t, tc.wrong, pointers(p.Errors), "%s: %v", name, p.Errors)
		for _, e := range p.Errors {
			require.NotEmpty(t, e.Message)
			require.NotContains(t, e.Message, "expected")
			require.NotContains(t, e.Message, "Go struct")
		}
		if strings.Contains(strings.Join(tc.wrong, " "), "/text") && name != "placeholder" && name != "too long" {
			require.Empty(t, p.Text, name)
		} else {
			require.NotEmpty(t, p.Text, name)
		}
		require.NotEmpty(t, p.Encoding)
	}
	f.do("POST", campaignsPath+"/fresh/preview", `{"draft":{"name":null}}`).want(400).names("/draft/name")
}

// What people write stays text, whatever it looks like.
func TestPreviewKeepsWhatIsWritten(t *testing.T) {
	f := newFixture(t)
	for _, text := range []string{"<script>alert(1)</script>", "&amp; \"' </textarea>", "😀 🇩🇪 👩‍👩‍👧", "שלום עולם", "\u202eevil", "{\"a\":1}", "a\nb"} {
		quoted, err := json.Marshal("Hi " + text + " {link}")
		require.NoError(t, err)
		p := f.draft("fresh", strings.Replace(billing, `"Acme: pay here {link}"`, string(quoted), 1))
		require.Equal(t, "Hi "+text+" "+p.Link, p.Text)
	}
	p := f.draft("fresh", strings.Replace(billing, "pay here", "שלום", 1))
	require.Equal(t, "ucs2", p.Encoding)
	require.Equal(t, 70, p.PerSegment)
	require.Contains(t, pointers(p.Warnings), "/text")
}

// A number that another campaign answers is a warning: it may be let go of.
func TestPreviewOfTakenNumbers(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	p := f.draft("fresh", `{"text":"a {link}","interaction":{"url":"https://x.example"},"dnis":["+18005550109","(800) 555-0101"]}`)
	require.Empty(t, p.Errors)
	require.Contains(t, p.Warnings, campaigns.Problem{Pointer: "/dnis/1", Message: "+18005550101 is answered by campaign billing"})
	require.NotContains(t, pointers(f.draft("billing", billing).Warnings), "/dnis/0", "it is its own")
}

// A prompt that no Asterisk has is named wherever a campaign is shown by itself;
// where none can be asked, nothing is said.
func TestPromptsThatNoAsteriskHas(t *testing.T) {
	var asked []string
	answer := func(context.Context, string) (bool, error) { return false, nil }
	f := newFixture(t, func(o *Options) {
		o.Sounds = func(ctx context.Context, name string) (bool, error) {
			asked = append(asked, name)
			return answer(ctx, name)
		}
	})
	body := strings.TrimSuffix(billing, "}") + `,"prompts":{"sent":"sound:acme/sent,sound:beep"}}`
	named := func(r reply) {
		t.Helper()
		c := read[campaigns.Campaign](r)
		require.Subset(t, pointers(c.Warnings), []string{"/offer/prompt", "/prompts/sent"})
		require.Contains(t, r.body, "acme/sent")
	}
	named(f.do("POST", campaignsPath, body).want(201))
	require.Equal(t, []string{"deflectd/offer", "acme/sent", "beep"}, asked)
	named(f.do("GET", one, "").want(200))
	named(f.do("PATCH", one, `{"name":"x"}`, match).want(200))
	require.Contains(t, pointers(f.draft("fresh", body).Warnings), "/prompts/sent")
	require.Contains(t, pointers(read[Preview](f.do("POST", previewBilling, `{}`)).Warnings), "/offer/prompt")
	asked = nil
	f.do("GET", campaignsPath, "").want(200)
	require.Empty(t, asked, "a list asks nobody")

	for _, answer = range []func(context.Context, string) (bool, error){
		func(context.Context, string) (bool, error) { return true, nil },
		func(context.Context, string) (bool, error) { return false, errors.New("no Asterisk is connected") },
	} {
		require.NotContains(t, f.do("GET", one, "").want(200).body, "/prompts/sent")
	}
}
