package messagebird

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/redis/go-redis/v9"
)

// How MessageBird signs a request: a JSON Web Token (RFC 7519) in a header, made
// with the account's signing key, whose claims name the address that is called
// and what is sent there.
// https://developers.messagebird.com/api/#verifying-http-requests
const (
	signatureHeader = "MessageBird-Signature-JWT"
	issuer          = "MessageBird"

	// maxSignature is how long a signature may be; MessageBird's have 500
	// characters.
	maxSignature = 4 << 10
	// leeway is how far the clocks may differ. A signature is good for a minute.
	leeway = 10 * time.Second
	// maxValidity is how far ahead a signature may expire: it is remembered for
	// as long.
	maxValidity = 24 * time.Hour
)

// What can be wrong with a signature. These are words for the log: what jwt says
// may repeat a part of what a stranger sent.
var (
	errMalformed = errors.New("malformed") // not a token, or not made with HMAC
	errKey       = errors.New("key")       // made with another key
	errTime      = errors.New("time")      // expired, or not yet valid
	errClaims    = errors.New("claims")    // a claim is missing, or is not what MessageBird puts there
	errAddress   = errors.New("address")   // made for another address or query
	errPayload   = errors.New("payload")   // made for another body
	errRepeated  = errors.New("repeated")  // used before
	errUnsigned  = errors.New("unsigned")  // there is none, where one is needed
)

// signatures tells right signatures from wrong ones.
type signatures struct {
	key    []byte
	parser *jwt.Parser
	rdb    redis.UniversalClient

	claimTime time.Duration
}

func newSignatures(key string, rdb redis.UniversalClient) *signatures {
	return &signatures{
		key: []byte(key), rdb: rdb, claimTime: claimTime,
		// Only HMAC: the key is a secret word, and no public key of anybody.
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Name, jwt.SigningMethodHS384.Name, jwt.SigningMethodHS512.Name}),
			jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(),
			jwt.WithLeeway(leeway), jwt.WithStrictDecoding(),
		),
	}
}

// signed is a right signature, as far as it can be checked without the body.
type signed struct {
	id          string // jti: no two requests have the same
	expires     time.Time
	payloadHash string
}

// claims are those of a signature.
type claims struct {
	jwt.RegisteredClaims
	URLHash     string `json:"url_hash"`
	PayloadHash string `json:"payload_hash"`
}

// check reads the signature of a request to address. The error is one of those
// above.
func (s *signatures) check(header []string, address string) (signed, error) {
	if len(header) != 1 || len(header[0]) > maxSignature {
		return signed{}, errMalformed
	}
	var c claims
	_, err := s.parser.ParseWithClaims(header[0], &c, func(*jwt.Token) (any, error) { return s.key, nil })
	switch {
	case err == nil:
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		// Also where the method is none of ours.
		return signed{}, errKey
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet):
		return signed{}, errTime
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		return signed{}, errClaims
	default:
		return signed{}, errMalformed
	}
	switch {
	case c.ID == "", time.Until(c.ExpiresAt.Time) > maxValidity:
		return signed{}, errClaims
	case !hmac.Equal([]byte(c.URLHash), []byte(hash([]byte(address)))):
		return signed{}, errAddress
	}
	return signed{id: c.ID, expires: c.ExpiresAt.Time, payloadHash: c.PayloadHash}, nil
}

// covers says whether the signature was made for this body. A request without
// one need not say so.
func (s signed) covers(body []byte) error {
	if len(body) == 0 && s.payloadHash == "" {
		return nil
	}
	if !hmac.Equal([]byte(s.payloadHash), []byte(hash(body))) {
		return errPayload
	}
	return nil
}

// hash is how MessageBird writes a hash: SHA-256 in hexadecimal.
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
