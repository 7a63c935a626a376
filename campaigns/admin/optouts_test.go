package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/optout"
)

type optOuts = List[optout.Entry]

func TestOptOuts(t *testing.T) {
	f := newFixture(t)
	first := f.do("PUT", optOutsPath+"/+14155550132", `{"reason":"by letter"}`).want(http.StatusCreated)
	e := read[optout.Entry](first)
	require.Equal(t, "+14155550132", e.Number)
	require.Equal(t, optout.API, e.Source)
	require.Equal(t, "by letter", e.Reason)
	require.Equal(t, "ops", e.By)
	require.WithinDuration(t, time.Now(), e.Since, time.Minute)
	again := f.do("PUT", optOutsPath+"/(415)%20555-0132", "", "Authorization: Bearer other").want(http.StatusOK)
	require.Equal(t, first.body, again.body, "it stays as it was")
	require.Equal(t, first.body, f.do("GET", optOutsPath+"/4155550132", "").want(200).body)
	f.do("GET", optOutsPath+"/+14155550133", "").want(404)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, f.url+optOutsPath+"/+14155550132",
		io.MultiReader(strings.NewReader(""))) // an empty body of unknown length
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set("Content-Type", jsonType)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)

	f.do("PUT", optOutsPath+"/+14155550133", "").want(http.StatusCreated)
	f.do("POST", optOutsPath, "+14155550134\n+14155550135\n", "Content-Type: "+csvType).want(200)
	for query, want := range map[string]int{
		"":                                    4,
		"?limit=2":                            2,
		"?number=%2B14155550132":              1,
		"?number=+14155550132":                1,
		"?number=4155550132&source=api":       1,
		"?number=4155550132&source=import":    0,
		"?number=%2B14155550199":              0,
		"?source=import":                      2,
		"?source=keypress":                    0,
		"?source=api&limit=1":                 1,
		"?format=json&source=import&limit=50": 2,
	} {
		require.Len(t, read[optOuts](f.do("GET", optOutsPath+query, "").want(200)).Items, want, query)
	}
	seen, next := map[string]bool{}, ""
	for range 5 {
		page := read[optOuts](f.do("GET", optOutsPath+"?limit=1"+next, "").want(200))
		for _, e := range page.Items {
			seen[e.Number] = true
		}
		if page.Next == "" {
			break
		}
		next = "&cursor=" + page.Next
	}
	require.Len(t, seen, 4)

	f.do("DELETE", optOutsPath+"/+14155550132?reason=asked+by+letter", "").want(http.StatusNoContent)
	f.do("DELETE", optOutsPath+"/+14155550132", "").want(http.StatusNotFound)
	require.Contains(t, f.do("GET", optOutsPath+"/+14155550132", "").want(http.StatusNotFound).problem().Detail, "by ops (asked by letter)")
	require.NotContains(t, f.log.String(), "415555")
}

// What one deflectd exports, another imports.
func TestOptOutsAsCSV(t *testing.T) {
	f, g := newFixture(t), newFixture(t)
	for i := range 30 {
		f.do("PUT", fmt.Sprintf("%s/+141555501%02d", optOutsPath, i), `{"reason":"said \"never\", by letter; ünd so"}`).want(http.StatusCreated)
	}
	f.do("DELETE", "/v1/people/+14155550107", "").want(200)
	file := f.do("GET", optOutsPath+"?format=csv", "").want(200)
	require.Equal(t, "text/csv; charset=utf-8", file.header.Get("Content-Type"))
	require.Equal(t, `attachment; filename="opt-outs.csv"`, file.header.Get("Content-Disposition"))
	require.Equal(t, 31, strings.Count(file.body, "\n"))
	require.NotContains(t, file.body, "4155550107")

	take := func(f *fixture, body string) optout.Imported {
		t.Helper()
		return read[optout.Imported](f.do("POST", optOutsPath, body, "Content-Type: "+csvType).want(200))
	}
	done := take(g, file.body)
	require.Equal(t, 30, done.Added)
	require.Zero(t, done.Rejected)
	done = take(g, file.body)
	require.Equal(t, 30, done.Known)
	// A number's hash is another one in every installation.
	hash := regexp.MustCompile(`(?m)^(\+[0-9]+),[^,]+`)
	require.ElementsMatch(t, strings.Split(hash.ReplaceAllString(file.body, "$1"), "\n"),
		strings.Split(hash.ReplaceAllString(g.do("GET", optOutsPath+"?format=csv", "").want(200).body, "$1"), "\n"))

	done = take(g, "\ufeffTelefon;Name\r\n(212) 555-0101;\"Meier; Anna\"\r\n\r\nnobody;x\r\n+1212555;y\r\n+12125550102\r\n")
	require.Equal(t, 2, done.Added)
	require.Equal(t, 2, done.Rejected)
	require.Equal(t, []int{4, 5}, []int{done.Invalid[0].Line, done.Invalid[1].Line})
	require.NotContains(t, f.log.String()+g.log.String(), "4155550107")
	require.NotContains(t, g.log.String(), "555-0101")
}

func TestOptOutsThatAreRefused(t *testing.T) {
	f := newFixture(t)
	for _, number := range []string{"911", "hello", "anonymous", "+", "%2B1", "+1415555013212345678", strings.Repeat("1", 65), "%00", "%ff", "+1%0d%0a"} {
		f.unchanged(number, func() {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				f.do(method, optOutsPath+"/"+number, "").want(422).names("number")
			}
			f.do("DELETE", "/v1/people/"+number, "").want(422).names("number")
			f.do("DELETE", "/v1/suppressions/"+number, "").want(422).names("number")
		})
	}
	const one = optOutsPath + "/+14155550132"
	for body, place := range map[string]string{
		`{"reason":7}`:            "/reason",
		`{"reason":"a\u0007b"}`:   "/reason",
		`{"reason":"a\nb"}`:       "/reason",
		`{"source":"page"}`:       "/source",
		`{"since":"yesterday"}`:   "/since",
		`[]`:                      "",
		`{"number":"4155550133"}`: "/number",
		`{"reason":"` + strings.Repeat("ü", 201) + `"}`: "/reason",
	} {
		f.unchanged(body, func() { f.do("PUT", one, body).want(422).names(place) })
	}
	f.do("PUT", one, "").want(201)
	for _, reason := range []string{"a%07b", "a%0d%0ab", "a%00", "%ff", strings.Repeat("%C3%BC", 201)} {
		f.unchanged(reason, func() { f.do("DELETE", one+"?reason="+reason, "").want(422).names("reason") })
	}
	f.do("DELETE", one, "").want(204)
	f.unchanged("bodies", func() {
		f.do("PUT", one, "{\"reason\":\"\xff\"}").want(400)
		f.do("PUT", one, `{"reason":null}`).want(400).names("/reason")
		f.do("PUT", one, `reason=x`).want(400)
		f.do("PUT", one, `{}`, "Content-Type: text/plain").want(415).names("Content-Type")
		f.do("GET", one, `{}`).want(400)
		f.do("DELETE", one, `{}`).want(400)
	})
	for query, place := range map[string]string{
		"?number=hello":            "number",
		"?source=letter":           "source",
		"?format=xml":              "format",
		"?cursor=!":                "cursor",
		"?limit=501":               "limit",
		"?format=csv&limit=50":     "limit",
		"?format=csv&source=api":   "source",
		"?format=csv&number=123":   "number",
		"?format=csv&cursor=":      "cursor",
		"?colour=red":              "colour",
		"?format=csv&colour=red":   "colour",
		"?number=911&format=json":  "number",
		"?source=api&number=%2B1":  "number",
		"?cursor=1.2&number=%2B11": "number",
	} {
		code := 422
		if strings.HasSuffix(query, "=") {
			code = 400
		}
		f.do("GET", optOutsPath+query, "").want(code).names(place)
	}
}

// Lists that are none are refused; one with a good line is taken.
func TestListsThatAreRefused(t *testing.T) {
	f := newFixture(t)
	const isCSV = "Content-Type: " + csvType
	f.unchanged("lists", func() {
		f.do("POST", optOutsPath, `{"numbers":["+14155550132"]}`).want(415).names("Content-Type")
		f.do("POST", optOutsPath, `+14155550132`, "Content-Type: text/csv; charset=latin1").want(415)
		f.do("POST", optOutsPath, `+14155550132`, isCSV, "Content-Encoding: gzip").want(415)
		f.do("POST", optOutsPath, "", isCSV).want(400)
		r := f.do("POST", optOutsPath, "{\"numbers\":\n[\"\xff\xfe\"]}\n", isCSV).want(422).names("")
		require.Contains(t, r.body, "line 2")
		f.do("POST", optOutsPath, "911\nhello\n+1\n", isCSV).want(422).names("")
		f.do("POST", optOutsPath, strings.Repeat("a", 1<<20), isCSV).want(422)
		f.do("POST", optOutsPath, strings.Repeat("\n", maxList+1), isCSV).want(413)
	})
	require.Equal(t, optout.Imported{Invalid: []optout.Line{}},
		read[optout.Imported](f.do("POST", optOutsPath, "number\n", isCSV).want(200)), "a list of nobody")
}

// A list that is sent without saying how long it is is read no further than a
// list may be long, and what came before is on the list.
func TestListWithoutAnEnd(t *testing.T) {
	f := newFixture(t)
	var sent atomic.Int64
	source := readerFunc(func(p []byte) (int, error) {
		if sent.Load() == 0 {
			sent.Add(1)
			return copy(p, "+14155550132\n"), nil
		}
		n := copy(p, strings.Repeat(strings.Repeat("x", 1023)+"\n", 1+len(p)/1024))
		sent.Add(int64(n))
		return n, nil
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+optOutsPath, source)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set("Content-Type", csvType)
	resp, err := http.DefaultClient.Do(req)
	if err == nil { // the connection may be closed before the answer was read
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
		body, _ := io.ReadAll(resp.Body)
		require.Contains(t, string(body), "1 of its numbers were taken until then")
		resp.Body.Close()
	}
	f.do("GET", optOutsPath+"/+14155550132", "").want(200)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A file that fails at once is a problem; one that fails half way is none, and
// nobody takes a part for the whole.
func TestExportThatFails(t *testing.T) {
	f := newFixture(t)
	s := &server{Options: f.options}
	for _, tc := range []struct {
		before int
		err    error
		code   int
	}{
		{0, optout.ErrStore, 503},
		{100, optout.ErrStore, 503},
		{100, errors.New("some fault"), 500},
		{firstPart + 1, optout.ErrStore, 0},
		{firstPart + 1, nil, 200},
		{0, nil, 200},
	} {
		made := s.csvDownload(t.Context(), "x.csv", func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, strings.Repeat("x", tc.before))
			require.NoError(t, err)
			return tc.err
		})
		listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			made.Body(humago.NewContext(nil, r, w))
		}))
		resp, err := http.Get(listener.URL)
		if tc.code == 0 {
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			require.Error(t, err)
		} else {
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, tc.code, resp.StatusCode)
			if tc.code == 200 {
				require.Len(t, body, tc.before)
			}
		}
		listener.Close()
	}
}
