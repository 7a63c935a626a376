package sender

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
)

const (
	// keyKept is how long an idempotency key is remembered.
	keyKept = 24 * time.Hour
	// lease is how long a request holds its number; it is longer than what the
	// whole of it may take (workTimeout).
	lease = 45 * time.Second
)

// Names in Redis, beside ReleasedKey and PendingKey.
var (
	keySenders = campaigns.Key("senders")
	keyNotices = campaigns.Key("senders", "notices")
)

// none stands for an idempotency key, or its digest, where there is none.
const none = "-"

func idempotencyKey(part string) string {
	if part == none {
		return keySenders // some key of the slot; the script leaves it alone
	}
	return campaigns.Key("idempotency", "sender", part)
}

var (
	//go:embed scripts/common.lua
	commonLua string
	//go:embed scripts/obtain.lua
	obtainLua string
	//go:embed scripts/obtained.lua
	obtainedLua string
	//go:embed scripts/release.lua
	releaseLua string
	//go:embed scripts/released.lua
	releasedLua string
	//go:embed scripts/settle.lua
	settleLua string
	//go:embed scripts/take.lua
	takeLua string

	obtainScript   = redis.NewScript(commonLua + obtainLua)
	obtainedScript = redis.NewScript(commonLua + obtainedLua)
	releaseScript  = redis.NewScript(commonLua + releaseLua)
	releasedScript = redis.NewScript(commonLua + releasedLua)
	settleScript   = redis.NewScript(commonLua + settleLua)
	takeScript     = redis.NewScript(commonLua + takeLua)
)

// What may be under way with a number.
const (
	obtaining = "obtain"
	releasing = "release"
)

// pending is what is under way with a number, see scripts/common.lua.
type pending struct {
	kind   string
	nonce  string
	until  time.Time
	begun  time.Time
	tries  int
	key    string // of idempotency, or none
	digest string
	body   string
}

func parsePending(raw string) (pending, error) {
	var p pending
	var until, begun int64
	if _, err := fmt.Sscanf(raw, "%s %s %d %d %d %s %s\n", &p.kind, &p.nonce, &until, &begun, &p.tries, &p.key, &p.digest); err != nil {
		return pending{}, fmt.Errorf("read what is under way with a number: %w", err)
	}
	p.until, p.begun = time.UnixMilli(until), time.UnixMilli(begun)
	for i := range len(raw) {
		if raw[i] == '\n' {
			p.body = raw[i+1:]
			break
		}
	}
	return p, nil
}

// stored is all that Redis holds of senders.
type stored struct {
	senders  []Sender
	pending  map[string]pending // by number
	released []string
}

// load reads the store. What cannot be understood is left out and named; the
// rest must not suffer from it. The error is ErrStore.
func (s *Senders) load(ctx context.Context) (st stored, unreadable []error, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.StoreTimeout)
	defer cancel()
	var senders, under *redis.MapStringStringCmd
	var released *redis.StringSliceCmd
	_, err = s.o.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		senders = p.HGetAll(ctx, keySenders)
		under = p.HGetAll(ctx, PendingKey)
		released = p.ZRange(ctx, ReleasedKey, 0, -1)
		return nil
	})
	if err != nil {
		return stored{}, nil, storeError("read the senders", err)
	}
	st.pending = make(map[string]pending, len(under.Val()))
	for id, raw := range senders.Val() {
		var one Sender
		if err := json.Unmarshal([]byte(raw), &one); err != nil || one.ID != id {
			unreadable = append(unreadable, fmt.Errorf("sender %s cannot be understood", id))
			continue
		}
		st.senders = append(st.senders, one)
	}
	for number, raw := range under.Val() {
		p, err := parsePending(raw)
		if err != nil {
			unreadable = append(unreadable, fmt.Errorf("sender %s: %w", number, err))
			continue
		}
		st.pending[number] = p
	}
	st.released = released.Val()
	return st, unreadable, nil
}

// reply is the answer of a script: a word, and what belongs to it.
type reply []any

func (r reply) string(i int) string {
	if i >= len(r) {
		return ""
	}
	v, _ := r[i].(string)
	return v
}

func (r reply) int(i int) int64 {
	if i >= len(r) {
		return 0
	}
	v, _ := r[i].(int64)
	return v
}

// run runs a script. The error is ErrStore.
func (s *Senders) run(ctx context.Context, script *redis.Script, doing string, keys []string, args ...any) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.StoreTimeout)
	defer cancel()
	answer, err := script.Run(ctx, s.o.Redis, keys, args...).Slice()
	if err == nil && len(answer) == 0 {
		err = errors.New("empty answer of the script")
	}
	if err != nil {
		return nil, storeError(doing, err)
	}
	return answer, nil
}

func storeError(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, ErrStore, err)
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// newNonce names one request, so that a repetition of its command is
// recognised.
func newNonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}
