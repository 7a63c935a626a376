package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

type revisions = List[campaigns.Revision]

// Every change has who, when, and what is different; and an old version can be
// had back, as a new one.
func TestHistory(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing, as("write")).want(201)
	f.do("PATCH", one, `{"text":"Acme: settle here {link}","offer":{"attempts":3}}`, `If-Match: "1"`).want(200)
	f.do("PATCH", one, `{"name":"Bills"}`, `If-Match: "2"`, as("other")).want(200)

	all := read[revisions](f.do("GET", one+"/history", "", as("look")).want(200))
	require.Empty(t, all.Next)
	require.Len(t, all.Items, 3)
	newest := all.Items[0]
	require.EqualValues(t, 3, newest.Version)
	require.Equal(t, campaigns.Changed, newest.Action)
	require.Equal(t, []string{"second", "ops", "writer"}, []string{newest.By, all.Items[1].By, all.Items[2].By})
	require.False(t, newest.At.IsZero())
	require.Equal(t, []campaigns.Change{{Pointer: "/name", After: "Bills"}}, newest.Changes)
	require.Nil(t, newest.Campaign)
	require.Equal(t, []campaigns.Change{
		{Pointer: "/text", Before: "Acme: pay here {link}", After: "Acme: settle here {link}"},
		{Pointer: "/offer/attempts", Before: json.Number("2"), After: json.Number("3")},
	}, all.Items[1].Changes)
	require.Equal(t, campaigns.Created, all.Items[2].Action)

	old := read[campaigns.Revision](f.do("GET", one+"/history/1", "").want(200))
	require.Equal(t, "Acme: pay here {link}", old.Campaign.Text)
	require.Empty(t, old.Campaign.Kind, "as it was written, without defaults")

	f.do("POST", backToFirst, "", `If-Match: "2"`).want(412)
	back := f.do("POST", backToFirst, "", `If-Match: "3"`).want(200)
	require.Equal(t, `"4"`, back.header.Get("ETag"))
	c := read[campaigns.Campaign](back)
	require.Equal(t, "Acme: pay here {link}", c.Text)
	require.Empty(t, c.Name)
	newest = read[revisions](f.do("GET", one+"/history?limit=1", "").want(200)).Items[0]
	require.Equal(t, campaigns.Restored, newest.Action)
	require.EqualValues(t, 1, newest.Restores)
	require.Equal(t, "ops", newest.By)
	// Once more is no change.
	require.Equal(t, `"4"`, f.do("POST", backToFirst, "", match).want(200).header.Get("ETag"))
}

func TestHistoryInPages(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	for i := range 6 {
		f.do("PATCH", one, fmt.Sprintf(`{"name":"n%d"}`, i), match).want(200)
	}
	var seen []int64
	for next := ""; ; {
		page := read[revisions](f.do("GET", one+"/history?limit=3"+next, "").want(200))
		for _, r := range page.Items {
			seen = append(seen, r.Version)
		}
		if page.Next == "" {
			break
		}
		next = "&cursor=" + page.Next
	}
	require.Equal(t, []int64{7, 6, 5, 4, 3, 2, 1}, seen)
	for path, place := range map[string]string{
		one + "/history?cursor=x":             "cursor",
		one + "/history?cursor=0":             "cursor",
		one + "/history?cursor=-1":            "cursor",
		one + "/history?limit=0":              "limit",
		one + "/history/0":                    "version",
		one + "/history/first":                "version",
		one + "/history/99999999999999999999": "version",
	} {
		f.do("GET", path, "").want(422).names(place)
	}
	f.do("GET", campaignsPath+"/none/history", "").want(404)
	f.do("GET", one+"/history/8", "").want(404)
	f.do("POST", one+"/history/x/restore", "", match).want(422).names("version")
}

// What was deleted can be had back for 30 days, with its history and its
// numbers, where nobody else has them.
func TestRestoringWhatWasDeleted(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	f.do("POST", one+"/restore", "", match).want(409)
	f.do("DELETE", one, "", `If-Match: "1"`).want(204)
	require.Equal(t, campaigns.Deleted, read[revisions](f.do("GET", one+"/history", "").want(200)).Items[0].Action)
	f.do("GET", one+"/history/1", "").want(200)
	f.do("POST", backToFirst, "", match).want(404) // it is restored first

	f.do("POST", one+"/restore", "").want(428).names("If-Match")
	r := f.do("POST", one+"/restore", "", `If-Match: "1"`).want(412)
	require.Equal(t, `"2"`, r.header.Get("ETag"))
	f.do("POST", campaignsPath, campaign("other", "+18005550101")).want(201)
	require.Contains(t, f.do("POST", one+"/restore", "", `If-Match: "2"`).want(409).body, "answered by campaign other")
	f.do("DELETE", campaignsPath+"/other", "", match).want(204)
	back := f.do("POST", one+"/restore", "", `If-Match: "2"`, as("write")).want(200)
	require.Equal(t, `"3"`, back.header.Get("ETag"))
	require.Equal(t, "service", read[campaigns.Campaign](back).Kind, "with its defaults")
	f.do("GET", one, "").want(200)
	newest := read[revisions](f.do("GET", one+"/history", "")).Items[0]
	require.Equal(t, campaigns.Restored, newest.Action)
	require.Equal(t, "writer", newest.By)
	p := f.do("POST", one+"/restore", "", match).want(409).problem()
	require.Equal(t, "not_deleted", p.Reason)
	f.do("POST", campaignsPath+"/none/restore", "", match).want(404)
	f.do("POST", one+"/restore", `{}`, match).want(400)
}

// A version that was right once is checked again before it comes back.
func TestOldVersionsAreCheckedAnew(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(201)
	f.do("PATCH", one, `{"dnis":["+18005550109"]}`, match).want(200)
	f.do("POST", campaignsPath, campaign("other", "+18005550101")).want(201)
	f.do("POST", backToFirst, "", match).want(http.StatusConflict)

	// As if an older deflectd had known no better.
	c, err := f.options.Campaigns.Written(t.Context(), "billing")
	require.NoError(t, err)
	c.Text = strings.Repeat("ж", 2000)
	require.NoError(t, f.options.Campaigns.Replace(t.Context(), c, campaigns.Write{}))
	f.do("PATCH", one, `{"text":"Acme {link}"}`, match).want(200)
	f.do("POST", one+"/history/3/restore", "", match).want(422).names("/text")
	require.EqualValues(t, 4, read[campaigns.Campaign](f.do("GET", one, "")).Version)
}
