package page

import (
	"net/url"
	"slices"
	"testing"
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
