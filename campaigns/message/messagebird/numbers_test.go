package messagebird

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/sender"
)

// numbersOf are the Numbers of an account that is answered by handle.
func numbersOf(t *testing.T, handle http.HandlerFunc) *Numbers {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c, err := NewClient(Options{AccessKey: "key", NumbersURL: server.URL + "/v1/"})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return NewNumbers(c)
}

func TestNumbersRequests(t *testing.T) {
	var mu sync.Mutex
	var asked, body string
	n := numbersOf(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		asked, body = r.Method+" "+r.URL.String(), string(raw)
		assert.Equal(t, "AccessKey key", r.Header.Get("Authorization"))
		item := `{"number":"14155550142","country":"us","region":"CA","locality":"SF","features":["SMS","voice"],"type":"mobile","monthlyPrice":1.25,"currency":"USD","initialContractDuration":3}`
		switch r.Method {
		case http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, item)
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = fmt.Fprintf(w, `{"items":[%s,null,{"number":"1","verificationRequired":true}],"count":3,"totalCount":3}`, item)
		}
	})
	last := func() (string, string) {
		mu.Lock()
		defer mu.Unlock()
		return asked, body
	}
	check := func(wanted string) {
		t.Helper()
		got, _ := last()
		assert.Equal(t, wanted, got)
	}
	want := sender.Available{
		Number: "+14155550142", Country: "US", Region: "CA", Locality: "SF", Features: []string{"sms", "voice"},
		Type: "mobile", Price: 1.25, Currency: "USD", Months: 3,
	}
	for query, path := range map[*sender.Query]string{
		{Country: "US", Limit: 20, Match: "anywhere", Features: []string{"sms"}}: "/US?exclude_numbers_require_verification=true&features=sms&limit=20&prices=true",
		{Country: "US", Area: "415", Match: "anywhere"}:                          "/US?exclude_numbers_require_verification=true&number=1415&prices=true&search_pattern=start",
		{Country: "NL", Pattern: "77", Match: "end"}:                             "/NL?exclude_numbers_require_verification=true&number=77&prices=true&search_pattern=end",
	} {
		found, err := n.Search(t.Context(), *query)
		require.NoError(t, err)
		assert.Equal(t, []sender.Available{want}, found)
		check("GET /v1/available-phone-numbers" + path)
	}
	got, err := n.Obtain(t.Context(), "+14155550142", "US")
	require.NoError(t, err)
	assert.Equal(t, want, got)
	check("POST /v1/phone-numbers")
	_, sent := last()
	assert.JSONEq(t, `{"number":"14155550142","countryCode":"US","billingIntervalMonths":1}`, sent)
	_, err = n.Obtain(t.Context(), "+14155550143", "US")
	require.ErrorIs(t, err, sender.ErrUncertain, "the answer names another number")
	require.NoError(t, n.Release(t.Context(), "+14155550142"))
	check("DELETE /v1/phone-numbers/14155550142")
	owned, err := n.Owned(t.Context())
	require.NoError(t, err)
	assert.Len(t, owned, 2)
	check("GET /v1/phone-numbers?limit=50")
}

func TestNumbersErrors(t *testing.T) {
	type answer struct {
		status int
		body   string
	}
	var next atomic.Pointer[answer]
	n := numbersOf(t, func(w http.ResponseWriter, _ *http.Request) {
		a := next.Load()
		if a.status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	})
	const code = `{"errors":[{"code":%d,"description":"the number 14155550142","parameter":%q}]}`
	for _, c := range []struct {
		status    int
		answer    string
		want      error
		uncertain bool // where it changes something
	}{
		{401, fmt.Sprintf(code, 2, "access_key"), sender.ErrNotAllowed, false},
		{403, "", sender.ErrNotAllowed, false},
		{402, "", sender.ErrNotAllowed, false},
		{422, fmt.Sprintf(code, 25, ""), sender.ErrNotAllowed, false},
		{422, fmt.Sprintf(code, 10, "number"), sender.ErrUnavailable, false},
		{422, fmt.Sprintf(code, 20, ""), sender.ErrUnavailable, false},
		{409, "", sender.ErrUnavailable, false},
		{404, "<html>", sender.ErrUnavailable, false},
		{429, "", sender.ErrProvider, false},
		{503, "", sender.ErrProvider, false},
		{408, "", sender.ErrProvider, false},
		{302, "", sender.ErrProvider, false},
		{500, "", sender.ErrProvider, true},
		{502, "<html>", sender.ErrProvider, true},
		{201, "nonsense", sender.ErrProvider, true},
		{0, "", sender.ErrProvider, true},
	} {
		next.Store(&answer{c.status, c.answer})
		_, obtain := n.Obtain(t.Context(), "+14155550142", "US")
		_, search := n.Search(t.Context(), sender.Query{Country: "US"})
		_, owned := n.Owned(t.Context())
		release := n.Release(t.Context(), "+14155550142")
		for name, err := range map[string]error{"obtain": obtain, "search": search, "owned": owned, "release": release} {
			want := c.want
			changes := name == "obtain" || name == "release"
			uncertain := c.uncertain && changes
			switch missing := c.status == 404 || strings.Contains(c.answer, `"code":20`); {
			case name == "release" && c.status == 201:
				require.NoError(t, err)
				continue
			case name == "release" && missing: // the list is not there either
				want, uncertain = sender.ErrProvider, true
			case name == "release" && errors.Is(want, sender.ErrUnavailable):
				want = sender.ErrNotAllowed
			case !changes && errors.Is(want, sender.ErrUnavailable):
				want = sender.ErrProvider
			}
			require.ErrorIs(t, err, want, "%d %s", c.status, name)
			if name != "obtain" {
				require.NotErrorIs(t, err, sender.ErrUnavailable, "%d %s", c.status, name)
			}
			if uncertain {
				require.ErrorIs(t, err, sender.ErrUncertain, "%d %s", c.status, name)
			} else {
				require.NotErrorIs(t, err, sender.ErrUncertain, "%d %s", c.status, name)
			}
			require.NotContains(t, err.Error(), "14155550142")
		}
	}
	_, err := n.Search(t.Context(), sender.Query{Country: "ZZ", Area: "1"})
	require.ErrorIs(t, err, sender.ErrQuery)
	away, err := NewClient(Options{AccessKey: "key", NumbersURL: "http://127.0.0.1:1"})
	require.NoError(t, err)
	_, err = NewNumbers(away).Obtain(t.Context(), "+14155550142", "US")
	require.ErrorIs(t, err, sender.ErrProvider)
	require.NotErrorIs(t, err, sender.ErrUncertain, "it was not even asked")
	_, err = NewClient(Options{AccessKey: "key", NumbersURL: "numbers"})
	require.Error(t, err)
}

func TestReleaseOfWhatIsNotThere(t *testing.T) {
	const empty, another = `{"offset":0,"limit":50,"count":0,"totalCount":0,"items":[]}`, `{"items":[{"number":"14155550143"}],"totalCount":1}`
	for name, c := range map[string]struct {
		status       int // of the release
		body         string
		listed       int // of the list
		list         string
		gone, denied bool
	}{
		"no number at all":     {404, "<html>", 200, empty, true, false},
		"another number":       {410, "", 200, another, true, false},
		"it is there":          {404, "", 200, `{"items":[{"number":"14155550142"}],"totalCount":1}`, false, false},
		"no list":              {404, "<html>", 404, "<html>", false, false},
		"a page":               {404, "<html>", 200, "<html>", false, false},
		"something else":       {404, "", 200, `{"status":"up"}`, false, false},
		"nothing":              {404, "", 204, "", false, false},
		"not allowed to look":  {410, "", 401, "", false, false},
		"it is busy":           {404, "", 429, "", false, false},
		"in words, and gone":   {422, `{"errors":[{"code":20}]}`, 200, empty, true, false},
		"in words, and no":     {422, `{"errors":[{"code":20}]}`, 500, "", false, false},
		"not to be given back": {422, `{"errors":[{"code":10,"parameter":"number"}]}`, 200, empty, false, true},
	} {
		n := numbersOf(t, func(w http.ResponseWriter, r *http.Request) {
			status, body := c.listed, c.list
			if r.Method == http.MethodDelete {
				status, body = c.status, c.body
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			if status != http.StatusNoContent {
				_, _ = io.WriteString(w, body)
			}
		})
		switch err := n.Release(t.Context(), "+14155550142"); {
		case c.gone:
			require.NoError(t, err, name)
		case c.denied:
			require.ErrorIs(t, err, sender.ErrNotAllowed, name)
			require.NotErrorIs(t, err, sender.ErrUncertain, name)
		default:
			require.ErrorIs(t, err, sender.ErrUncertain, name)
			require.ErrorIs(t, err, sender.ErrProvider, name)
			require.NotErrorIs(t, err, sender.ErrNotAllowed, name)
			require.NotContains(t, err.Error(), "14155550142")
		}
	}
}

func TestAnAccountWithoutEnd(t *testing.T) {
	var pages atomic.Int64
	n := numbersOf(t, func(w http.ResponseWriter, _ *http.Request) {
		pages.Add(1)
		items := ""
		for i := range ownedPage {
			if i > 0 {
				items += ","
			}
			items += `{"number":"14155550142"}`
		}
		_, _ = fmt.Fprintf(w, `{"items":[%s],"totalCount":1000000}`, items)
	})
	_, err := n.Owned(t.Context())
	require.ErrorIs(t, err, sender.ErrProvider)
	assert.EqualValues(t, ownedMost/ownedPage, pages.Load())
}
