package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

type campaignList = CampaignList

func TestCampaignFromBirthToEnd(t *testing.T) {
	f := newFixture(t)
	made := f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	require.Equal(t, "/v1/campaigns/billing", made.header.Get("Location"))
	require.Equal(t, `"1"`, made.header.Get("ETag"))
	c := read[campaigns.Campaign](made)
	require.Equal(t, "service", c.Kind)
	require.WithinDuration(t, time.Now(), c.CreatedAt, time.Minute)
	require.Contains(t, made.body, `Z","updated_at"`, "times are in UTC")
	require.Contains(t, made.body, `"validity":"15m"`)

	got := f.do("GET", "/v1/campaigns/billing", "").want(http.StatusOK)
	require.Equal(t, made.body, got.body)
	require.Equal(t, `"1"`, got.header.Get("ETag"))
	require.Equal(t, "no-store", got.header.Get("Cache-Control"))
	f.do("HEAD", "/v1/campaigns/billing", "").want(http.StatusOK)
	f.do("GET", "/v1/campaigns/billing", "", `If-None-Match: "7", W/"1"`).want(http.StatusNotModified)
	f.do("GET", "/v1/campaigns/billing", "", `If-None-Match: "7"`).want(http.StatusOK)

	edited := strings.Replace(got.body, "pay here", "settle here", 1)
	put := f.do("PUT", "/v1/campaigns/billing", edited, `If-Match: "1"`).want(http.StatusOK)
	require.Equal(t, `"2"`, put.header.Get("ETag"))
	require.Contains(t, put.body, "settle here")

	patch := f.do("PATCH", "/v1/campaigns/billing",
		`{"enabled":false,"name":"Bills","release":{"action":"transfer"},"validity":null}`, `If-Match: "2"`).want(http.StatusOK)
	c = read[campaigns.Campaign](patch)
	require.False(t, c.IsEnabled())
	require.Equal(t, "Bills", c.Name)
	require.Equal(t, "transfer", c.Release.Action)
	require.Equal(t, "accepted", c.Release.WaitFor)
	require.EqualValues(t, 3, c.Version)
	f.do("PATCH", "/v1/campaigns/billing", `{"name":null}`, "If-Match: *").want(http.StatusOK)

	f.do("DELETE", "/v1/campaigns/billing", "", `If-Match: "4"`).want(http.StatusNoContent)
	f.do("GET", "/v1/campaigns/billing", "").want(http.StatusNotFound)
	f.do("PATCH", "/v1/campaigns/billing", `{"name":"x"}`, `If-Match: "5"`).want(http.StatusNotFound)
	require.Empty(t, read[campaignList](f.do("GET", campaignsPath, "")).Items)
	gone := read[campaignList](f.do("GET", campaignsPath+"?deleted=true", "")).Items
	require.Len(t, gone, 1)
	require.NotNil(t, gone[0].DeletedAt)
	f.do("POST", campaignsPath, campaign("other", "+18005550101")).want(http.StatusCreated)
}

func TestWritesSayWhichVersionTheyMean(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		body := map[string]string{"PUT": billing, "PATCH": `{"name":"x"}`}[method]
		f.do(method, "/v1/campaigns/billing", body).want(http.StatusPreconditionRequired).names("If-Match")
		for _, stale := range []string{`"2"`, `W/"1"`, `1`, `"1`, `nonsense`} {
			r := f.do(method, "/v1/campaigns/billing", body, "If-Match: "+stale).want(http.StatusPreconditionFailed)
			require.Equal(t, `"1"`, r.header.Get("ETag"))
		}
		f.do(method, "/v1/campaigns/none", body, `If-Match: "1"`).want(http.StatusNotFound)
	}
}

func TestTwoPeopleSaveAtOnce(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	const people = 8
	codes := make(chan int, people)
	for i := range people {
		go func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPatch, f.url+"/v1/campaigns/billing",
				strings.NewReader(fmt.Sprintf(`{"name":"by %d"}`, i)))
			req.Header.Set("Authorization", "Bearer secret")
			req.Header.Set("Content-Type", patchType)
			req.Header.Set("If-Match", `"1"`)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				codes <- 0
				return
			}
			resp.Body.Close()
			codes <- resp.StatusCode
		}()
	}
	count := map[int]int{}
	for range people {
		count[<-codes]++
	}
	require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusPreconditionFailed: people - 1}, count)
}

func TestConflictsNameTheOther(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	f.do("POST", campaignsPath, campaign("billing", "+18005550109")).want(http.StatusConflict).names("/id")
	r := f.do("POST", campaignsPath, campaign("sales", "(800) 555-0101")).want(http.StatusConflict).names("/dnis/0")
	require.Contains(t, r.body, "answered by campaign billing")
	f.do("POST", campaignsPath, campaign("sales", "+18005550102")).want(http.StatusCreated)
	f.do("PATCH", "/v1/campaigns/sales", `{"dnis":["+18005550102","+18005550101"]}`, `If-Match: "1"`).
		want(http.StatusConflict).names("/dnis/1")
	f.do("PUT", "/v1/campaigns/sales", campaign("sales", "+18005550101"), `If-Match: "1"`).
		want(http.StatusConflict).names("/dnis/0")
}

func TestCampaignList(t *testing.T) {
	f := newFixture(t)
	for i := range 25 {
		f.do("POST", campaignsPath, campaign(fmt.Sprintf("c%02d", i), fmt.Sprintf("+180055502%02d", i))).want(http.StatusCreated)
	}
	f.do("PATCH", "/v1/campaigns/c03", `{"enabled":false,"name":"Straße & Co"}`, "If-Match: *").want(http.StatusOK)
	f.do("DELETE", "/v1/campaigns/c04", "", "If-Match: *").want(http.StatusNoContent)
	for query, want := range map[string]string{
		"":                                  "24 c00 c24",
		"?limit=500":                        "24 c00 c24",
		"?limit=7":                          "24 c00 c24",
		"?limit=24":                         "24 c00 c24",
		"?q=C1":                             "10 c10 c19",
		"?q=PAY+c05":                        "1 c05 c05",
		"?q=stra%C3%9Fe":                    "1 c03 c03",
		"?q=nothing":                        "0",
		"?enabled=false":                    "1 c03 c03",
		"?enabled=true&limit=3":             "23 c00 c24",
		"?deleted=true":                     "1 c04 c04",
		"?deleted=false&q=c04":              "0",
		"?dnis=%2B18005550207":              "1 c07 c07",
		"?dnis=+18005550207":                "1 c07 c07",
		"?dnis=800-555-0207":                "1 c07 c07",
		"?dnis=%2B1800*":                    "0",
		"?dnis=%2B18005550204&deleted=1":    "1 c04 c04",
		"?dnis=%2B18005550204&enabled=true": "0",
	} {
		var ids []string
		next := ""
		for page := 0; page < 30; page++ {
			address := campaignsPath + query
			if next != "" {
				address += map[bool]string{true: "?", false: "&"}[query == ""] + "cursor=" + next
			}
			r := f.do("GET", address, "").want(http.StatusOK)
			require.Contains(t, r.body, `"items":[`)
			l := read[campaignList](r)
			for _, c := range l.Items {
				ids = append(ids, c.ID)
			}
			if next = l.Next; next == "" {
				break
			}
		}
		require.IsIncreasing(t, append([]string{"", "a"}, ids...), query)
		got := fmt.Sprint(len(ids))
		if len(ids) > 0 {
			got += " " + ids[0] + " " + ids[len(ids)-1]
		}
		require.Equal(t, want, got, query)
	}
}

func TestCreatingTwiceWithOneKey(t *testing.T) {
	f := newFixture(t)
	const key = "Idempotency-Key: k1"
	first := f.do("POST", campaignsPath, billing, key).want(http.StatusCreated)
	f.do("PATCH", "/v1/campaigns/billing", `{"name":"later"}`, "If-Match: *").want(http.StatusOK)
	again := f.do("POST", campaignsPath, " "+billing, key).want(http.StatusCreated)
	require.Equal(t, first.body, again.body)
	require.Equal(t, first.header.Get("ETag"), again.header.Get("ETag"))
	f.do("POST", campaignsPath, campaign("sales", "+18005550102"), key).want(http.StatusConflict).names("Idempotency-Key")
	f.do("POST", campaignsPath, campaign("sales", "+18005550102"), key, "Authorization: Bearer other").want(http.StatusCreated)
	f.do("POST", campaignsPath, billing).want(http.StatusConflict)

	// A refusal is not what the key stands for.
	taken := campaign("third", "+18005550101")
	f.do("POST", campaignsPath, taken, "Idempotency-Key: k2").want(http.StatusConflict)
	f.do("DELETE", "/v1/campaigns/billing", "", "If-Match: *").want(http.StatusNoContent)
	f.do("POST", campaignsPath, taken, "Idempotency-Key: k2").want(http.StatusCreated)

	// It is answered also when what it made is gone.
	f.do("DELETE", "/v1/campaigns/third", "", "If-Match: *").want(http.StatusNoContent)
	gone := f.do("POST", campaignsPath, taken, "Idempotency-Key: k2").want(http.StatusCreated)
	require.Equal(t, "third", read[campaigns.Campaign](gone).ID)
}

// Concurrent repetitions of one request all get the campaign that was made.
func TestCreatingAtOnceWithOneKey(t *testing.T) {
	f := newFixture(t)
	const people = 8
	answers := make(chan string, people)
	for range people {
		go func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+campaignsPath, strings.NewReader(billing))
			req.Header.Set("Authorization", "Bearer secret")
			req.Header.Set("Content-Type", jsonType)
			req.Header.Set("Idempotency-Key", "k")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				answers <- err.Error()
				return
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			answers <- resp.Status + string(text)
		}()
	}
	first := <-answers
	require.Contains(t, first, "201 Created")
	for range people - 1 {
		require.Equal(t, first, <-answers)
	}
	keys, err := f.redis.Keys(t.Context(), "*idempotency*")
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	for _, key := range keys {
		require.Positive(t, f.rdb.TTL(t.Context(), key).Val(), "%s is forgotten some day", key)
	}
}

// With If-Match: * whatever is there is changed, and nothing that another
// changes at the same time is lost.
func TestPatchesAtOnceLoseNothing(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	const people = 8
	codes := make(chan int, people)
	for i := range people {
		go func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPatch, f.url+"/v1/campaigns/billing",
				strings.NewReader(fmt.Sprintf(`{"interaction":{"params":{"p%d":"x"}}}`, i)))
			req.Header.Set("Authorization", "Bearer secret")
			req.Header.Set("Content-Type", patchType)
			req.Header.Set("If-Match", "*")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				codes <- 0
				return
			}
			resp.Body.Close()
			codes <- resp.StatusCode
		}()
	}
	for range people {
		require.Equal(t, http.StatusOK, <-codes)
	}
	c := read[campaigns.Campaign](f.do("GET", "/v1/campaigns/billing", ""))
	require.Len(t, c.Interaction.Params, people)
	require.EqualValues(t, 1+people, c.Version)
}

// A default is not something that people have said: what they change makes
// room for the defaults that go with it.
func TestDefaultsGoWithWhatWasWritten(t *testing.T) {
	f := newFixture(t)
	c := read[campaigns.Campaign](f.do("POST", campaignsPath, billing).want(http.StatusCreated))
	require.Equal(t, "sound:deflectd/offer", c.Offer.Prompt)
	c = read[campaigns.Campaign](f.do("PATCH", "/v1/campaigns/billing", `{"offer":{"mode":"send"}}`, `If-Match: "1"`).want(http.StatusOK))
	require.Empty(t, c.Offer.Prompt, "nobody is told to press a key that does nothing")
	require.Equal(t, "accepted", c.Release.WaitFor, "defaults are shown")
	c = read[campaigns.Campaign](f.do("PATCH", "/v1/campaigns/billing", `{"offer":null}`, `If-Match: "2"`).want(http.StatusOK))
	require.Equal(t, "sound:deflectd/offer", c.Offer.Prompt)
	c = read[campaigns.Campaign](f.do("PUT", "/v1/campaigns/billing", strings.TrimSuffix(billing, "}")+`,"offer":{"mode":"send","prompt":"sound:hello"}}`, `If-Match: "3"`).want(http.StatusOK))
	require.Equal(t, "sound:hello", c.Offer.Prompt)
}

// What could not be sent is refused when it is saved, not call by call.
func TestTextsTooLongToBeSent(t *testing.T) {
	f := newFixture(t)
	with := func(text string) string { return strings.Replace(billing, "Acme: pay here {link}", text, 1) }
	// 67 characters of UCS-2 in each of nine segments; the link has 35.
	fits := strings.Repeat("ж", 9*67-35) + "{link}"
	f.do("POST", campaignsPath, with("ж"+fits)).want(422).names("/text")
	f.do("POST", campaignsPath, with(fits)).want(http.StatusCreated)
	f.do("POST", "/v1/campaigns/billing/messages", `{"to":"+14155550132"}`).want(http.StatusAccepted)
	r := f.do("PUT", "/v1/campaigns/billing", with("ж"+fits), `If-Match: "1"`).want(422).names("/text")
	require.Contains(t, r.body, "takes 10 segments in ucs2 with its link; at most 9 can be sent")
	f.do("PATCH", "/v1/campaigns/billing", `{"text":"ж`+fits+`"}`, `If-Match: "1"`).want(422).names("/text")
}

func TestUnreadableCampaignHidesNoOther(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	require.NoError(t, f.rdb.HSet(t.Context(), campaigns.Key("campaigns"), "broken", "what is this").Err())
	require.Len(t, read[campaignList](f.do("GET", campaignsPath, "").want(http.StatusOK)).Items, 1)
	require.Contains(t, f.log.String(), "campaign broken: not a record of a campaign")
}

func TestCampaignsThatAreWrong(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	with := func(extra string) string {
		return strings.TrimSuffix(campaign("fresh", "+18005550103"), "}") + "," + extra + "}"
	}
	for name, tc := range map[string]struct {
		body  string
		code  int
		place string
	}{
		"empty object":    {`{}`, 422, "/dnis"},
		"not an object":   {`[1]`, 422, ""},
		"missing url":     {`{"id":"a","dnis":["1"],"interaction":{},"text":"x"}`, 422, "/interaction/url"},
		"unknown field":   {with(`"colour":"red"`), 422, "/colour"},
		"unknown inside":  {with(`"offer":{"volume":11}`), 422, "/offer/volume"},
		"wrong case":      {with(`"NAME":"x"`), 422, "/NAME"},
		"slash in a name": {with(`"a/b~":"x"`), 422, "/a~1b~0"},
		"wrong type":      {with(`"enabled":"yes"`), 422, "/enabled"},
		"wrong list":      {with(`"line_types":[1]`), 422, "/line_types/0"},
		"no duration":     {with(`"validity":""`), 422, "/validity"},
		"zero duration":   {with(`"validity":"0s"`), 422, ""},
		"long duration":   {with(`"validity":"99999999999999999999d"`), 422, ""},
		"bad duration":    {with(`"validity":"soon"`), 422, "/validity"},
		"bad id":          {campaign("Bad Id", "+18005550103"), 422, "/id"},
		"script as id":    {campaign("<script>", "+18005550103"), 422, "/id"},
		"bad dnis":        {campaign("fresh", "hello"), 422, "/dnis/0"},
		"no dnis":         {strings.Replace(billing, `"+18005550101"`, "", 1), 422, "/dnis"},
		"not built yet":   {with(`"shadow":true`), 422, "/shadow"},
		"javascript url":  {strings.Replace(billing, "https://visual.example.com/start", "javascript:alert(1)", 1), 422, "/interaction/url"},
		"version":         {with(`"version":3`), 422, "/version"},
		"created":         {with(`"created_at":"2020-01-01T00:00:00Z"`), 422, "/created_at"},
		"bad time":        {with(`"created_at":"yesterday"`), 422, "/created_at"},
		"null":            {with(`"name":null`), 400, "/name"},
		"null inside":     {with(`"offer":{"prompt":null}`), 400, "/offer/prompt"},
		"twice":           {with(`"text":"second"`), 400, "/text"},
		"twice inside":    {with(`"offer":{"mode":"ask","mode":"send"}`), 400, "/offer/mode"},
		"huge number":     {with(`"offer":{"attempts":1e999}`), 400, "/offer/attempts"},
		"large number":    {with(`"offer":{"attempts":99999999999999999999}`), 400, "/offer/attempts"},
		"fraction":        {with(`"offer":{"attempts":1.5}`), 400, "/offer/attempts"},
		"negative":        {with(`"offer":{"attempts":-1}`), 422, "/offer/attempts"},
		"deep":            {strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), 400, strings.Repeat("/a", 17)},
		"deep lists":      {strings.Repeat(`[`, 9000) + strings.Repeat("]", 9000), 400, strings.Repeat("/0", 17)},
		"very deep":       {strings.Repeat(`[`, 100000), 400, "-"},
		"bad UTF-8":       {strings.Replace(billing, "pay", "\xff\xfe", 1), 400, "-"},
		"not JSON":        {`{"id":`, 400, "-"},
		"two documents":   {billing + billing, 400, "-"},
		"only space":      {" ", 400, "-"},
		"lone surrogate":  {with(`"name":"\ud800"`), 201, ""},
		"html stays text": {strings.Replace(campaign("html", "+18005550104"), "pay", "<b>&amp; 😀 שלום", 1), 201, ""},
		"catch-all":       {campaign("rest", "*"), 201, ""},
		"prefix":          {campaign("prefix", "+1800*"), 201, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.do("POST", campaignsPath, tc.body).want(tc.code)
			if tc.code >= 400 && tc.place != "-" {
				r.names(tc.place)
			}
			require.NotContains(t, r.body, "Go struct")
		})
	}
	require.Contains(t, f.do("GET", "/v1/campaigns/html", "").body, "<b>&amp; 😀 שלום")
}

func TestPatchesAndPutsThatAreWrong(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	for body, place := range map[string]string{
		`{"id":"other"}`:                           "/id",
		`{"id":null}`:                              "/id",
		`{"dnis":null}`:                            "/dnis",
		`{"text":""}`:                              "/text",
		`{"enabled":"no"}`:                         "/enabled",
		`{"colour":1}`:                             "/colour",
		`{"offer":7}`:                              "/offer",
		`{"offer":{"timeout":"never"}}`:            "",
		`{"interaction":{"params":{"a":1}}}`:       "/interaction/params/a",
		`{"version":9}`:                            "/version",
		`{"updated_at":"2020-01-01T00:00:00Z"}`:    "/updated_at",
		`{"deleted_at":"2020-01-01T00:00:00Z"}`:    "/deleted_at",
		`{"dnis":["+18005550101","+18005550101"]}`: "/dnis/1",
	} {
		f.do("PATCH", "/v1/campaigns/billing", body, `If-Match: "1"`).want(422).names(place)
	}
	f.do("PATCH", "/v1/campaigns/billing", `[]`, `If-Match: "1"`).want(422)
	f.do("PATCH", "/v1/campaigns/billing", `null`, `If-Match: "1"`).want(422)
	f.do("PATCH", "/v1/campaigns/billing", `{"version":1,"name":"n"}`, `If-Match: "1"`).want(200)
	f.do("PUT", "/v1/campaigns/billing", campaign("other", "1"), `If-Match: "2"`).want(422).names("/id")
	f.do("PUT", "/v1/campaigns/billing", strings.Replace(billing, `{"id"`, `{"version":1,"id"`, 1), `If-Match: "2"`).
		want(422).names("/version")
	require.EqualValues(t, 2, read[campaigns.Campaign](f.do("GET", "/v1/campaigns/billing", "")).Version)
}
