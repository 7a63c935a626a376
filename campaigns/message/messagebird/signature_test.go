package messagebird

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each signature that is not what MessageBird makes is refused, and nothing is
// taken.
func TestWrongSignatures(t *testing.T) {
	l := listen(t, connect(t, server))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	set := func(claim string, value any) func(t *testing.T, c call) call {
		return func(t *testing.T, c call) call {
			return c.signed(t, func(claims jwt.MapClaims) {
				if value == nil {
					delete(claims, claim)
				} else {
					claims[claim] = value
				}
			})
		}
	}
	// token signs the right claims in some other way.
	token := func(method jwt.SigningMethod, key any) func(t *testing.T, c call) call {
		return func(t *testing.T, c call) call { return c.with(sign(t, method, claimsOf(c), key)) }
	}
	now := time.Now()
	for name, make := range map[string]func(t *testing.T, c call) call{
		"nothing":   func(_ *testing.T, c call) call { return c.with("") },
		"nonsense":  func(_ *testing.T, c call) call { return c.with("a.b.c") },
		"two parts": func(_ *testing.T, c call) call { return c.with("a.b") },
		"alg none":  token(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"alg None":  func(t *testing.T, c call) call { return c.with(withHeader(t, c, `{"alg":"None","typ":"JWT"}`, "")) },
		"RS256":     token(jwt.SigningMethodRS256, rsaKey),
		"other key": token(jwt.SigningMethodHS256, []byte("another")),
		"empty key": token(jwt.SigningMethodHS256, []byte{}),
		"RS256 with HMAC": func(t *testing.T, c call) call {
			return c.with(withHeader(t, c, `{"alg":"RS256","typ":"JWT"}`, signingKey))
		},
		"no alg":          func(t *testing.T, c call) call { return c.with(withHeader(t, c, `{"typ":"JWT"}`, signingKey)) },
		"alg of a number": func(t *testing.T, c call) call { return c.with(withHeader(t, c, `{"alg":256}`, signingKey)) },
		"HS512 as HS256":  func(t *testing.T, c call) call { return c.with(withHeader(t, c, `{"alg":"HS512"}`, signingKey)) },
		"another issuer":  set("iss", "Mallory"),
		"no issuer":       set("iss", nil),
		"no jti":          set("jti", nil),
		"empty jti":       set("jti", ""),
		"no exp":          set("exp", nil),
		"no nbf":          set("nbf", nil),
		"no url_hash":     set("url_hash", nil),
		"empty url_hash":  set("url_hash", ""),
		"expired":         set("exp", now.Add(-leeway-time.Minute).Unix()),
		"not yet valid":   set("nbf", now.Add(leeway+time.Hour).Unix()),
		"valid for years": set("exp", now.Add(10*365*24*time.Hour).Unix()),
		"exp of a word":   set("exp", "tomorrow"),
		"jti of a number": set("jti", 7),
		"other payload":   set("payload_hash", hash([]byte("another"))),
		"capital hash": func(t *testing.T, c call) call {
			return c.signed(t, func(m jwt.MapClaims) { m["url_hash"] = strings.ToUpper(m["url_hash"].(string)) })
		},
		"internal address": func(t *testing.T, c call) call {
			return c.signed(t, func(m jwt.MapClaims) { m["url_hash"] = hash([]byte(l.URL + c.target)) })
		},
		"address without the query": func(t *testing.T, c call) call {
			c.target += "?a=b"
			before, _, _ := strings.Cut(c.target, "?")
			return c.signed(t, func(m jwt.MapClaims) { m["url_hash"] = hash([]byte(publicURL + before)) })
		},
		"query added": func(t *testing.T, c call) call {
			c = c.signed(t)
			c.target += "?more=1"
			return c
		},
		"payload changed": func(t *testing.T, c call) call {
			if c.body == "" {
				c = c.signed(t)
				c.body = "a body where none was signed"
				return c
			}
			c = c.signed(t)
			c.body = strings.Replace(c.body, "STOP", "START", 1)
			return c
		},
		"payload gone": func(t *testing.T, c call) call {
			c.body = "something"
			c = c.signed(t)
			c.body = ""
			return c
		},
		"payload not signed": func(t *testing.T, c call) call {
			c.body = "originator=14155550132&body=STOP"
			return c.signed(t, func(m jwt.MapClaims) { delete(m, "payload_hash") })
		},
		"signed twice":    func(t *testing.T, c call) call { return c.signed(t).signed(t) },
		"right and empty": func(t *testing.T, c call) call { return c.signed(t).with("") },
		"cut off": func(t *testing.T, c call) call {
			s := c.signed(t)
			whole := s.header.Get(signatureHeader)
			return c.with(whole[:len(whole)-3])
		},
		"another end": func(t *testing.T, c call) call {
			whole := c.signed(t).header.Get(signatureHeader)
			return c.with(whole[:len(whole)-6] + strings.Map(rot, whole[len(whole)-6:]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			everyWebhook(t, func(t *testing.T, c call) {
				before, refused := l.taken(), l.counted(badSignature)
				assert.Equal(t, 401, l.do(t, make(t, c)))
				assert.Equal(t, before, l.taken())
				assert.Equal(t, refused+1, l.counted(badSignature))
			})
		})
	}
}

// withHeader signs the right claims of a call by HMAC-SHA-256 under a header that
// says something else; not at all where there is no key.
func withHeader(t *testing.T, c call, header, key string) string {
	t.Helper()
	claims, err := json.Marshal(claimsOf(c))
	require.NoError(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	whole := encode([]byte(header)) + "." + encode(claims)
	if key == "" {
		return whole + "."
	}
	mac, err := jwt.SigningMethodHS256.Sign(whole, []byte(key))
	require.NoError(t, err)
	return whole + "." + encode(mac)
}

// rot is another character of base64url.
func rot(r rune) rune {
	if r == 'A' {
		return 'B'
	}
	return 'A'
}

// What MessageBird may make is taken.
func TestRightSignatures(t *testing.T) {
	l := listen(t, connect(t, server))
	now := time.Now()
	for name, make := range map[string]func(t *testing.T, c call) call{
		"HS384": func(t *testing.T, c call) call {
			return c.with(sign(t, jwt.SigningMethodHS384, claimsOf(c), []byte(signingKey)))
		},
		"HS512": func(t *testing.T, c call) call {
			return c.with(sign(t, jwt.SigningMethodHS512, claimsOf(c), []byte(signingKey)))
		},
		"their clock is behind": func(t *testing.T, c call) call {
			return c.signed(t, func(m jwt.MapClaims) {
				now := time.Now()
				m["nbf"], m["exp"] = now.Add(-time.Minute).Unix(), now.Add(-2*time.Second).Unix()
			})
		},
		"their clock is ahead": func(t *testing.T, c call) call {
			return c.signed(t, func(m jwt.MapClaims) { m["nbf"] = time.Now().Add(5 * time.Second).Unix() })
		},
		"a time with a fraction": func(t *testing.T, c call) call {
			return c.signed(t, func(m jwt.MapClaims) { m["exp"] = float64(now.Unix()) + 30.5 })
		},
		"the hash of nothing": func(t *testing.T, c call) call {
			return c.signed(t, func(m jwt.MapClaims) {
				if c.body == "" {
					m["payload_hash"] = hash(nil)
				}
			})
		},
		"a long jti": func(t *testing.T, c call) call {
			return c.signed(t, func(m jwt.MapClaims) { m["jti"] = strings.Repeat("j", 1000) + rand.Text() })
		},
		"one more claim": func(t *testing.T, c call) call { return c.signed(t, func(m jwt.MapClaims) { m["sub"] = "account" }) },
		"an odd query": func(t *testing.T, c call) call {
			c.target += "&a=%zz;&&=%41+b&%F0%9F%A6%89=1&price[currency]=EUR"
			c.target = strings.Replace(c.target, InboundToken(testSecret)+"&", InboundToken(testSecret)+"?", 1)
			return c.signed(t)
		},
		"an odd path": func(t *testing.T, c call) call {
			c.target = strings.Replace(c.target, "/messagebird/", "/%6Dessagebird/", 1)
			return c.signed(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			everyWebhook(t, func(t *testing.T, c call) {
				before := l.taken()
				assert.Equal(t, 200, l.do(t, make(t, c)))
				assert.Equal(t, before+1, l.taken())
			})
		})
	}
}

// The order of a query is a part of what is signed.
func TestAQueryInAnotherOrder(t *testing.T) {
	l := listen(t, connect(t, server))
	c := report("id=x&status=delivered")
	was := c.signed(t)
	was.target = strings.Replace(c.target, "id=x&status=delivered", "status=delivered&id=x", 1)
	assert.Equal(t, 401, l.do(t, was))
	assert.Equal(t, 200, l.do(t, report("status=delivered&id=x").signed(t)))
}

// The example that MessageBird's own library is tested with is signed rightly.
func TestAGenuineSignature(t *testing.T) {
	const (
		key   = "36efdd1aace2e26cd490f0d951138253bef2f7c6d34d18981da781555cc4cebb"
		token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJNZXNzYWdlQmlyZCIsIm5iZiI6MTYyNTQ3OTIwMCwiZXhwIjoxNjI1NDc5MjYwLCJqdGkiOiI1OWEyNDRkYy1lOWFkLTRlMjMtOTc3OC0zNzFmYWEyMzhmNzIiLCJ1cmxfaGFzaCI6IjBmMTE1ZGIwNjJiN2MwZGQwMzBiMTY4NzhjOTlkZWE1YzM1NGI0OWRjMzdiMzhlYjg4NDYxNzljNzc4M2U5ZDcifQ.6Fp0rVOsRr1fj9S2GidXAfkmPVofKr8_RTffC6G6r2E"
	)
	s := newSignatures(key, nil)
	_, err := s.check([]string{token}, "https://example.com/")
	require.ErrorIs(t, err, errTime)
	jwt.WithTimeFunc(func() time.Time { return time.Date(2021, 7, 5, 10, 0, 0, 0, time.UTC) })(s.parser)
	_, err = s.check([]string{token}, "https://example.com/other")
	require.ErrorIs(t, err, errAddress)
	got, err := s.check([]string{token}, "https://example.com/")
	require.NoError(t, err)
	assert.Equal(t, "59a244dc-e9ad-4e23-9778-371faa238f72", got.id)
	assert.NoError(t, got.covers(nil))
}

func FuzzSignature(f *testing.F) {
	s := newSignatures(signingKey, nil)
	const address = publicURL + "/webhooks/messagebird/report/t?status=sent"
	claims := jwt.MapClaims{
		"iss": "MessageBird", "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "jti": "j", "url_hash": hash([]byte(address)),
	}
	right := sign(f, jwt.SigningMethodHS256, claims, []byte(signingKey))
	if _, err := s.check([]string{right}, address); err != nil {
		f.Fatal(err)
	}
	f.Add(right, address)
	f.Add(right+"=", address)
	f.Add(strings.TrimRight(right, right[len(right)-1:]), address)
	f.Add(sign(f, jwt.SigningMethodNone, claims, jwt.UnsafeAllowNoneSignatureType), address)
	f.Add("..", "")
	f.Add("a.b.c", address)
	f.Add(strings.Repeat(".", 5000), address)
	f.Fuzz(func(t *testing.T, header, of string) {
		got, err := s.check([]string{header}, of)
		if err != nil {
			if len(err.Error()) > 16 {
				t.Fatalf("the error repeats what was sent: %q", err)
			}
			return
		}
		// Nobody can make another one than the right one. Line ends within it,
		// which base64 skips, do not get through HTTP.
		if strings.NewReplacer("\r", "", "\n", "").Replace(header) != right || of != address || got.id != "j" {
			t.Fatalf("%q is a signature of %q", header, of)
		}
	})
}
