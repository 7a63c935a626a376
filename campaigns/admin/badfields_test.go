package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// hostile is what people, by mistake or on purpose, put into any field.
var hostile = map[string]any{
	"empty":         "",
	"spaces":        "   ",
	"huge":          strings.Repeat("a", 20_000),
	"script":        `<script>alert("1")</script>`,
	"attribute":     `"><img src=x onerror=alert(1)>`,
	"emoji":         "😀🇩🇪👩‍👩‍👧",
	"right to left": "שלום \u202eevil",
	"a template":    "{{.}} ${7*7} {link}",
	"a path":        "../../etc/passwd",
	"lines":         "a\r\nX: y",
	"NUL":           "a\x00b",
	"a number":      7,
	"negative":      -1,
	"large":         1 << 40,
	"true":          true,
	"a list":        []any{"a"},
	"lists":         []any{[]any{}},
	"an object":     map[string]any{"a": "b"},
	"empty object":  map[string]any{},
	"empty list":    []any{},
}

// fieldsOf are the pointers to all fields that people write, the inner ones of
// objects in place of those.
func fieldsOf(at string, t reflect.Type) (all []string) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("readOnly") == "true" {
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		all = append(all, at+"/"+name)
		switch inner.Kind() {
		case reflect.Struct:
			all = append(all, fieldsOf(at+"/"+name, inner)...)
		case reflect.Map:
			all = append(all, at+"/"+name+"/a")
		case reflect.Slice:
			all = append(all, at+"/"+name+"/0")
		default:
		}
	}
	return all
}

// put sets what a pointer leads to, in a document.
func put(document map[string]any, at string, value any) {
	names := strings.Split(at[1:], "/")
	for i, name := range names {
		switch {
		case i == len(names)-1:
			document[name] = value
		case names[i+1] == "0": // an item of a list
			document[name] = []any{value}
			return
		default:
			inner, _ := document[name].(map[string]any)
			if inner == nil {
				inner = map[string]any{}
			}
			document[name] = inner
			document = inner
		}
	}
}

// Whatever is put into whichever field is either kept just as it is, or refused
// with a word about that very field; and nothing is left of what was refused.
func TestAnythingInAnyField(t *testing.T) {
	f := newFixture(t)
	fields := fieldsOf("", reflect.TypeFor[campaigns.Campaign]())
	require.Greater(t, len(fields), 50)
	kept := 0
	for _, at := range fields {
		for _, name := range slices.Sorted(maps.Keys(hostile)) {
			document := map[string]any{}
			require.NoError(t, json.Unmarshal([]byte(billing), &document))
			put(document, at, hostile[name])
			body, err := json.Marshal(document)
			require.NoError(t, err)
			what := at + ": " + name
			r := f.do("POST", campaignsPath, string(body))
			if r.code == http.StatusCreated {
				kept++
				f.keeps(what, at, hostile[name])
				continue
			}
			require.Equal(t, http.StatusUnprocessableEntity, r.code, "%s: %s", what, r.body)
			// What only goes with another field may be told at that one, beside it.
			beside := at[:strings.LastIndexByte(at, '/')]
			told := slices.ContainsFunc(r.problem().Errors, func(d Detail) bool {
				return related(*d.Pointer, at) || beside != "" && related(*d.Pointer, beside)
			})
			require.True(t, told, "%s: %s", what, r.body)
			for _, words := range []string{"expected", "Go struct", "json:", "strconv", "cannot unmarshal"} {
				require.NotContains(t, r.body, words, what)
			}
			require.Less(t, len(r.body), 4096, "%s: what was sent is not sent back", what)
		}
	}
	require.Greater(t, kept, 50, "some of it is fine: %d", kept)
	require.Empty(t, read[CampaignList](f.do("GET", campaignsPath, "").want(200)).Items)
	require.False(t, strings.Contains(f.log.String(), "a request failed"))
}

// keeps finds what was put into a field of the campaign that was made, and
// deletes it.
func (f *fixture) keeps(what, at string, value any) {
	f.t.Helper()
	all := read[CampaignList](f.do("GET", campaignsPath, "").want(200)).Items
	require.Len(f.t, all, 1, what)
	path := campaignsPath + "/" + all[0].ID
	written, err := f.options.Campaigns.Written(f.t.Context(), all[0].ID)
	require.NoError(f.t, err)
	if text, ok := value.(string); ok && strings.TrimSpace(text) != "" && !strings.HasPrefix(at, "/dnis") {
		raw, err := json.Marshal(written)
		require.NoError(f.t, err)
		var document any
		require.NoError(f.t, json.Unmarshal(raw, &document))
		for name := range strings.SplitSeq(at[1:], "/") {
			if list, ok := document.([]any); ok {
				document = list[0]
				continue
			}
			document = document.(map[string]any)[name]
		}
		require.Equal(f.t, text, document, what)
	}
	f.do("DELETE", path, "", match).want(http.StatusNoContent)
}
