package link

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/deploy/lab/labtest"
)

const (
	code   = "123456789AB"
	target = "https://visual.example.com/start?callerId=%2B14155550132"
	phone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"
)

func ask(h http.Handler, method, path, agent string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("User-Agent", agent)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	return string(b)
}

func TestRedirect(t *testing.T) {
	rdb := connect(t)
	put(t, rdb, code, target, time.Hour)
	reg := prometheus.NewPedanticRegistry()
	h := NewHandler(HandlerOptions{Redis: rdb, Timeout: labtest.Patience, Registerer: reg})
	for _, path := range []string{"/" + code, "/" + code + "?utm=1&callerId=%2B1999"} {
		r := ask(h, http.MethodGet, path, phone)
		require.Equal(t, http.StatusFound, r.StatusCode)
		require.Equal(t, target, r.Header.Get("Location"))
		require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
		require.Equal(t, "no-referrer", r.Header.Get("Referrer-Policy"))
		require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
		require.Contains(t, r.Header.Get("Content-Security-Policy"), "default-src 'none'")
		require.NotContains(t, body(t, r), "14155550132")
	}
	r := ask(h, http.MethodHead, "/"+code, phone)
	require.Equal(t, http.StatusFound, r.StatusCode)
	require.Equal(t, target, r.Header.Get("Location"))
	require.Empty(t, body(t, r))
	for _, agent := range []string{"", "WhatsApp/2.23", "facebookexternalhit/1.1", "curl/8.0"} {
		require.Equal(t, http.StatusFound, ask(h, http.MethodGet, "/"+code, agent).StatusCode, "previews are answered too")
	}

	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP deflectd_link_opens_total Short links opened, by campaign and by who seems to have opened them (human or bot).
# TYPE deflectd_link_opens_total counter
deflectd_link_opens_total{campaign="billing",visitor="bot"} 5
deflectd_link_opens_total{campaign="billing",visitor="human"} 2
`), "deflectd_link_opens_total"))
	require.Equal(t, []any{"2", "5"}, rdb.HMGet(t.Context(), Key(code), "opens", "bots").Val())
}

func TestPages(t *testing.T) {
	rdb := connect(t)
	put(t, rdb, code, target, time.Millisecond)
	time.Sleep(5 * time.Millisecond)
	h := NewHandler(HandlerOptions{Redis: rdb, Timeout: labtest.Patience})
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{http.MethodGet, "/" + code, http.StatusGone, "This link has expired"},
		{http.MethodGet, "/BBBBBBBBBBB", http.StatusNotFound, "This link leads nowhere"},
		{http.MethodGet, "/", http.StatusNotFound, "This link leads nowhere"},
		{http.MethodGet, "/favicon.ico", http.StatusNotFound, "This link leads nowhere"},
		{http.MethodGet, "/" + code + "/", http.StatusNotFound, "This link leads nowhere"},
		{http.MethodGet, "/" + strings.Repeat("1", 5000), http.StatusNotFound, "This link leads nowhere"},
		{http.MethodHead, "/" + code, http.StatusGone, ""},
		{http.MethodPost, "/" + code, http.StatusMethodNotAllowed, "This cannot be done here"},
		{http.MethodDelete, "/x", http.StatusMethodNotAllowed, "This cannot be done here"},
	} {
		r := ask(h, c.method, c.path, phone)
		require.Equal(t, c.status, r.StatusCode, "%s %s", c.method, c.path)
		require.Empty(t, r.Header.Get("Location"))
		require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
		require.Equal(t, "text/html; charset=utf-8", r.Header.Get("Content-Type"))
		if c.status == http.StatusMethodNotAllowed {
			require.Equal(t, "GET, HEAD", r.Header.Get("Allow"))
		}
		page := body(t, r)
		require.Contains(t, page, c.says)
		if c.says != "" {
			require.True(t, strings.HasPrefix(page, "<!doctype html>\n<html lang=\"en\">"))
			require.NotContains(t, page, "http", "no page needs another machine")
		}
	}
	// An expired link is not counted.
	require.False(t, rdb.HExists(t.Context(), Key(code), "opens").Val())
}

// What cannot be a code is not looked up: with a store that is not there, it
// would show.
func TestWithoutRedis(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: 100 * time.Millisecond})
	defer func() { _ = rdb.Close() }()
	h := NewHandler(HandlerOptions{Redis: rdb, Timeout: 300 * time.Millisecond})
	r := ask(h, http.MethodGet, "/"+code, phone)
	require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
	require.Equal(t, "5", r.Header.Get("Retry-After"))
	require.Contains(t, body(t, r), "try again")
	require.Equal(t, http.StatusNotFound, ask(h, http.MethodGet, "/robots.txt", phone).StatusCode)
}

// It ends, though Redis stays frozen.
func TestFrozenRedisCostsLittleTime(t *testing.T) {
	rdb := connect(t)
	h := NewHandler(HandlerOptions{Redis: rdb, Timeout: 200 * time.Millisecond})
	require.NoError(t, server.Freeze())
	defer func() { require.NoError(t, server.Thaw()) }()
	require.Equal(t, http.StatusServiceUnavailable, ask(h, http.MethodGet, "/"+code, phone).StatusCode)
}

// The interaction's URL may hold the caller's number: it goes when the link
// expires, and what stays for those who come late does not hold it.
func TestAnExpiredLinkLeavesNoNumber(t *testing.T) {
	rdb := connect(t)
	put(t, rdb, code, target, time.Hour)
	h := NewHandler(HandlerOptions{Redis: rdb, Timeout: labtest.Patience})
	require.Equal(t, http.StatusFound, ask(h, http.MethodGet, "/"+code, phone).StatusCode)
	require.NoError(t, rdb.PExpire(t.Context(), URLKey(code), time.Millisecond).Err())
	time.Sleep(5 * time.Millisecond)
	require.Equal(t, http.StatusGone, ask(h, http.MethodGet, "/"+code, phone).StatusCode)
	keys, err := server.Keys(t.Context(), "*")
	require.NoError(t, err)
	require.Equal(t, []string{Key(code)}, keys)
	require.Equal(t, map[string]string{FieldCampaign: "billing", FieldMessage: "m1", "opens": "1"}, rdb.HGetAll(t.Context(), Key(code)).Val())
	require.InDelta(t, TTL(time.Hour).Seconds(), rdb.TTL(t.Context(), Key(code)).Val().Seconds(), 60)

	// Long after, it is forgotten.
	require.NoError(t, rdb.Del(t.Context(), Key(code)).Err())
	require.Equal(t, http.StatusNotFound, ask(h, http.MethodGet, "/"+code, phone).StatusCode)
}

// slow is a hook of a client whose Redis answers when it is told to.
type slow struct{ answer chan struct{} }

func (slow) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		<-s.answer
		return next(ctx, cmd)
	}
}

func (slow) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// However many strangers ask while Redis is slow, few of them wait for it: its
// connections are for live calls.
func TestFewLookUpsAtOnce(t *testing.T) {
	rdb := connect(t)
	put(t, rdb, code, target, time.Hour)
	s := slow{answer: make(chan struct{})}
	rdb.AddHook(s)
	reg := prometheus.NewPedanticRegistry()
	h := NewHandler(HandlerOptions{Redis: rdb, Timeout: time.Minute, Registerer: reg})
	var waiting sync.WaitGroup
	defer waiting.Wait()
	answer := sync.OnceFunc(func() { close(s.answer) })
	defer answer()
	for range maxAtOnce {
		waiting.Go(func() { assert.Equal(t, http.StatusFound, ask(h, http.MethodGet, "/"+code, phone).StatusCode) })
	}
	require.Eventually(t, func() bool { return len(h.busy) == maxAtOnce }, time.Minute, time.Millisecond)
	// Nobody else waits, or this would have no end.
	for range 1000 {
		r := ask(h, http.MethodGet, "/"+code, phone)
		require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
		require.Equal(t, "5", r.Header.Get("Retry-After"))
		require.Contains(t, body(t, r), "Please try again in a moment")
	}
	require.Equal(t, http.StatusNotFound, ask(h, http.MethodGet, "/robots.txt", phone).StatusCode, "what needs no look-up is answered")
	answer()
	waiting.Wait()
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP deflectd_link_refused_total Short links not looked up, because too many were asked for at the time.
# TYPE deflectd_link_refused_total counter
deflectd_link_refused_total 1000
`), "deflectd_link_refused_total"))
}

// Whoever tries codes without end soon gets no further look into the store.
func TestLookUpsHaveAPace(t *testing.T) {
	rdb := connect(t)
	put(t, rdb, code, target, time.Hour)
	h := NewHandler(HandlerOptions{Redis: rdb, Timeout: labtest.Patience})
	h.pace.SetBurst(3)
	h.pace.SetLimit(0)
	for range 3 {
		require.Equal(t, http.StatusFound, ask(h, http.MethodGet, "/"+code, phone).StatusCode)
	}
	r := ask(h, http.MethodGet, "/"+code, phone)
	require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
	require.Equal(t, "5", r.Header.Get("Retry-After"))
	require.Empty(t, h.busy)
}

func TestVisitor(t *testing.T) {
	for agent, want := range map[string]visitor{
		phone: human,
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36": human,
		"Mozilla/5.0 (Windows NT 10.0; rv:130.0) Gecko/20100101 Firefox/130.0":                          human,
		"": bot, "  ": bot,
		"facebookexternalhit/1.1 Facebot Twitterbot/1.0":       bot,
		"WhatsApp/2.23.20.0 A":                                 bot,
		"TelegramBot (like TwitterBot)":                        bot,
		"Slackbot-LinkExpanding 1.0":                           bot,
		"Mozilla/5.0 (compatible; Googlebot/2.1)":              bot,
		"Mozilla/5.0 SkypeUriPreview Preview/0.5":              bot,
		"python-requests/2.32":                                 bot,
		"Go-http-client/1.1":                                   bot,
		"Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0": bot,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("User-Agent", agent)
		require.Equal(t, want, visitorOf(r), "%q", agent)
	}
	r := httptest.NewRequest(http.MethodHead, "/", nil)
	r.Header.Set("User-Agent", phone)
	require.Equal(t, bot, visitorOf(r))
}

// The link of a person who was forgotten leads nowhere, and says no more than one
// that has expired. What it was opened for is not told apart any more.
func TestAForgottenLink(t *testing.T) {
	rdb := connect(t)
	put(t, rdb, code, target, time.Hour)
	reg := prometheus.NewPedanticRegistry()
	h := NewHandler(HandlerOptions{Redis: rdb, Timeout: labtest.Patience, Registerer: reg})
	require.Equal(t, http.StatusFound, ask(h, http.MethodGet, "/"+code, phone).StatusCode)
	require.NoError(t, rdb.Del(t.Context(), URLKey(code)).Err())
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r := ask(h, method, "/"+code, phone)
		require.Equal(t, http.StatusGone, r.StatusCode)
		require.Empty(t, r.Header.Get("Location"))
		page := body(t, r)
		require.NotContains(t, page, "14155550132")
		if method == http.MethodGet {
			require.Contains(t, page, "This link has expired")
		}
	}
	require.Equal(t, 1, testutil.CollectAndCount(reg, "deflectd_link_opens_total"))
	require.Equal(t, "1", rdb.HGet(t.Context(), Key(code), "opens").Val())
}

// Whatever the path is, the answer is one of ours.
func FuzzHandler(f *testing.F) {
	for _, p := range []string{"", code, "../x", "%00", "é", strings.Repeat("z", 300), "123456789A\x00"} {
		f.Add(p)
	}
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: server.Addrs, MaxRetries: -1})
	f.Cleanup(func() { _ = rdb.Close() })
	h := NewHandler(HandlerOptions{Redis: rdb})
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = "/" + path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Contains(t, []int{http.StatusFound, http.StatusNotFound, http.StatusGone}, w.Code)
	})
}
