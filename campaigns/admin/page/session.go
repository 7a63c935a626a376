package page

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
)

// sessionLife is how long somebody stays signed in.
const sessionLife = 12 * time.Hour

// sessionWait bounds what is asked of Redis for a session.
const sessionWait = 5 * time.Second

// formToken is the hidden field that says that a form was made for a session.
const formToken = "form-token"

// session is somebody who has signed in. Redis has it under the hash of its
// cookie: who reads Redis cannot become somebody.
type session struct {
	Token string    `json:"token"` // the name of the API token it was begun with
	Proof string    `json:"proof"` // that it was this token (proofOf)
	Begun time.Time `json:"begun"`

	cookie string
}

// proofOf says which token a session was begun with: a code over the token's
// fingerprint with the cookie as its key, which is nowhere but in the browser.
// Who reads Redis can try no guesses of a token with it, and who writes there
// cannot make a session without the configuration.
func (s session) proofOf(fingerprint string) string {
	code := hmac.New(sha256.New, []byte(s.cookie))
	code.Write([]byte("token\n" + fingerprint))
	return base64.RawURLEncoding.EncodeToString(code.Sum(nil))
}

// proves says whether a fingerprint is that of the token the session was begun
// with.
func (s session) proves(fingerprint string) bool {
	return hmac.Equal([]byte(s.Proof), []byte(s.proofOf(fingerprint)))
}

// formToken is what forms made for the session carry. It cannot be had without
// the cookie, and does not tell it.
func (s session) formToken() string {
	sum := sha256.Sum256([]byte("form\n" + s.cookie))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sessions are all who have signed in.
type sessions struct {
	redis  redis.UniversalClient
	counts *prometheus.CounterVec
}

func newSessions(rdb redis.UniversalClient, registerer prometheus.Registerer) *sessions {
	s := &sessions{redis: rdb, counts: promauto.With(registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "deflectd_page_sessions_total",
		Help: "Sessions of the SMS Management page that were begun, and that were ended before their time: by signing out or in anew, or as their token is no longer known.",
	}, []string{"event"})}
	s.counts.WithLabelValues("begun")
	s.counts.WithLabelValues("ended")
	return s
}

func sessionKey(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return campaigns.Key("page", "session", hex.EncodeToString(sum[:]))
}

// begin makes a session with a cookie of 256 random bits.
func (s *sessions) begin(ctx context.Context, who admin.Identity) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionWait)
	defer cancel()
	random := make([]byte, 32)
	rand.Read(random) // never fails: the program would have been ended
	begun := session{
		Token: who.Name, Begun: time.Now().UTC(), cookie: base64.RawURLEncoding.EncodeToString(random),
	}
	begun.Proof = begun.proofOf(who.Fingerprint)
	raw, err := json.Marshal(begun)
	if err == nil {
		err = s.redis.Set(ctx, sessionKey(begun.cookie), raw, sessionLife).Err()
	}
	if err != nil {
		return session{}, fmt.Errorf("begin a session: %w", err)
	}
	s.counts.WithLabelValues("begun").Inc()
	return begun, nil
}

// find reads the session of a cookie; false where there is none, or no longer.
func (s *sessions) find(ctx context.Context, cookie string) (session, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, sessionWait)
	defer cancel()
	raw, err := s.redis.Get(ctx, sessionKey(cookie)).Bytes()
	if errors.Is(err, redis.Nil) {
		return session{}, false, nil
	}
	if err != nil {
		return session{}, false, fmt.Errorf("find a session: %w", err)
	}
	found := session{cookie: cookie}
	if err := json.Unmarshal(raw, &found); err != nil {
		return session{}, false, fmt.Errorf("read a session: %w", err)
	}
	return found, true, nil
}

// end forgets a session, wherever its cookie is kept.
func (s *sessions) end(ctx context.Context, cookie string) error {
	ctx, cancel := context.WithTimeout(ctx, sessionWait)
	defer cancel()
	if err := s.redis.Del(ctx, sessionKey(cookie)).Err(); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	s.counts.WithLabelValues("ended").Inc()
	return nil
}

// secure says whether the browser speaks TLS, with us or with the proxy before
// us. A client that says so of itself only makes its own cookie stricter.
func (v *view) secure() bool {
	return v.r.TLS != nil || strings.EqualFold(v.r.Header.Get("X-Forwarded-Proto"), "https")
}

// cookieName is the name of the session's cookie. Under TLS it has the prefix
// that keeps other hosts of the domain from setting it (RFC 6265bis, 4.1.3.2).
func (v *view) cookieName() string {
	if v.secure() {
		return "__Host-deflectd"
	}
	return "deflectd"
}

// cookie is the value of the session's cookie; "" where there is none.
func (v *view) cookie() string {
	c, err := v.r.Cookie(v.cookieName())
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie gives the browser a session's cookie; "" takes it away.
func (v *view) setCookie(value string) {
	age := int(sessionLife.Seconds())
	if value == "" {
		age = -1
	}
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // without TLS a browser would not keep a Secure one
		Name: v.cookieName(), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: v.secure(),
	})
}

// away says whether an error means that Redis, or the API, cannot do it now.
func away(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) ||
		errors.Is(err, redis.ErrClosed) || errors.Is(err, redis.ErrPoolTimeout) || errors.As(err, &network)
}
