package messagebird

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
)

const (
	// claimTime is how long a request with a signature has to itself. Where the
	// process that takes it ends meanwhile, it may come again after that.
	claimTime = 2 * workTime
	// releaseTime is how long letting go of a claim may take.
	releaseTime = time.Second
)

// What Redis holds of a signature: who is taking the request, or that it was
// taken.
const (
	takenBy  = "by "
	wasTaken = "taken"
)

// claim is the right to take a request with a certain signature, which one
// request has at a time, at whatever daemon.
type claim struct {
	key string
	by  string // a word that no other claim has
}

// turn says whose turn it is to take a request with a certain signature.
type turn int

const (
	ours turn = iota
	another
	over // it was taken
)

// claim asks for the right to take a request. Asking twice, as the client of
// Redis does where a connection breaks, is harmless.
func (s *signatures) claim(ctx context.Context, q signed) (claim, turn, error) {
	c := claim{key: campaigns.Key("messagebird", "jti", hash([]byte(q.id))), by: takenBy + rand.Text()}
	held, err := s.rdb.SetArgs(ctx, c.key, c.by, redis.SetArgs{Mode: "NX", Get: true, TTL: s.claimTime}).Result()
	switch {
	case errors.Is(err, redis.Nil), err == nil && held == c.by:
		return c, ours, nil
	case err != nil:
		return claim{}, another, fmt.Errorf("claim a signature: %w", err)
	case strings.HasPrefix(held, takenBy):
		return claim{}, another, nil
	default:
		return claim{}, over, nil
	}
}

// settle remembers, for as long as the signature is valid, that the request was
// taken.
func (s *signatures) settle(ctx context.Context, c claim, q signed) error {
	until := max(time.Until(q.expires.Add(leeway)), 0) + time.Minute
	if err := s.rdb.Set(ctx, c.key, wasTaken, until).Err(); err != nil {
		return fmt.Errorf("remember a signature: %w", err)
	}
	return nil
}

// releaseScript takes a claim back. KEYS[1] is the signature's key, ARGV[1] the
// word of the claim.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0`)

// release lets a request come again at once. Where that fails, it can come again
// when the claim has expired.
func (s *signatures) release(ctx context.Context, c claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	_ = releaseScript.Run(ctx, s.rdb, []string{c.key}, c.by).Err()
}
