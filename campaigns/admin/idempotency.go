package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
)

const (
	idempotencyKey = "Idempotency-Key"
	keyKept        = 24 * time.Hour
)

// firstUse is what is remembered of an idempotency key: what was asked for
// and, once it is known, what was answered.
type firstUse struct {
	Asked    string              `json:"asked"`
	Answered *campaigns.Campaign `json:"answered,omitempty"`
}

// once creates a campaign once for a key. A repetition answers the first
// result; where the first answer was lost on its way, that is what was made. A
// refusal is forgotten, so that the request can be repeated when its cause is
// gone.
func (s *server) once(ctx context.Context, key string, c *campaigns.Campaign,
	create func(context.Context, *campaigns.Campaign) error,
) (*campaigns.Campaign, error) {
	if key == "" {
		return c, create(ctx, c)
	}
	asked, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("create campaign %s: %w", c.ID, err)
	}
	name := campaigns.Key("idempotency", "campaign", digest(scoped(ctx, key)))
	first, repeated, err := s.remember(ctx, name, firstUse{Asked: digest(string(asked))})
	switch {
	case err != nil:
		return nil, err
	case repeated && first.Asked != digest(string(asked)):
		return nil, problem(http.StatusConflict, "the idempotency key was used for another request",
			inHeader(idempotencyKey, "take a new key for a new request"))
	case repeated && first.Answered != nil:
		return first.Answered, nil
	}

	var refused *Problem
	err = create(ctx, c)
	switch {
	case err == nil:
	case errors.As(err, &refused) && repeated:
		made, readErr := s.Campaigns.Get(ctx, c.ID)
		if readErr != nil || !same(made, c) {
			return nil, err
		}
		c = made
	case errors.As(err, &refused):
		_ = s.Redis.Del(ctx, name).Err() // else it is forgotten in 24 hours
		return nil, err
	default:
		return nil, err
	}
	first.Answered = c
	body, err := json.Marshal(first)
	if err != nil {
		return nil, fmt.Errorf("create campaign %s: %w", c.ID, err)
	}
	// Made and answered: that a repetition could not be told so is no failure.
	_ = s.Redis.Set(ctx, name, body, redis.KeepTTL).Err()
	return c, nil
}

// remember notes the first use of a key, or answers what was noted.
func (s *server) remember(ctx context.Context, name string, use firstUse) (first firstUse, repeated bool, err error) {
	body, err := json.Marshal(use)
	if err != nil {
		return first, false, fmt.Errorf("note an idempotency key: %w", err)
	}
	old, err := s.Redis.SetArgs(ctx, name, body, redis.SetArgs{Mode: "NX", TTL: keyKept, Get: true}).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return use, false, nil
	case err != nil:
		return first, false, fmt.Errorf("note an idempotency key: %w", err)
	}
	if err := json.Unmarshal([]byte(old), &first); err != nil {
		return first, false, fmt.Errorf("read an idempotency key: %w", err)
	}
	return first, true, nil
}

// same says whether two campaigns say the same, whenever they were written.
func same(a, b *campaigns.Campaign) bool {
	plain := func(c campaigns.Campaign) string {
		c.Version, c.CreatedAt, c.UpdatedAt, c.DeletedAt = 0, time.Time{}, time.Time{}, nil
		body, _ := json.Marshal(c)
		return string(body)
	}
	return plain(*a) == plain(*b)
}

// scoped keeps the keys of one token apart from those of another.
func scoped(ctx context.Context, key string) string { return tokenName(ctx) + "\n" + key }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
