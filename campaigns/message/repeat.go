package message

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns/guard"
)

// Repeated answers the message that a request with the same Key has made
// already, and whether there is one. It looks at nothing else: a repetition is
// answered also when the campaign has been switched off or deleted since, so of
// the campaign only the id is needed. The errors are ErrConflict where the key
// belongs to another request, ErrNotFound where the message is kept no longer,
// and ErrStore.
func (o *Outbox) Repeated(ctx context.Context, r Request) (Message, bool, error) {
	if r.Key == "" {
		return Message{}, false, nil
	}
	var marker string
	err := o.do(ctx, "look for the first request", func(ctx context.Context) (err error) {
		marker, err = o.rdb.Get(ctx, idempotencyKey(r.Key)).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	if err != nil || marker == "" {
		return Message{}, false, err
	}
	id, asked, _ := strings.Cut(marker, " ")
	mine, err := o.digest(r)
	if err != nil {
		return Message{}, false, err
	}
	if asked != mine {
		return Message{}, false, ErrConflict
	}
	m, err := o.Get(ctx, id)
	return m, err == nil, err
}

// unlessRepeated answers the first message of a request that is a repeated one,
// though it could not be made any more now; else what is in the way.
func (o *Outbox) unlessRepeated(ctx context.Context, r Request, refusal error) (*Pending, error) {
	m, found, err := o.Repeated(ctx, r)
	switch {
	case err != nil:
		return nil, fmt.Errorf("repeat a request: %w", err)
	case found:
		return settledPending(m), nil
	}
	var refused *guard.Refused
	if errors.As(refusal, &refused) {
		return nil, o.refused(refused.Refusal)
	}
	return nil, refusal
}

// repeated answers a request whose idempotency key is known.
func (o *Outbox) repeated(ctx context.Context, id string) (*Pending, error) {
	m, err := o.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("repeat a request: %w", err)
	}
	return settledPending(m), nil
}

// digest tells requests with the same idempotency key apart. It is kept with the
// key, and says nothing of the number to whoever lacks the service secret. The
// error is ErrStore while that is not known.
func (o *Outbox) digest(r Request) (string, error) {
	parts := []string{r.Campaign.ID, r.To.E164, r.Call, r.Originator, strconv.FormatBool(r.Test), strconv.FormatBool(r.List)}
	if r.External {
		parts = append(parts, ProviderExternal) // before the params, which come in pairs
	}
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		parts = append(parts, name, r.Params[name])
	}
	return o.keyed(parts...)
}

// secret is the service secret. The error is ErrStore while it is not known.
func (o *Outbox) secret() ([]byte, error) {
	if o.opts.Secret == nil {
		return nil, nil
	}
	secret := o.opts.Secret()
	if secret == nil {
		return nil, storeError("tell requests apart", errors.New("the service secret is not known yet"))
	}
	return secret, nil
}

func (o *Outbox) keyed(parts ...string) (string, error) {
	secret, err := o.secret()
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "request %q", parts) // never fails, see hash.Hash
	return short(mac.Sum(nil)), nil
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return short(sum[:])
}

// short is half of a hash, in 22 characters.
func short(sum []byte) string { return base64.RawURLEncoding.EncodeToString(sum[:16]) }
