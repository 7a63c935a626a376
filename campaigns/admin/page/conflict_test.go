package page

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompare(t *testing.T) {
	form := func(change url.Values) entries { return entriesOf(filled(change)) }
	for name, test := range map[string]struct {
		base, theirs, yours entries
		want                map[string]changer
		clash, theyAlone    bool
	}{
		"nothing": {base: form(nil), theirs: form(nil), yours: form(nil), want: map[string]changer{}},
		"they changed one": {
			base: form(nil), theirs: form(url.Values{"name": {"A"}}), yours: form(nil),
			want: map[string]changer{"name": changedByThem}, theyAlone: true,
		},
		"you changed one": {
			base: form(nil), theirs: form(nil), yours: form(url.Values{"name": {"A"}}),
			want: map[string]changer{"name": changedByYou},
		},
		"both the same": {
			base: form(nil), theirs: form(url.Values{"name": {"A"}}), yours: form(url.Values{"name": {" A"}}), want: map[string]changer{},
		},
		"each another one": {
			base: form(nil), theirs: form(url.Values{"name": {"A"}}), yours: form(url.Values{"text": {"{link}"}}),
			want: map[string]changer{"name": changedByThem, "text": changedByYou}, theyAlone: true,
		},
		"both the one": {
			base: form(nil), theirs: form(url.Values{"name": {"A"}, "validity": {"1h"}}), yours: form(url.Values{"name": {"B"}, "validity": {"60m"}}),
			want: map[string]changer{"name": changedByBoth}, clash: true,
		},
		"nobody knows": {
			theirs: form(url.Values{"name": {"A"}}), yours: form(nil), want: map[string]changer{"name": changedByBoth}, clash: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := compare(test.base, test.theirs, test.yours)
			found := map[string]changer{}
			for _, d := range got.Differences {
				found[d.Field.Name] = d.Who
			}
			if len(found) != len(test.want) || got.Clash != test.clash || got.Theirs != test.theyAlone {
				t.Errorf("found %v (clash %v, they alone %v), want %v", found, got.Clash, got.Theirs, test.want)
			}
			for name, who := range test.want {
				if found[name] != who {
					t.Errorf("%s was changed by %q, want %q", name, found[name], who)
				}
			}
		})
	}
}

func TestWhatAFieldSays(t *testing.T) {
	for name, test := range map[string]struct {
		pointer string
		value   any
		place   string
		want    []string
	}{
		"a word":         {"/offer/mode", "send", "Before the text", []string{"Send it without asking"}},
		"nothing":        {"/offer/timeout", nil, "Wait for a key", []string{"6s (usual)"}},
		"no prompt":      {"/prompts/sent", nil, "Played when the text is on its way", []string{"nothing"}},
		"off":            {"/enabled", false, "Switched on", []string{"off"}},
		"left out":       {"/enabled", nil, "Switched on", []string{"on"}},
		"numbers":        {"/dnis", []any{"+1", "2*"}, "Numbers it answers", []string{"+1", "2*"}},
		"a number":       {"/dnis/0", "+1", "Numbers it answers", []string{"+1"}},
		"a kind of line": {"/line_types/1", "voip", "Kinds of line it may be sent to", []string{"Internet telephony (VoIP)"}},
		"params":         {"/interaction/params", map[string]any{"b": "2", "a": "1"}, "Parameters", []string{"a = 1", "b = 2"}},
		"a param":        {"/interaction/params/a~1b", "<i>", "Parameters: a/b", []string{"<i>"}},
		"lines":          {"/text", "a\nb", "Text", []string{"a", "b"}},
		"a limit":        {"/limits/per_day", float64(0), "Texts of this campaign a day", []string{"0"}},
		"no field":       {"/hours", map[string]any{"timezone": "UTC"}, "/hours", []string{"timezone = UTC"}},
	} {
		t.Run(name, func(t *testing.T) {
			place, lines := saidOf(test.pointer, test.value)
			if place != test.place || !slices.Equal(lines, test.want) {
				t.Errorf("got %q: %q, want %q: %q", place, lines, test.place, test.want)
			}
		})
	}
}

func TestTwoPeopleWhoChangeDifferentFieldsCanBothBeRight(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	page, opened := b.get("/campaigns/billing"), f.saved("billing")
	f.call(http.MethodPatch, "/v1/campaigns/billing", `{"name":"Theirs"}`, http.StatusOK)

	clash := b.post("/campaigns/billing", page.typed(opened, "originator", "Acme")...).want(http.StatusPreconditionFailed)
	clash.shows("admin saved this campaign while you were editing it", "You did not touch the same fields", "Theirs", "Acme", "Take both")
	clash.has(`value="Billing questions"`, `name="version" value="2"`, `name="base" value="1"`)
	require.Empty(t, f.saved("billing").Originator)

	// Somebody else comes in between once more.
	f.call(http.MethodPatch, "/v1/campaigns/billing", `{"offer":{"attempts":3}}`, http.StatusOK)
	clash = b.post("/campaigns/billing", clash.typed(opened, "originator", "Acme", "do", doBoth)...).want(http.StatusPreconditionFailed)
	clash.shows("with 2 versions since you opened it")

	b.post("/campaigns/billing", clash.typed(opened, "originator", "Acme", "do", doBoth)...).to("/campaigns/billing?notice=campaign-saved")
	now := f.saved("billing")
	require.Equal(t, []any{"Theirs", "Acme", 3}, []any{now.Name, now.Originator, now.Offer.Attempts})
}

func TestTwoPeopleWhoChangeTheSameFieldHaveToDecide(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	page, opened := b.get("/campaigns/billing"), f.saved("billing")
	f.call(http.MethodPatch, "/v1/campaigns/billing", `{"name":"Theirs","originator":"Other"}`, http.StatusOK)
	clash := b.post("/campaigns/billing", page.typed(opened, "name", "Mine")...).want(http.StatusPreconditionFailed).
		shows("to different values", "both of you", "Take both, mine where we differ")

	// Saving what the form says is a decision: it takes the place of all.
	b.post("/campaigns/billing", clash.typed(opened, "name", "Mine")...).to("/campaigns/billing?notice=campaign-saved")
	require.Equal(t, "Mine", f.saved("billing").Name)
	require.Empty(t, f.saved("billing").Originator)
}

func TestACampaignDeletedWhileItsFormIsOpen(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	page, opened := b.get("/campaigns/billing"), f.saved("billing")
	f.call(http.MethodDelete, "/v1/campaigns/billing", "", http.StatusNoContent)

	gone := b.post("/campaigns/billing", page.typed(opened, "name", "Mine")...).want(http.StatusNotFound)
	gone.shows("This campaign was deleted", "admin deleted it on", "Restore and save").has(`value="Mine"`)
	b.post("/campaigns/billing/test", page.typed(opened, "to", "+14155550123")...).want(http.StatusNotFound).shows("This campaign was deleted")
	f.call(http.MethodGet, "/v1/campaigns/billing", "", http.StatusNotFound)

	b.post("/campaigns/billing", gone.typed(opened, "name", "Mine", "do", doRestore)...).to("/campaigns/billing?notice=campaign-saved")
	require.Equal(t, "Mine", f.saved("billing").Name)

	// Its number has another owner meanwhile: it says whose, and nothing is lost.
	page = b.get("/campaigns/billing")
	f.call(http.MethodDelete, "/v1/campaigns/billing", "", http.StatusNoContent)
	f.create(campaign("other", "Other", "+18005550101"))
	b.post("/campaigns/billing", page.typed(opened, "name", "Again", "do", doRestore)...).want(http.StatusConflict).
		shows("other").has(`value="Again"`, `href="/campaigns/other"`)
	b.get("/campaigns/billing").want(http.StatusNotFound).shows("billing was deleted", "Restore it")
	b.post("/campaigns/billing/restore").want(http.StatusConflict).shows("Not restored", "other")
	f.call(http.MethodDelete, "/v1/campaigns/other", "", http.StatusNoContent)
	b.post("/campaigns/billing/restore").to("/campaigns/billing?notice=campaign-restored")
}

// What somebody else has changed before the campaign was deleted is not
// overwritten unseen by who brings it back.
func TestBringingBackDoesNotHideWhatWasChanged(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	page, opened := b.get("/campaigns/billing"), f.saved("billing")
	f.call(http.MethodPatch, "/v1/campaigns/billing", `{"name":"Theirs"}`, http.StatusOK)
	f.call(http.MethodDelete, "/v1/campaigns/billing", "", http.StatusNoContent)

	clash := b.post("/campaigns/billing", page.typed(opened, "originator", "Acme", "do", doRestore)...).want(http.StatusPreconditionFailed).
		shows("Theirs", "Acme", "Take both")
	require.Equal(t, "Theirs", f.saved("billing").Name, "it is back, as it was")
	b.post("/campaigns/billing", clash.typed(opened, "originator", "Acme", "do", doBoth)...).to("/campaigns/billing?notice=campaign-saved")
	require.Equal(t, []string{"Theirs", "Acme"}, []string{f.saved("billing").Name, f.saved("billing").Originator})
}

func TestRestoringTwiceIsRestoring(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	f.call(http.MethodDelete, "/v1/campaigns/billing", "", http.StatusNoContent)
	for _, address := range []string{"/campaigns/billing", "/campaigns/billing/history"} {
		require.Contains(t, b.get(address).body, `href="/?show=deleted"`)
	}
	for range 2 {
		b.post("/restore", "id", "billing").to("/campaigns/billing?notice=campaign-restored")
	}
	b.post("/campaigns/billing/restore").to("/campaigns/billing?notice=campaign-restored")
}
