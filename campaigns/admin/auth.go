package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Role is what the holder of a token may do. Each role may do what those below
// it may.
type Role string

// The roles, from the least.
const (
	RoleViewer Role = "viewer" // reads, with the numbers of people masked
	RoleEditor Role = "editor" // changes campaigns and opt-outs, sends test texts
	RoleAdmin  Role = "admin"  // does everything
)

// rank orders the roles; what is no role ranks below all.
var rank = map[Role]int{RoleViewer: 1, RoleEditor: 2, RoleAdmin: 3}

// Allows says whether a role may do what needs another one. What is no role
// allows nothing, and nothing allows what needs none that there is.
func (r Role) Allows(needed Role) bool { return rank[needed] > 0 && rank[r] >= rank[needed] }

// Token is one way into the API.
type Token struct {
	Name string // who it is, in logs and histories
	Role Role
	// Fingerprint changes when the token does: a session that was begun with the
	// one before is over (Still). Who has it can try guesses of a token that
	// people made up, so it is not to be kept as it is.
	Fingerprint string
	// Match says whether a secret is this token's, in constant time.
	Match func(secret string) bool
}

// Identity is who asks: the holder of a token.
type Identity struct {
	Name        string // of the token
	Role        Role
	Fingerprint string // of the token
}

type identityKey struct{}

// identity is who asks; the zero Identity, which may do nothing, where nobody
// has said who they are.
func identity(ctx context.Context) Identity {
	who, _ := ctx.Value(identityKey{}).(Identity)
	return who
}

// identified is a context of what somebody asks.
func identified(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, who)
}

// tokenName is the name of the token that a request came with.
func tokenName(ctx context.Context) string { return identity(ctx).Name }

// ErrToken says that a secret is no token's.
var ErrToken = errors.New("the token is not known")

// BlockedError says that so many attempts from one address were wrong that no
// more are looked at for a while.
type BlockedError struct {
	RetryAfter time.Duration // until the next attempt is looked at
}

// Error implements error.
func (e *BlockedError) Error() string {
	return fmt.Sprintf("too many wrong tokens came from this address: the next one is looked at in %s", e.RetryAfter)
}

// SignIn says whose token a secret is, for a page that people sign in on. The
// error is ErrToken or a *BlockedError. Attempts from one address count
// together with those over the API.
func (s *Server) SignIn(r *http.Request, secret string) (Identity, error) {
	return s.attempts.judge(r, viaPage, s.in.find(strings.TrimSpace(secret)))
}

// Still is who a session that was begun with a token belongs to now; false
// where there is no such token any more, or it is another one of that name:
// same says whether a fingerprint is that of the token it was begun with. The
// role is the one that the token has now.
func (s *Server) Still(name string, same func(fingerprint string) bool) (Identity, bool) {
	for _, t := range s.in.Tokens {
		if t.Name == name && same(t.Fingerprint) {
			return t.identity(), true
		}
	}
	return Identity{}, false
}

func (t *Token) identity() Identity {
	return Identity{Name: t.Name, Role: t.Role, Fingerprint: t.Fingerprint}
}

// open are the addresses that need no token.
var open = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true, "/openapi.json": true}

// authenticate lets pass who has a token (RFC 6750); what is at an address
// without one is told to nobody else. What a token's role allows is each
// operation's to say.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		secret = strings.TrimSpace(secret)
		if secret == "" || !strings.EqualFold(scheme, "Bearer") {
			problem(http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN").
				with("WWW-Authenticate", `Bearer realm="deflectd"`).write(w)
			return
		}
		who, err := s.attempts.judge(r, viaAPI, s.in.find(secret))
		if err != nil {
			refuse(w, err)
			return
		}
		if a, ok := w.(*answer); ok {
			a.token = who.Name
		}
		next.ServeHTTP(w, r.WithContext(identified(r.Context(), who)))
	})
}

// refuse answers who has no token that counts.
func refuse(w http.ResponseWriter, err error) {
	var blocked *BlockedError
	if errors.As(err, &blocked) {
		problem(http.StatusTooManyRequests, "too many wrong tokens came from this address: try again later").
			with("Retry-After", seconds(blocked.RetryAfter)).write(w)
		return
	}
	problem(http.StatusUnauthorized, ErrToken.Error()).
		with("WWW-Authenticate", `Bearer realm="deflectd", error="invalid_token"`).write(w)
}

// find is the token that a secret is; nil: none. It looks at all of them
// always, so that the time it takes tells nothing about where one was found.
func (s *server) find(secret string) *Token {
	var found *Token
	for i := range s.Tokens {
		if s.Tokens[i].Match(secret) && found == nil {
			found = &s.Tokens[i]
		}
	}
	if secret == "" {
		return nil
	}
	return found
}

// only keeps what is no operation of the API to those with a role.
func only(needed Role, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := needs(identity(r.Context()), needed); p != nil {
			p.write(w)
			return
		}
		next(w, r)
	})
}

// needs refuses who does not have the role that something needs; nil: go on.
func needs(who Identity, needed Role) *Problem {
	if who.Role.Allows(needed) {
		return nil
	}
	return problem(http.StatusForbidden, fmt.Sprintf("this needs the role %s; the token %s has the role %s", needed, who.Name, who.Role)).
		because("role")
}
