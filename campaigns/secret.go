package campaigns

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// secretBytes is the length of the service secret: the key of an HMAC-SHA-256
// wants as many bytes as its output has (RFC 2104, section 3).
const secretBytes = 32

// pseudonymBytes is how much of the HMAC a pseudonym keeps: 128 bits, half of
// it, which RFC 2104 (section 5) asks for at least.
const pseudonymBytes = 16

// ServiceSecret is the secret that all daemons on one Redis share: call ids,
// tokens in webhook addresses and pseudonyms of numbers are made with it. It is
// made once, by whoever asks first. The errors are those of Redis.
func ServiceSecret(ctx context.Context, rdb redis.UniversalClient) ([]byte, error) {
	fresh := make([]byte, secretBytes)
	_, _ = rand.Read(fresh) // never fails, see crypto/rand
	key := Key("secret")
	if err := rdb.SetNX(ctx, key, fresh, 0).Err(); err != nil {
		return nil, fmt.Errorf("make service secret: %w", err)
	}
	secret, err := rdb.Get(ctx, key).Bytes()
	if err != nil {
		return nil, fmt.Errorf("read service secret: %w", err)
	}
	if len(secret) < secretBytes {
		return nil, fmt.Errorf("service secret in %s has %d bytes, want %d", key, len(secret), secretBytes)
	}
	return secret, nil
}

// Pseudonym stands for a number (E.164) wherever something must be known of a
// person without keeping the number: the opt-out list, limits, suppression. It
// is always the same for one secret, and says nothing about the number to
// whoever lacks the secret. It has 22 characters of base64url (RFC 4648, 5).
func Pseudonym(secret []byte, e164 string) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte("number " + e164)) // never fails, see hash.Hash
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:pseudonymBytes])
}
