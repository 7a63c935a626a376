package campaigns

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// secretBytes is the length of the service secret: the key of an HMAC-SHA-256
// wants as many bytes as its output has (RFC 2104, section 3).
const secretBytes = 32

// ServiceSecret is the secret that all daemons on one Redis share: call ids and
// tokens in webhook addresses are made with it. It is made once, by whoever
// asks first. The errors are those of Redis.
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
