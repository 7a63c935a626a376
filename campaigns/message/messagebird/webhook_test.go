package messagebird

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/inbound"
	"deflectd/campaigns/message"
)

const (
	publicURL  = "https://txt.example.com"
	signingKey = "36efdd1aace2e26cd490f0d951138253"
)

// listener is a public listener with both webhooks.
type listener struct {
	URL     string
	options WebhookOptions
	reports *Reports
	texts   *Inbound

	mu      sync.Mutex
	got     []message.Report
	heard   []inbound.Text
	failing error
	hold    func() // called while a report or a text is being taken
}

// listen starts one. Nothing in it knows the address that it is reached at.
func listen(t testing.TB, rdb redis.UniversalClient, change ...func(*WebhookOptions)) *listener {
	t.Helper()
	l := &listener{options: WebhookOptions{
		PublicURL: publicURL, Secret: secret, SigningKey: signingKey, Redis: rdb, Registerer: prometheus.NewPedanticRegistry(),
	}}
	for _, f := range change {
		f(&l.options)
	}
	var err error
	l.reports, err = NewReports(l.options, func(_ context.Context, r message.Report) error {
		return l.take(func() { l.got = append(l.got, r) })
	})
	require.NoError(t, err)
	l.texts, err = NewInbound(l.options, func(_ context.Context, m inbound.Text) error {
		return l.take(func() { l.heard = append(l.heard, m) })
	})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(ReportPattern, l.reports)
	mux.Handle(InboundPattern, l.texts)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	l.URL = s.URL
	return l
}

func (l *listener) take(it func()) error {
	l.mu.Lock()
	failing, hold := l.failing, l.hold
	l.mu.Unlock()
	if hold != nil {
		hold()
	}
	if failing != nil {
		return failing
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	it()
	return nil
}

func (l *listener) fails(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err
}

// taken is how many reports and texts were handed over.
func (l *listener) taken() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.got) + len(l.heard)
}

// counted is how many requests had a result, at both webhooks.
func (l *listener) counted(r result) int {
	return int(testutil.ToFloat64(l.reports.results.WithLabelValues(string(r))) +
		testutil.ToFloat64(l.texts.results.WithLabelValues(string(r))))
}

// call is one request to a webhook.
type call struct {
	method, target, body string
	header               http.Header
}

// report is an unsigned delivery report with the token that is right for m1.
func report(query string) call {
	return call{method: http.MethodGet, target: target(query)}
}

// texting is an unsigned inbound text with the right token.
func texting(form string) call {
	return call{method: http.MethodPost, target: InboundPath + InboundToken(testSecret), body: form}
}

// without is the same call, with another token.
func (c call) without() call {
	before, after, _ := strings.Cut(c.target, "?")
	c.target = before[:strings.LastIndex(before, "/")+1] + "AAAAAAAAAAAAAAAAAAAAAA?" + after
	c.target = strings.TrimSuffix(c.target, "?")
	return c
}

// with is the same call with one more signature.
func (c call) with(signature string) call {
	header := c.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Add("MessageBird-Signature-JWT", signature)
	c.header = header
	return c
}

// claimsOf is what MessageBird puts into the signature of a call.
func claimsOf(c call) jwt.MapClaims {
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": "MessageBird", "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": rand.Text(),
		"url_hash": hash([]byte(publicURL + c.target)),
	}
	if c.body != "" {
		claims["payload_hash"] = hash([]byte(c.body))
	}
	return claims
}

// sign makes a token as MessageBird does.
func sign(t testing.TB, method jwt.SigningMethod, claims jwt.Claims, key any) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	require.NoError(t, err)
	return token
}

// signed is a call as MessageBird signs it, but for what change does to the
// claims.
func (c call) signed(t testing.TB, change ...func(jwt.MapClaims)) call {
	t.Helper()
	claims := claimsOf(c)
	for _, f := range change {
		f(claims)
	}
	return c.with(sign(t, jwt.SigningMethodHS256, claims, []byte(signingKey)))
}

// do makes a call and answers the status.
func (l *listener) do(t testing.TB, c call) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), c.method, l.URL+c.target, strings.NewReader(c.body))
	require.NoError(t, err)
	if c.header != nil {
		request.Header = c.header.Clone()
	}
	if c.body != "" && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	if response.StatusCode == http.StatusServiceUnavailable {
		assert.Equal(t, comeAgain, response.Header.Get("Retry-After"))
	}
	return response.StatusCode
}

const aText = "id=i1&originator=14155550132&recipient=18005550100&payload=STOP&createdDatetime=2026-01-02T10%3A02%3A59%2B00%3A00"

// everyWebhook runs a test with a call to each of them.
func everyWebhook(t *testing.T, test func(t *testing.T, c call)) {
	t.Helper()
	t.Run("report", func(t *testing.T) { test(t, report("id=x&status=delivered&price[amount]=0.07")) })
	t.Run("inbound", func(t *testing.T) { test(t, texting(aText)) })
}

func TestSignedOrWithTheToken(t *testing.T) {
	l := listen(t, connect(t, server))
	everyWebhook(t, func(t *testing.T, c call) {
		before := l.taken()
		assert.Equal(t, 200, l.do(t, c.signed(t)), "signed, with the token")
		assert.Equal(t, 200, l.do(t, c.without().signed(t)), "signed, without the token")
		assert.Equal(t, 401, l.do(t, c.without()), "neither")
		wrong := c.signed(t, func(claims jwt.MapClaims) { claims["iss"] = "Mallory" })
		assert.Equal(t, 401, l.do(t, wrong), "a wrong signature is none the better for the token")
		assert.Equal(t, before+2, l.taken())
	})
	assert.Equal(t, 4, l.counted(taken))
	assert.Equal(t, 2, l.counted(badToken))
	assert.Equal(t, 2, l.counted(badSignature))
}

// Where there is a signing key, a delivery report may come without a signature,
// for MessageBird does not sign them all; a text from a person may not.
func TestUnsignedWhereThereIsASigningKey(t *testing.T) {
	l := listen(t, connect(t, server))
	assert.Equal(t, 200, l.do(t, report("status=delivered")))
	assert.Equal(t, 1, l.taken())
	c := texting(aText)
	assert.Equal(t, 401, l.do(t, c), "the token alone does not do")
	assert.Equal(t, 1, l.counted(unsigned))
	c.body = strings.Repeat("x", maxBody+1)
	assert.Equal(t, 401, l.do(t, c), "and no body is read")
	assert.Equal(t, 401, l.do(t, c.without()))
	assert.Equal(t, 2, l.counted(unsigned))
	assert.Equal(t, 1, l.counted(badToken))
	assert.Equal(t, 1, l.taken())
	assert.Equal(t, 200, l.do(t, texting(aText).signed(t)))
}

// Where no signing key is configured nothing can be said about a signature.
func TestWithoutASigningKeyTheTokenDecides(t *testing.T) {
	l := listen(t, nil, func(o *WebhookOptions) { o.SigningKey = "" })
	everyWebhook(t, func(t *testing.T, c call) {
		assert.Equal(t, 200, l.do(t, c))
		assert.Equal(t, 200, l.do(t, c.signed(t)))
		assert.Equal(t, 200, l.do(t, c.with("nonsense")))
		assert.Equal(t, 401, l.do(t, c.without()))
		assert.Equal(t, 401, l.do(t, c.without().signed(t)))
		assert.Equal(t, 401, l.do(t, c.without().with("nonsense")))
	})
}

func TestWhatASigningKeyNeeds(t *testing.T) {
	for name, o := range map[string]WebhookOptions{
		"redis":            {PublicURL: publicURL, SigningKey: "k", Secret: secret},
		"public url":       {SigningKey: "k", Secret: secret, Redis: connect(t, server)},
		"whole public url": {PublicURL: "/txt", SigningKey: "k", Secret: secret, Redis: connect(t, server)},
	} {
		_, err := NewReports(o, nil)
		require.Error(t, err, name)
		_, err = NewInbound(o, nil)
		require.Error(t, err, name)
	}
}

// Whatever a proxy in front makes of the host, the scheme and the headers, what
// was signed is the public address. A part of its path may be the proxy's.
func TestBehindAProxy(t *testing.T) {
	for name, public := range map[string]string{
		"at the root": publicURL, "with a slash": publicURL + "/", "below a path": publicURL + "/texts", "with a port": publicURL + ":8443",
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, connect(t, server), func(o *WebhookOptions) { o.PublicURL = public })
			inside, err := url.Parse(l.URL)
			require.NoError(t, err)
			proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(inside)
				r.SetXForwarded()
				r.Out.Host = "internal.local:8081"
				r.Out.Header.Set("X-Forwarded-Host", "elsewhere.example.com")
				r.Out.Header.Set("Forwarded", "host=elsewhere.example.com;proto=http")
			}})
			defer proxy.Close()
			l.URL = proxy.URL
			everyWebhook(t, func(t *testing.T, c call) {
				c = c.without()
				address := func(base string) func(jwt.MapClaims) {
					return func(claims jwt.MapClaims) { claims["url_hash"] = hash([]byte(base + c.target)) }
				}
				assert.Equal(t, 200, l.do(t, c.signed(t, address(strings.TrimRight(public, "/")))))
				for _, other := range []string{proxy.URL, inside.String(), "https://internal.local:8081", "https://elsewhere.example.com", "http://txt.example.com"} {
					assert.Equal(t, 401, l.do(t, c.signed(t, address(other))), other)
				}
			})
		})
	}
}

func TestLimits(t *testing.T) {
	l, tokens := listen(t, connect(t, server)), listen(t, nil, func(o *WebhookOptions) { o.SigningKey = "" })
	long := strings.Repeat("x", maxBody)
	everyWebhook(t, func(t *testing.T, c call) {
		before := l.taken()
		c.body = long + "x"
		assert.Equal(t, 413, tokens.do(t, c), "body")
		assert.Equal(t, 413, l.do(t, c.signed(t)), "signed body")
		assert.Equal(t, 401, l.do(t, c.without()), "of a stranger no body is read")
		c.body = "originator=14155550132&x=" + long[:maxBody-len("originator=14155550132&x=")]
		assert.Equal(t, 200, l.do(t, c.signed(t)))
		c.body = ""
		c.target += "&" + strings.Repeat("x", maxQuery+1)
		c.target = strings.Replace(c.target, InboundToken(testSecret)+"&", InboundToken(testSecret)+"?", 1)
		assert.Equal(t, 414, tokens.do(t, c), "query")
		assert.Equal(t, 414, l.do(t, c.signed(t)), "signed query")
		assert.Equal(t, before+1, l.taken())
	})
	assert.Zero(t, tokens.taken())
	c := report("status=sent").with(strings.Repeat("x", maxSignature+1))
	assert.Equal(t, 401, l.do(t, c), "header")
	assert.Equal(t, 2, l.counted(tooLarge))
	assert.Equal(t, 2, l.counted(tooLong))
	assert.Equal(t, 2, tokens.counted(tooLarge))
	assert.Equal(t, 2, tokens.counted(tooLong))
}

// A body that does not arrive whole is not taken.
func TestABodyThatIsCutShort(t *testing.T) {
	l := listen(t, nil, func(o *WebhookOptions) { o.SigningKey = "" })
	c := texting(aText)
	r := httptest.NewRequest(c.method, c.target, io.MultiReader(strings.NewReader("originator=1415"), breaks{}))
	w := httptest.NewRecorder()
	l.texts.ServeHTTP(w, r)
	assert.Equal(t, 400, w.Code)
	assert.Zero(t, l.taken())
	assert.Equal(t, 1, l.counted(cutShort))
}

type breaks struct{}

func (breaks) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestMethods(t *testing.T) {
	l, tokens := listen(t, connect(t, server)), listen(t, nil, func(o *WebhookOptions) { o.SigningKey = "" })
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		for _, c := range []call{report("status=delivered"), texting(aText)} {
			want := http.StatusMethodNotAllowed
			if c.method == method {
				want = http.StatusOK
			}
			c.method = method
			assert.Equal(t, want, tokens.do(t, c), c)
			assert.Equal(t, want, l.do(t, call{method: method, target: c.target, body: c.body}.signed(t)), c)
		}
	}
	assert.Equal(t, 2, l.taken())
	assert.Equal(t, 2, tokens.taken())
}
