package admin

import "context"

const idempotencyKey = "Idempotency-Key"

// scoped keeps the idempotency keys of one token apart from those of another;
// no key stays none.
func scoped(ctx context.Context, key string) string {
	if key == "" {
		return ""
	}
	return tokenName(ctx) + "\n" + key
}
