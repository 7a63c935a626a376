package page

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
)

// saved is a campaign as the API has it now.
func (f *fixture) saved(id string) *campaigns.Campaign {
	f.t.Helper()
	c := new(campaigns.Campaign)
	require.NoError(f.t, json.Unmarshal([]byte(f.call(http.MethodGet, "/v1/campaigns/"+id, "", http.StatusOK)), c))
	return c
}

// revisions are what was done to a campaign, the latest first.
func (f *fixture) revisions(id string) []campaigns.Revision {
	f.t.Helper()
	var found struct{ Items []campaigns.Revision }
	require.NoError(f.t, json.Unmarshal([]byte(f.call(http.MethodGet, "/v1/campaigns/"+id+"/history", "", http.StatusOK)), &found))
	return found.Items
}

var hidden = map[string]string{"version": `name="version" value="`, "base": `name="base" value="`, "key": `name="key" value="`, "test_key": `name="test_key" value="`}

// typed is the form of a campaign as a page shows it, with some fields changed
// (NAME, VALUE …): what a browser would post.
func (a answer) typed(c *campaigns.Campaign, changes ...string) []string {
	a.b.t.Helper()
	e, err := entriesIn(c)
	require.NoError(a.b.t, err)
	form := e.post()
	for name, before := range hidden {
		if _, rest, found := strings.Cut(a.body, before); found {
			value, _, _ := strings.Cut(rest, `"`)
			form.Set(name, value)
		}
	}
	for i := 0; i < len(changes); i += 2 {
		form[changes[i]] = []string{changes[i+1]}
	}
	return flat(form)
}

func flat(form url.Values) (pairs []string) {
	for name, values := range form {
		for _, value := range values {
			pairs = append(pairs, name, value)
		}
	}
	return pairs
}

// made is the form of a new campaign.
func made(changes ...string) []string {
	form := filled(nil)
	form.Set("key", "once")
	for i := 0; i < len(changes); i += 2 {
		form[changes[i]] = []string{changes[i+1]}
	}
	return flat(form)
}

func TestCreateACampaign(t *testing.T) {
	f := newFixture(t)
	f.sender()
	b := f.browser("editor")
	b.get("/campaigns/new").want(http.StatusOK).shows("New campaign", "What it says", "Who it answers", "The call", "Limits")

	b.post("/campaigns/new", made()...).to("/campaigns/billing?notice=campaign-created")
	require.Equal(t, int64(1), f.saved("billing").Version)
	require.Len(t, f.revisions("billing")[0].Changes, 5, "what is usual is not written")
	b.get("/campaigns/billing?notice=campaign-created").want(http.StatusOK).shows("The campaign is saved", "+14155550100", "Acme: pay your bill here")

	// The button was pressed twice: the form comes a second time.
	b.post("/campaigns/new", made()...).to("/campaigns/billing?notice=campaign-created")
	require.Len(t, f.revisions("billing"), 1)

	// With something else in it, it is another campaign, and needs a key of its
	// own.
	b.post("/campaigns/new", made("id", "another", "name", "Another", "dnis", "555")...).want(http.StatusConflict).
		shows("Not saved").has(`value="Another"`).lacks(`name="key" value="once"`)
	// The id says which is in the way.
	b.post("/campaigns/new", made("key", "other", "name", "Another", "dnis", "555")...).want(http.StatusConflict).
		shows("Short name (id)", "Is taken").has(`value="Another"`, `href="/campaigns/billing"`)
}

// has says that markup is on the page.
func (a answer) has(markup ...string) answer {
	a.b.t.Helper()
	for _, m := range markup {
		require.Contains(a.b.t, a.body+unescape(a.body), m)
	}
	return a
}

// lacks says that markup is not on the page.
func (a answer) lacks(markup ...string) answer {
	a.b.t.Helper()
	for _, m := range markup {
		require.NotContains(a.b.t, a.body, m)
	}
	return a
}

func TestANumberThatIsTakenNamesAndLinksItsCampaign(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	f.browser("editor").post("/campaigns/new", made("id", "other", "dnis", "555\r\n(800) 555-0101")...).want(http.StatusConflict).
		shows("“(800) 555-0101” is answered by campaign billing").has(`href="/campaigns/billing"`, "555\n(800) 555-0101</textarea>")
}

func TestAllThatIsWrongIsSaidAtOnceAndNothingTypedIsLost(t *testing.T) {
	f := newFixture(t)
	b := f.browser("editor")
	page := b.post("/campaigns/new", made(
		"id", "Billing!", "text", "", "validity", "soon", "offer.attempts", "many", "offer.decline", "1", "dnis", "+1800\nabc",
	)...).want(http.StatusUnprocessableEntity)
	page.has(`value="Billing!"`, `value="soon"`, `value="many"`, "+1800\nabc</textarea>")
	page.shows("Short name (id):", "Text:", "The text is worth delivering for:", "Is not a time", "Times it is offered:", "whole number",
		"“Key for the text”", "“abc” is not a number")
	page.has(`href="#f-validity"`, `id="f-validity-error"`, `aria-invalid="true"`)
	f.call(http.MethodGet, "/v1/campaigns/billing", "", http.StatusNotFound)
}

func TestChangeACampaign(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	page := b.get("/campaigns/billing").want(http.StatusOK)
	now := f.saved("billing")

	b.post("/campaigns/billing", page.typed(now)...).to("/campaigns/billing?notice=campaign-same")
	require.Len(t, f.revisions("billing"), 1)

	b.post("/campaigns/billing", page.typed(now, "name", "Bills", "limits.per_day", "0", "validity", "1h")...).
		to("/campaigns/billing?notice=campaign-saved")
	changes := f.revisions("billing")[0]
	require.Equal(t, "editor", changes.By)
	var pointers []string
	for _, c := range changes.Changes {
		pointers = append(pointers, c.Pointer)
	}
	slices.Sort(pointers)
	require.Equal(t, []string{"/limits/per_day", "/name", "/validity"}, pointers)

	page = b.get("/campaigns/billing")
	b.post("/campaigns/billing", page.typed(f.saved("billing"), "validity", "", "limits.per_day", "")...).to("/campaigns/billing?notice=campaign-saved")
	require.Equal(t, campaigns.Duration(15*time.Minute), f.saved("billing").Validity)
	require.True(t, f.saved("billing").Limits == nil || f.saved("billing").Limits.PerDay == nil)

	page = b.get("/campaigns/billing")
	b.post("/campaigns/billing", page.typed(f.saved("billing"), "text", "", "dnis", "", "release.wait", "1m")...).want(http.StatusUnprocessableEntity).
		shows("Text: Is needed", "Numbers it answers: Is needed", "Wait for that: Is 1m")
}

func TestACampaignThatNeverWas(t *testing.T) {
	f := newFixture(t)
	b := f.browser("editor")
	b.get("/campaigns/nothing").want(http.StatusNotFound)
	b.get("/campaigns/nothing/history").want(http.StatusNotFound)
	b.get("/campaigns/nothing/history/1").want(http.StatusNotFound)
	b.get("/campaigns/%3Cscript%3E").want(http.StatusNotFound).lacks("<script>alert")
	b.post("/campaigns/nothing/restore").want(http.StatusNotFound)

	// A form for it is not lost: it can become one.
	b.post("/campaigns/nothing", made("name", "Mine")...).want(http.StatusNotFound).shows("no longer there", "Create it anew").has(`value="Mine"`)
}

func TestWhoMayNotChangeACampaignCanLookAtIt(t *testing.T) {
	f := newFixture(t)
	f.sender()
	f.create(billing)
	b := f.browser("viewer")
	page := b.get("/campaigns/billing").want(http.StatusOK).shows("Acme: pay here", "needs the role editor").hides("Save changes", "Send me a test")
	page.has(`disabled`)
	b.get("/campaigns/new").want(http.StatusForbidden)
	b.post("/campaigns/new", made()...).want(http.StatusForbidden)
	b.post("/campaigns/billing", page.typed(f.saved("billing"), "name", "Mine")...).want(http.StatusForbidden).shows("needs the role editor")
	b.post("/campaigns/billing/test", page.typed(f.saved("billing"), "to", "+14155550123")...).want(http.StatusForbidden)
	b.post("/campaigns/billing/restore").want(http.StatusForbidden)
	b.post("/campaigns/billing/history/1", "version", "1").want(http.StatusForbidden)
	require.Equal(t, int64(1), f.saved("billing").Version)

	// What others cannot type, they need not send: they see what is saved.
	b.post("/campaigns/billing/preview", "to", "+14155550123").want(http.StatusOK).shows("Acme: pay here")
}

func TestASessionThatEndsInTheMiddleOfAForm(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	page, now := b.get("/campaigns/billing"), f.saved("billing")
	form := page.typed(now, "name", "Mine <b>")
	b.post("/sign-out")
	asked := b.post("/campaigns/billing", form...).want(http.StatusUnauthorized)
	require.Equal(t, int64(1), f.saved("billing").Version)

	// The sign-in page holds all of it; after it the form is shown again.
	kept := []string{"token", "editor", "again", "/campaigns/billing"}
	for i := 0; i < len(form); i += 2 {
		kept = append(kept, keptPrefix+form[i], form[i+1])
		require.Contains(t, asked.body, keptPrefix+form[i])
	}
	b.post("/sign-in", kept...).want(http.StatusOK).shows("nothing was saved yet", "Unsaved changes").has(`value="Mine &lt;b&gt;"`)
	require.Equal(t, int64(1), f.saved("billing").Version)
	b.post("/campaigns/billing", form...).to("/campaigns/billing?notice=campaign-saved")
	require.Equal(t, "Mine <b>", f.saved("billing").Name)
}

// bad is what people and programs may put into a field.
var bad = map[string]string{
	"empty": "", "huge": strings.Repeat("Long", 1250), "script": `"><script>alert(1)</script>{{.}}`, "emoji": "👩‍👩‍👧‍👦👍🏽",
	"right to left": "שלום \u202Eevil", "wrong type": `{"a":["b"]}`, "number": "-99999999999999999999", "pointer": "/text",
}

// TestEveryFieldTakesBadInput has all fields hold what they should not: the
// answer is a page that says what is wrong, each control has again what was
// typed in it, and nothing is executed. What each field alone makes of it is
// TestDocument's.
func TestEveryFieldTakesBadInput(t *testing.T) {
	f := newFixture(t)
	b := f.browser("editor")
	for name, value := range bad {
		form := filled(pairs(value, value))
		controls := 2
		for _, field := range fields {
			if field.Control != controlPairs {
				form[field.Name] = []string{value}
			}
			if field.Control != controlPairs && field.Control != controlSwitch && field.Control != controlChecks {
				controls++
			}
		}
		page := b.post("/campaigns/new", flat(form)...).want(http.StatusUnprocessableEntity).shows("need another look").lacks("<script>alert")
		if value != "" {
			require.GreaterOrEqual(t, strings.Count(page.body, template.HTMLEscapeString(value)), controls, name)
		}
	}
	b.post("/campaigns/new", made("text", strings.Repeat("x", 300_000))...).want(http.StatusRequestEntityTooLarge)
	f.quiet()
}

// quiet says that nothing went wrong inside.
func (f *fixture) quiet() {
	f.t.Helper()
	for line := range strings.Lines(f.log.String()) {
		require.NotContains(f.t, line, "level=ERROR")
	}
}

// TestWhatIsOddAndAllowedIsShownAsItIs saves what no rule forbids, however odd,
// and looks at it wherever it is shown.
func TestWhatIsOddAndAllowedIsShownAsItIs(t *testing.T) {
	f := newFixture(t)
	b := f.browser("editor")
	for _, kind := range []string{"script", "emoji", "right to left", "wrong type"} {
		value := bad[kind]
		form := filled(pairs("odd", value))
		form["name"], form["interaction.id"], form["text"] = []string{value}, []string{value}, []string{"{odd} {link}"}
		b.post("/campaigns/new", flat(form)...).to("/campaigns/billing?notice=campaign-created")
		for _, address := range []string{"/campaigns/billing", "/campaigns/billing/history", "/"} {
			page := b.get(address).want(http.StatusOK).lacks("<script>alert")
			require.Contains(t, page.body, template.HTMLEscapeString(value), kind+" at "+address)
		}
		f.call(http.MethodDelete, "/v1/campaigns/billing", "", http.StatusNoContent)
	}
	f.quiet()
}

func TestWhatIsInTheWayIsNamedOnce(t *testing.T) {
	require.Equal(t, []string{"a", "b"}, inTheWay(&admin.Problem{
		Campaigns: []string{"a"}, Detail: "+1 is answered by campaign b", Errors: []admin.Detail{{Detail: "is answered by campaign b"}},
	}))
}
