package admin

import (
	"context"
	"net/http"
	"strings"
)

// RoleAdmin may do everything.
const RoleAdmin = "admin"

// Token is one way into the API.
type Token struct {
	Name string // who it is, in logs
	Role string
	// Match says whether a secret is this token's, in constant time.
	Match func(secret string) bool
}

type tokenKey struct{}

// tokenName is the name of the token that a request came with.
func tokenName(ctx context.Context) string {
	name, _ := ctx.Value(tokenKey{}).(string)
	return name
}

// open are the addresses that need no token.
var open = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true, "/openapi.json": true}

// authenticate lets pass who has a token (RFC 6750); what is at an address
// without one is told to nobody else.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		header := r.Header.Get("Authorization")
		scheme, secret, _ := strings.Cut(header, " ")
		if header == "" || !strings.EqualFold(scheme, "Bearer") {
			problem(http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN").
				with("WWW-Authenticate", `Bearer realm="deflectd"`).write(w)
			return
		}
		token := s.find(strings.TrimSpace(secret))
		switch {
		case token == nil:
			problem(http.StatusUnauthorized, "the token is not known").
				with("WWW-Authenticate", `Bearer realm="deflectd", error="invalid_token"`).write(w)
		case token.Role != RoleAdmin:
			problem(http.StatusForbidden, "the token's role does not allow this").write(w)
		default:
			if a, ok := w.(*answer); ok {
				a.token = token.Name
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, token.Name)))
		}
	})
}

func (s *server) find(secret string) *Token {
	if secret == "" {
		return nil
	}
	for i := range s.Tokens {
		if s.Tokens[i].Match(secret) {
			return &s.Tokens[i]
		}
	}
	return nil
}
