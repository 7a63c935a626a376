package page

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
)

// losing is what becomes of a form that an admin posts, where the API answers
// what is to change something as lose says; nil: as usual.
func (f *fixture) losing(lose func(*http.Request) (*http.Response, error), post func(*view) error, address string, form ...string) answer {
	f.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, address, nil).WithContext(f.t.Context())
	r.SetPathValue("id", "billing")
	r.PostForm = url.Values{}
	for i := 0; i < len(form); i += 2 {
		r.PostForm.Add(form[i], form[i+1])
	}
	p := newPages(Options{Server: f.server, Redis: f.rdb, Region: "US", Logger: f.page.Logger, Registerer: prometheus.NewRegistry()})
	who := admin.Identity{Name: "admin", Role: admin.RoleAdmin}
	v := &view{p: p, w: w, r: r, who: who, session: session{cookie: "mine"}, api: client.New("http://deflectd", "", losing{f.server.As(who), lose})}
	if err := post(v); err != nil {
		v.fail(err)
	}
	return answer{b: &browser{fixture: f}, code: w.Code, header: w.Header(), body: w.Body.String()}
}

type losing struct {
	http.RoundTripper
	lose func(*http.Request) (*http.Response, error)
}

func (l losing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/preview") {
		if answer, err := l.lose(r); answer != nil || err != nil {
			return answer, err
		}
	}
	return l.RoundTripper.RoundTrip(r)
}

// late is a store that does not answer.
func late(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded }

// saying is an API that answers a problem.
func saying(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"application/problem+json"}, "Retry-After": {"7"}},
			Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

func TestWhatIsNotKnownToBeSavedCanBeSavedAgain(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	page, now := f.browser("editor").get("/campaigns/billing"), f.saved("billing")
	f.losing(late, (*view).saveCampaign, "/campaigns/billing", page.typed(now, "name", "Mine")...).want(http.StatusServiceUnavailable).
		shows("Perhaps not saved", "it is saved once").has(`value="Mine"`)
	f.losing(late, (*view).testCampaign, "/campaigns/billing/test", page.typed(now, "to", "+14155550123", "test_key", "sure")...).
		want(http.StatusServiceUnavailable).shows("not known whether it was sent").has(`name="test_key" value="sure"`)
}

func TestWhatIsNotKnownToBeCreatedCanBeCreatedAgain(t *testing.T) {
	f := newFixture(t)
	f.losing(late, func(v *view) error {
		v.r.SetPathValue("id", "")
		return v.createCampaign()
	}, "/campaigns/new", made("id", "other")...).want(http.StatusServiceUnavailable).
		shows("Perhaps not saved").has(`action="/campaigns/new"`, `name="key" value="once"`)
}

// Where the provider's answer is lost, the same number can be asked for again
// with the same key.
func TestALostAnswerWhenANumberIsObtained(t *testing.T) {
	f := newFixture(t)
	key := strings.Repeat("k", 26)
	for status, problem := range map[int]string{
		http.StatusBadGateway: `{"title":"Bad Gateway","status":502,"detail":"it is being looked up, ask again","reason":"uncertain"}`,
		http.StatusConflict:   `{"title":"Conflict","status":409,"detail":"ask again","reason":"busy"}`,
	} {
		f.losing(saying(status, problem), (*view).obtainSender, "/senders/obtain", "number", "+14155550100", "country", "US", "key", key).
			want(status).shows("Is +14155550100 yours now?", "it is being looked up", "it is obtained once", "Ask again").
			has(`action="/senders/obtain"`, `name="key" value="`+key+`"`, `name="country" value="US"`, `value="&#43;14155550100"`)
	}
	f.losing(late, (*view).obtainSender, "/senders/obtain", "number", "+14155550100", "country", "US", "key", key).
		want(http.StatusServiceUnavailable).shows("Ask again").has(`value="` + key + `"`)
	f.losing(saying(http.StatusConflict, `{"title":"Conflict","status":409,"detail":"the provider does not have this number","reason":"unavailable"}`),
		(*view).obtainSender, "/senders/obtain", "number", "+14155550100", "country", "US", "key", key).want(http.StatusConflict).lacks("Ask again")
}

// Whatever else could not be done now can be asked for once more as it was.
func TestWhatFailedForNowCanBeAskedForOnceMore(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	f.losing(late, (*view).switchCampaign, "/switch", "id", "billing", "enabled", "false", "back", "/").
		want(http.StatusServiceUnavailable).shows("not known whether this was done", "Try again").
		has(`action="/switch"`, `name="id" value="billing"`, `name="form-token" value="`+session{cookie: "mine"}.formToken()+`"`)
	again := f.losing(saying(http.StatusServiceUnavailable, `{"title":"Service Unavailable","status":503,"detail":"the store does not answer: try again"}`),
		(*view).switchCampaign, "/switch", "id", "billing", "enabled", "false", "back", "/").want(http.StatusServiceUnavailable)
	require.Equal(t, "7", again.header.Get("Retry-After"), "as the API says")
	f.losing(late, (*view).switchCampaign, "/sign-in", "token", "secret").want(http.StatusServiceUnavailable).lacks("secret", "Try again")
}

func TestSomeAreDeletedAndOthersNotYet(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	f.create(campaign("other", "Other", "+18005550102"))
	calls := 0
	f.losing(func(*http.Request) (*http.Response, error) {
		if calls++; calls > 1 {
			return nil, context.DeadlineExceeded
		}
		return nil, nil
	}, (*view).deleteCampaigns, "/delete/confirmed", "campaign", "billing@1", "campaign", "other@1").
		want(http.StatusServiceUnavailable).shows("1 of 2 campaigns were deleted, the others not yet.", "Try again").
		has(`name="campaign" value="billing@1"`, `name="campaign" value="other@1"`)
	f.browser("admin").post("/delete/confirmed", "campaign", "billing@1", "campaign", "other@1").to("/?notice=campaigns-deleted")
	require.Contains(t, f.call(http.MethodGet, "/v1/campaigns", "", 200), `"total":0`)
}
