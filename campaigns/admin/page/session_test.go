package page

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/deploy/lab/labtest"
)

// cookies are those the browser has.
func (b *browser) cookies() []*http.Cookie {
	at, err := url.Parse(b.url)
	require.NoError(b.t, err)
	return b.client.Jar.Cookies(at)
}

func TestSignInAndOut(t *testing.T) {
	f := newFixture(t)
	b := f.browser("")
	b.get("/").to("/sign-in")
	b.get("/messages?state=failed").to("/sign-in?next=" + url.QueryEscape("/messages?state=failed"))
	b.get("/nothing/here").to("/sign-in?next=%2Fnothing%2Fhere")
	b.get("/sign-in").want(200).shows("Sign in", "Token").hides("Sign out", "Messages")
	b.get("/sign-in?next=/messages").want(200).shows("Sign in to go on to the page you asked for.")

	require.Equal(t, `Bearer realm="deflectd"`, b.post("/sign-in", "token", "wrong secret").want(401).
		shows("This token is not known").hides("wrong secret").header.Get("WWW-Authenticate"))
	b.post("/sign-in", "token", "").want(422).shows("Paste your token here.")
	require.Empty(t, b.cookies())

	a := b.post("/sign-in", "token", " editor ", "next", "/messages?state=failed").to("/messages?state=failed")
	cookie := a.header.Get("Set-Cookie")
	require.Regexp(t, `^deflectd=[A-Za-z0-9_-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict$`, cookie)
	b.get("/").want(200).shows("editor", "Sign out")
	b.get("/sign-in").to("/")
	b.get("/sign-in?next=/why").to("/why")
	require.Contains(t, f.log.String(), "somebody signed in")

	kept := b.cookies()
	b.post("/sign-out").to("/sign-in?notice=signed-out")
	require.Empty(t, b.cookies())
	b.get("/sign-in?notice=signed-out").want(200).shows("You have signed out.")
	b.get("/").to("/sign-in")

	thief := f.browser("")
	at, err := url.Parse(f.url)
	require.NoError(t, err)
	thief.client.Jar.SetCookies(at, kept)
	thief.get("/").to("/sign-in")
}

// Redis has no cookie, and the session is over in time.
func TestWhatIsKeptOfASession(t *testing.T) {
	f := newFixture(t)
	b := f.browser("admin")
	cookie := b.cookies()[0].Value
	key := sessionKey(cookie)
	raw, err := f.rdb.Get(t.Context(), key).Result()
	require.NoError(t, err)
	require.NotContains(t, key+raw, cookie)
	require.NotContains(t, raw, "print of", "a token's fingerprint could be tried guesses on")
	require.Contains(t, raw, `"token":"admin"`)
	left, err := f.rdb.PTTL(t.Context(), key).Result()
	require.NoError(t, err)
	require.InDelta(t, sessionLife.Seconds(), left.Seconds(), 60)
	require.NotContains(t, f.log.String(), cookie)
	require.NoError(t, f.rdb.Del(t.Context(), key).Err())
	b.get("/").to("/sign-in")
}

// Signing in ends the session that was there: nobody goes on with a cookie that
// somebody else may have set.
func TestSignInTakesANewCookie(t *testing.T) {
	f := newFixture(t)
	b := f.browser("viewer")
	before := b.cookies()[0].Value
	b.signIn("admin")
	require.NotEqual(t, before, b.cookies()[0].Value)
	require.ErrorIs(t, f.rdb.Get(t.Context(), sessionKey(before)).Err(), redis.Nil)
}

func TestSessionsEndWithTheirToken(t *testing.T) {
	f := newFixture(t)
	b, other := f.browser("admin"), f.browser("admin")
	kept := func(b *browser) (session, string) {
		s := session{cookie: b.cookies()[0].Value}
		raw, err := f.rdb.Get(t.Context(), sessionKey(s.cookie)).Bytes()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &s))
		return s, sessionKey(s.cookie)
	}
	mine, key := kept(b)
	require.True(t, mine.proves("print of admin"))
	theirs, _ := kept(other)
	require.NotEqual(t, mine.Proof, theirs.Proof)
	// Who writes to Redis makes no session by taking over what another one has.
	for _, forged := range []string{
		`{"token":"admin","proof":"` + theirs.Proof + `"}`, `{"token":"admin","proof":""}`, `{"token":"admin","fingerprint":"print of admin"}`,
		`{"token":"editor","proof":"` + mine.Proof + `"}`, `{"token":"admin","proof":"` + mine.proofOf("print of an older one") + `"}`,
	} {
		require.NoError(t, f.rdb.Set(t.Context(), key, forged, time.Hour).Err())
		b.get("/").to("/sign-in")
		require.ErrorIs(t, f.rdb.Get(t.Context(), key).Err(), redis.Nil)
	}
	other.get("/").want(200)

	c := f.browser("admin")
	require.NoError(t, f.rdb.Set(t.Context(), sessionKey(c.cookies()[0].Value), "nonsense", time.Hour).Err())
	c.get("/").want(500)
}

func TestCookieUnderTLS(t *testing.T) {
	f := newFixture(t)
	b := f.browser("")
	b.header.Set("X-Forwarded-Proto", "https")
	cookie := b.post("/sign-in", "token", "admin").to("/").header.Get("Set-Cookie")
	require.Regexp(t, `^__Host-deflectd=[A-Za-z0-9_-]{43}; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Strict$`, cookie)
	value, _, _ := strings.Cut(strings.TrimPrefix(cookie, "__Host-deflectd="), ";")
	for name, want := range map[string]int{"__Host-deflectd": 200, "deflectd": 303} {
		other := f.browser("")
		other.header = http.Header{"X-Forwarded-Proto": {"https"}, "Cookie": {name + "=" + value}}
		other.get("/").want(want)
	}
}

func TestNextStaysWithinThePage(t *testing.T) {
	for address, want := range map[string]string{
		"/":                           "/",
		"/messages?state=failed#x":    "/messages?state=failed#x",
		"":                            "/",
		"messages":                    "/",
		"https://evil.example":        "/",
		"//evil.example":              "/",
		"/\\evil.example":             "/",
		"/\nevil":                     "/",
		"javascript:alert(1)":         "/",
		"/a?next=//evil.example":      "/a?next=//evil.example",
		"///evil.example":             "/",
		"http:evil":                   "/",
		"/%zz":                        "/",
		strings.Repeat("/a", 3):       "/a/a/a",
		"/x\tevil":                    "/",
		"https:\\\\evil.example/path": "/",
	} {
		require.Equal(t, want, within(address), address)
	}
	f := newFixture(t)
	b := f.browser("")
	b.post("/sign-in", "token", "admin", "next", "//evil.example").to("/")
	b.get("/sign-in?next=https://evil.example").to("/")
}

func TestTooManyWrongTokens(t *testing.T) {
	f := newFixture(t)
	b := f.browser("admin")
	b.post("/sign-out")
	a := b.post("/sign-in", "token", "guess")
	wrong := 0
	for ; a.code == 401; wrong++ { // one more is looked at every few seconds
		a = b.post("/sign-in", "token", "guess")
	}
	require.GreaterOrEqual(t, wrong, 10)
	a.want(429).shows("Too many wrong tokens came from your address. Try again in")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	b.post("/sign-in", "token", "viewer").want(429)
	b.post("/sign-in", "token", "admin").to("/")
	require.NotContains(t, f.log.String(), "guess")
	require.Contains(t, f.call(http.MethodGet, "/metrics", "", 200), `deflectd_auth_failures_total{cause="limited",via="page"} 2`)
}

// What was typed when the session ended is shown again, and saved only when the
// button is pressed again.
func TestSessionEndsInTheMiddleOfAForm(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	require.NoError(t, f.rdb.Del(t.Context(), sessionKey(b.cookies()[0].Value)).Err())
	a := b.post("/switch", "id", "billing", "enabled", "false", "back", `/?q="><script>`).want(401).
		shows("Your session is over. What you typed is not lost")
	require.NotContains(t, a.body, "<script>alert")
	require.Contains(t, a.body, `name="again" value="/switch"`)
	require.Contains(t, a.body, `name="kept.id" value="billing"`)
	require.NotContains(t, a.body, "kept."+formToken)

	again := []string{"again", "/switch", "kept.id", "billing", "kept.enabled", "false", "kept.back", "/"}
	a = b.post("/sign-in", append([]string{"token", "wrong"}, again...)...).want(401)
	require.Contains(t, a.body, `name="kept.id" value="billing"`, "a wrong token loses nothing")
	a = b.post("/sign-in", append([]string{"token", "editor"}, again...)...).want(200).
		shows("Switch this campaign off?", "Billing questions (billing)", "Switch it off", "editor")
	require.Contains(t, a.body, `<form class="card" method="post" action="/switch">`)
	require.Contains(t, f.call(http.MethodGet, "/v1/campaigns/billing", "", 200), `"enabled":true`)
	b.post("/switch", "id", "billing", "enabled", "false").to("/?notice=campaign-off#c-billing")
	require.NotContains(t, f.call(http.MethodGet, "/v1/campaigns/billing", "", 200), `"enabled":true`)
}

// A form of another session, as of a tab that was open when somebody signed in
// anew, changes nothing by itself.
func TestFormTokens(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	for _, wrong := range []string{"", "x", f.browser("editor").formToken()} {
		b.post("/switch", formToken, wrong, "id", "billing", "enabled", "false").want(200).shows("Switch this campaign off?")
	}
	require.Contains(t, f.call(http.MethodGet, "/v1/campaigns/billing", "", 200), `"enabled":true`)
}

func TestFormsOfOtherSites(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	for _, from := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}},
		{"Origin": {"https://evil.example"}},
		{"Origin": {"null"}},
	} {
		b.header = from
		b.post("/switch", "id", "billing", "enabled", "false").want(403).shows("sent by another site")
		b.post("/sign-in", "token", "admin").want(403)
	}
	b.header = http.Header{"Sec-Fetch-Site": {"same-origin"}}
	b.post("/switch", "id", "billing", "enabled", "false").want(303)
}

func TestFormsThatAreNone(t *testing.T) {
	f := newFixture(t)
	b := f.browser("editor")
	post := func(kind, body string) answer {
		return b.do(http.MethodPost, "/switch", strings.NewReader(body), kind)
	}
	post("application/json", `{}`).want(415)
	post("text/plain", `a=b`).want(415)
	post("nonsense;;", `a=b`).want(415)
	post("multipart/form-data; boundary=x", "--x--").want(415)
	post("application/x-www-form-urlencoded", "a=%zz").want(400)
	post("application/x-www-form-urlencoded", "id=%ff%fe").want(400).shows("something that is no text")
	post("application/x-www-form-urlencoded", "%00=a").want(400)
	post("application/x-www-form-urlencoded", "id="+strings.Repeat("x", maxForm)).want(413).
		shows("larger than it may be", "Sign out", "Back to SMS Management").hides("Go to the sign-in page")
	b.do(http.MethodPut, "/switch", nil, "").want(405)
	b.do(http.MethodDelete, "/", nil, "").want(405)
	require.Equal(t, "GET, HEAD, POST", b.do(http.MethodPatch, "/", nil, "").want(405).header.Get("Allow"))
	b.get("/switch").want(404)
	require.Empty(t, b.do(http.MethodHead, "/", nil, "").want(200).body)
}

// What is asked about before it is done is asked about as well where it was
// pressed without a session, and says what it is.
func TestWhatIsAskedAboutAfterASession(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	number := f.sender()
	b := f.browser("admin")
	stale := func(address string, pairs ...string) answer {
		return b.post(address, append(pairs, formToken, "of another session")...).want(200)
	}
	stale("/delete/confirmed", "campaign", "billing@1", "back", "/").shows("Delete this campaign?", "Billing questions (billing)")
	stale("/delete", "campaign", "billing@1").shows("Delete this campaign?")
	stale("/service", "enabled", "false", "confirmed", "yes").shows("Switch everything off?")
	stale("/service", "enabled", "true").shows("Switch everything on?")
	stale("/senders/release", "number", number, "confirmed", "yes", "stops", "*").shows("Release "+number+"?", "Billing questions (billing)")
	stale("/senders/obtain", "number", "+14155550101", "country", "US", "key", strings.Repeat("k", 26)).
		shows("Obtain +14155550101?").has(`name="key" value="`+strings.Repeat("k", 26)+`"`, `name="country" value="US"`)
	stale("/campaigns/billing/history/1", "version", "1").shows("Version 1")
	stale("/something/else", "a", "b").shows("Not done yet", "Do it now")
	for _, address := range []string{"/restore", "/campaigns/billing/restore"} {
		b.post(address, "id", "billing", formToken, "x").to("/campaigns/billing")
	}
	f.call(http.MethodGet, "/v1/campaigns/billing", "", 200)
	require.Contains(t, f.call(http.MethodGet, "/v1/senders", "", 200), number)
	require.Contains(t, f.call(http.MethodGet, "/v1/service", "", 200), `"enabled":true`)
}

func TestRedisAwayIsSaid(t *testing.T) {
	f := newFixture(t)
	hasty := labtest.Dial(t, f.redis, 2*time.Second)
	defer func() { require.NoError(t, hasty.Close()) }()
	b := f.browser("admin")
	cookie := b.cookies()[0]
	o := f.page
	o.Redis, o.Registerer = hasty, prometheus.NewRegistry()
	other := f.with(New(o))
	b, stranger := other.browser(""), other.browser("")
	b.header.Set("Cookie", cookie.Name+"="+cookie.Value)
	b.get("/").want(200)
	require.NoError(t, f.redis.Freeze())
	defer func() { require.NoError(t, f.redis.Thaw()) }()
	b.get("/").want(503).shows("The store does not answer just now")
	b.get("/sign-in").want(503)
	// What was posted is kept to be sent once more.
	lost := b.do(http.MethodPost, "/switch", strings.NewReader("id=%22%3E%3Cb%3E&enabled=false"), "application/x-www-form-urlencoded").
		want(503).shows("Nothing was changed", "Try again")
	for _, part := range []string{
		`method="post" action="/switch"`, `name="id" value="&#34;&gt;&lt;b&gt;"`, `name="enabled" value="false"`,
		`name="form-token" value="` + session{cookie: cookie.Value}.formToken() + `"`,
	} {
		require.Contains(t, lost.body, part)
	}
	stranger.get("/sign-in").want(200) // who has no cookie is asked for a token
	stranger.post("/sign-in", "token", "admin", "again", "/switch", "kept.id", "billing").want(503).
		shows("Your token is right").hides(`value="admin"`).has(`name="kept.id" value="billing"`)
}

func TestHeaders(t *testing.T) {
	f := newFixture(t)
	b := f.browser("admin")
	for _, address := range []string{"/", "/sign-in", "/nothing", "/senders"} {
		h := b.get(address).header
		require.Equal(t, "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'", h.Get("Content-Security-Policy"))
		require.Equal(t, "same-origin", h.Get("Referrer-Policy"))
	}
	b.get("/nothing").want(404).shows("Not found", "There is nothing at this address.")
}

// No page has a style or a script within.
func TestNothingInline(t *testing.T) {
	for _, name := range templateNames() {
		text := templateText(name)
		require.NotContains(t, text, " style=", name)
		require.NotContains(t, text, "<style", name)
		require.NotRegexp(t, ` on[a-z]+="`, text, name)
		require.NotRegexp(t, `<script>|<script [^>]*>[^<]`, text, name)
		require.NotContains(t, text, "javascript:", name)
		require.NotRegexp(t, `(src|href|action)="(https?:)?//`, text, name)
	}
}

func TestSessionsKeepToTheirSlot(t *testing.T) {
	require.True(t, strings.HasPrefix(sessionKey("x"), campaigns.Key("page", "session")+":"))
}
