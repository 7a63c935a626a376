package messagebird

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"
)

// What a request may be at most. MessageBird's are a few hundred bytes.
const (
	maxBody  = 64 << 10
	maxQuery = 8 << 10
	// maxField is the longest value of a report that is looked at: a reference
	// has at most 128 characters.
	maxField = 128
)

// workTime is how long a request may take that was found to be genuine. It ends
// well before a claim on the request's signature does.
const workTime = 5 * time.Second

// comeAgain is when a request that could not be taken should come again, in
// seconds.
const comeAgain = "10"

// WebhookOptions are what Reports and Inbound need.
type WebhookOptions struct {
	// PublicURL is how the internet reaches the public listener: the addresses
	// that MessageBird calls, and signs, begin with it.
	PublicURL string
	// Secret is the service secret; nothing for as long as it is not known.
	Secret func() []byte
	// SigningKey is what MessageBird signs requests with; "" for none.
	SigningKey string
	// Redis remembers which signed requests were taken. It is needed where there
	// is a signing key.
	Redis redis.UniversalClient

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// webhook is what the handlers of all webhooks have in common: who may call
// them, and how they answer.
type webhook struct {
	method     string
	public     string // without "/" at its end
	secret     func() []byte
	signatures *signatures // nil where there is no signing key
	mustSign   bool        // where there is one, a token does not do
	log        *slog.Logger
	complain   *rate.Limiter // strangers must not fill the log
	results    *prometheus.CounterVec
}

// newWebhook makes a webhook for one method, with a counter of that name.
func newWebhook(o WebhookOptions, method string, counter prometheus.CounterOpts) (*webhook, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h := &webhook{
		method: method, public: strings.TrimRight(o.PublicURL, "/"), secret: o.Secret, log: o.Logger,
		complain: rate.NewLimiter(rate.Every(10*time.Second), 3),
	}
	if o.SigningKey != "" {
		if u, err := url.Parse(o.PublicURL); err != nil || !u.IsAbs() || u.Host == "" {
			return nil, errors.New("the public URL, which is part of what is signed, must be an absolute one")
		}
		if o.Redis == nil {
			return nil, errors.New("a signing key needs Redis, which remembers the signatures that were used")
		}
		h.signatures = newSignatures(o.SigningKey, o.Redis)
	}
	h.results = promauto.With(o.Registerer).NewCounterVec(counter, []string{"result"})
	return h, nil
}

// serve answers a request. Where it is not signed, genuine compares its token;
// take does what a genuine request asks for.
func (h *webhook) serve(w http.ResponseWriter, r *http.Request, genuine func(secret []byte) bool, take func(ctx context.Context, body []byte) result) {
	if r.Method != h.method {
		w.Header().Set("Allow", h.method)
		http.Error(w, "only "+h.method, http.StatusMethodNotAllowed)
		return
	}
	answer := h.decide(w, r, genuine, take)
	h.results.WithLabelValues(string(answer)).Inc()
	switch status := answer.status(); status {
	case http.StatusOK:
		_, _ = io.WriteString(w, "OK\n")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", comeAgain)
		http.Error(w, "not now", status)
	default:
		http.Error(w, "not a request of MessageBird", status)
	}
}

// decide finds out whether a request is genuine, with as little work as it
// takes, and lets it be taken. A body is read of nobody but who has shown a
// token or a signature.
func (h *webhook) decide(w http.ResponseWriter, r *http.Request, genuine func(secret []byte) bool, take func(ctx context.Context, body []byte) result) result {
	if len(r.URL.RawQuery) > maxQuery {
		return tooLong
	}
	secret := h.secret()
	if len(secret) == 0 {
		return noSecret
	}
	if h.signatures == nil || len(r.Header.Values(signatureHeader)) == 0 {
		if !genuine(secret) {
			return badToken
		}
		if h.signatures != nil && h.mustSign {
			return h.refuse(r.Context(), errUnsigned)
		}
		body, refused := readBody(w, r)
		if refused != "" {
			return refused
		}
		ctx, cancel := context.WithTimeout(r.Context(), workTime)
		defer cancel()
		return take(ctx, body)
	}
	signed, err := h.signatures.check(r.Header.Values(signatureHeader), h.public+r.URL.RequestURI())
	if err != nil {
		return h.refuse(r.Context(), err)
	}
	body, refused := readBody(w, r)
	if refused != "" {
		return refused
	}
	if err := signed.covers(body); err != nil {
		return h.refuse(r.Context(), err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	return h.once(ctx, signed, func() result { return take(ctx, body) })
}

// readBody reads the body of a request; where that fails it says how.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, result) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var long *http.MaxBytesError
	switch {
	case err == nil:
		return body, ""
	case errors.As(err, &long):
		return nil, tooLarge
	default:
		return nil, cutShort
	}
}

// once takes a signed request unless it was taken before. One that was answered
// 503 was not taken: it may come again with the same signature.
func (h *webhook) once(ctx context.Context, s signed, take func() result) result {
	mine, whose, err := h.signatures.claim(ctx, s)
	switch {
	case err != nil:
		h.log.WarnContext(ctx, "a signed request cannot be taken", "error", err)
		return storeDown
	case whose == another:
		return inFlight
	case whose == over:
		return h.refuse(ctx, errRepeated)
	}
	answer := take()
	if answer.status() == http.StatusServiceUnavailable {
		h.signatures.release(ctx, mine)
		return answer
	}
	if err := h.signatures.settle(ctx, mine, s); err != nil {
		// It comes again, and what was taken is taken again: that changes nothing.
		h.log.WarnContext(ctx, "a signed request cannot be remembered", "error", err)
		h.signatures.release(ctx, mine)
		return storeDown
	}
	return answer
}

// refuse complains about a signature that is wrong or missing. What is wrong with it is a word of
// ours: nothing of the request gets into the log.
func (h *webhook) refuse(ctx context.Context, err error) result {
	if h.complain.Allow() {
		h.log.WarnContext(ctx, "a request was refused for its signature", "why", err)
	}
	switch {
	case errors.Is(err, errRepeated):
		return repeated
	case errors.Is(err, errUnsigned):
		return unsigned
	default:
		return badSignature
	}
}
