package guard

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

var (
	//go:embed scripts/clock.lua
	clockLua string
	//go:embed scripts/look.lua
	lookLua string
	//go:embed scripts/segments.lua
	segmentsLua string

	lookScript     = redis.NewScript(clockLua + optout.Lua + Lua + lookLua)
	segmentsScript = redis.NewScript(clockLua + optout.Lua + Lua + segmentsLua)
)

// Check asks the history whether the caller of a call that is not yet answered
// may be texted: OptedOut, Suppressed, ANIUntrusted, Cooldown, Capped, in this
// order. The text is one of so many segments: what is allowed now is refused
// later only for what happens in between. It takes one round trip and Timeout at
// most. The call counts for the surge of its number; nothing else is counted.
// Where an opt-out waits to be written, Redis is not asked, and nothing counted.
// Permit is to be asked first. The error is ErrStore.
func (g *Guards) Check(ctx context.Context, c *campaigns.Campaign, n phone.Number, segments int) (Refusal, error) {
	// Asked before Redis is: an opt-out waits until it is there.
	if g.waits(n) {
		return Refusal{Reason: OptedOut}, nil
	}
	// A call names itself, so that it is counted once though the Redis client may
	// repeat the request.
	list, err := g.look(ctx, c, n, segments, rand.Text())
	if err != nil || len(list) == 0 {
		return Refusal{}, err
	}
	return list[0], nil
}

// Look asks the same and counts nothing, for a look at what would be decided: all
// that Check would refuse, were it not for the others, in the same order. Where an
// opt-out waits to be written, it is among them, and Redis is asked all the same.
// The error is ErrStore; what is known without Redis is answered beside it.
func (g *Guards) Look(ctx context.Context, c *campaigns.Campaign, n phone.Number, segments int) ([]Refusal, error) {
	list, err := g.look(ctx, c, n, segments, "")
	if g.waits(n) && (len(list) == 0 || list[0].Reason != OptedOut) {
		list = slices.Insert(list, 0, Refusal{Reason: OptedOut})
	}
	return list, err
}

// waits tells whether an opt-out of the number waits to be written.
func (g *Guards) waits(n phone.Number) bool {
	return g.o.OptOuts != nil && g.o.OptOuts.Waiting(n.E164)
}

// look runs the script of the same name: for a call, the first refusal, else all.
func (g *Guards) look(ctx context.Context, c *campaigns.Campaign, n phone.Number, segments int, call string) ([]Refusal, error) {
	args, err := g.appendArgs(append(make([]any, 0, ArgCount+2), call, segments), c, n, NotExempt)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.o.Timeout)
	defer cancel()
	answer, err := lookScript.Run(ctx, g.o.Redis, []string{campaigns.Key("guard", "calls")}, args...).Slice()
	if err != nil {
		return nil, storeError("look whether a number may be texted", err)
	}
	var list []Refusal
	for three := range slices.Chunk(answer, 3) {
		r, err := read(three)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// read understands one refusal of a script.
func read(answer []any) (Refusal, error) {
	if len(answer) == 3 {
		reason, isReason := answer[0].(string)
		limit, isLimit := answer[1].(string)
		retry, isTime := answer[2].(int64)
		if isReason && isLimit && isTime {
			return Refusal{Reason: Reason(reason), Limit: limit, RetryAfter: time.Duration(retry) * time.Millisecond}, nil
		}
	}
	return Refusal{}, storeError("look whether a number may be texted", errAnswer)
}

var errAnswer = errors.New("unexpected answer of a script")

func storeError(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, ErrStore, err)
}

// The keys of one person; guard.lua has them all.
func personKey(kind, person string) string { return campaigns.Key("guard", kind, person) }

// Forget takes away everything that is known of a number here: when it was
// texted, when it called, that texts to it failed. The opt-out is no part of
// that. The error is ErrStore.
func (g *Guards) Forget(ctx context.Context, e164 string) error {
	_, err := g.remove(ctx, "forget the history of a number", e164, "caller", "cooldown", "suppressed", "calls")
	return err
}

// Unsuppress lets texts go to a number again though they have failed for good,
// and says whether they did not. The error is ErrStore.
func (g *Guards) Unsuppress(ctx context.Context, e164 string) (bool, error) {
	return g.remove(ctx, "end the suppression of a number", e164, "suppressed")
}

func (g *Guards) remove(ctx context.Context, doing, e164 string, kinds ...string) (bool, error) {
	secret := g.o.Secret()
	if secret == nil {
		return false, storeError(doing, errNoSecret)
	}
	person := campaigns.Pseudonym(secret, e164)
	keys := make([]string, len(kinds))
	for i, kind := range kinds {
		keys[i] = personKey(kind, person)
	}
	ctx, cancel := context.WithTimeout(ctx, g.o.StoreTimeout)
	defer cancel()
	n, err := g.o.Redis.Del(ctx, keys...).Result()
	if err != nil {
		return false, storeError(doing, err)
	}
	return n > 0, nil
}
