package campaigns

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Names in Redis.
var (
	keyCampaigns = Key("campaigns")
	keyDNIS      = Key("campaigns", "dnis")
	keyDeleted   = Key("campaigns", "deleted")
	keyLatest    = Key("campaigns", "latest")
	keyHistories = Key("campaigns", "history", "") // an id follows
	keyNotices   = Key("campaigns", "notices")
)

var (
	//go:embed scripts/common.lua
	commonLua string
	//go:embed scripts/create.lua
	createLua string
	//go:embed scripts/replace.lua
	replaceLua string
	//go:embed scripts/delete.lua
	deleteLua string
	//go:embed scripts/restore.lua
	restoreLua string

	createScript  = redis.NewScript(commonLua + createLua)
	replaceScript = redis.NewScript(commonLua + replaceLua)
	deleteScript  = redis.NewScript(commonLua + deleteLua)
	restoreScript = redis.NewScript(commonLua + restoreLua)
)

// request is what a script of the store is given, see scripts/common.lua.
type request struct {
	keys []string
	args []any
}

// newRequest begins a request as all of them begin.
func newRequest(id string, n note) request {
	about, err := json.Marshal(n)
	if err != nil {
		about = []byte("{}") // three plain fields are always encoded
	}
	return request{
		keys: []string{keyCampaigns, keyDNIS, keyDeleted, keyLatest, keyHistories + id},
		args: []any{id, nonce(), about, keyNotices, keepDeleted.Milliseconds(), keepRevisions, keyHistories, keepLatest},
	}
}

// with ends a request with the numbers of a campaign.
func (r request) with(numbers []string) request {
	for _, n := range numbers {
		r.args = append(r.args, n)
	}
	return r
}

// nonce names one request, so that a repetition of it is recognised.
func nonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// run runs a script of the store, and takes over into c what it answers.
func (s *Store) run(ctx context.Context, script *redis.Script, r request, c *Campaign) error {
	answer, err := script.Run(ctx, s.rdb, r.keys, r.args...).Slice()
	if err != nil {
		return err
	}
	if len(answer) == 0 {
		return errors.New("empty answer of the script")
	}
	switch answer[0] {
	case "ok":
		return c.stamp(answer[1:])
	case "record":
		return c.takeOver(answer[1:])
	case "exists":
		return ErrExists
	case "missing":
		return ErrNotFound
	case "alive":
		return ErrNotDeleted
	case "stale":
		return ErrStale
	case "conflict":
		return ErrKeyUsed
	case "taken":
		if len(answer) == 3 {
			return &TakenError{DNIS: fmt.Sprint(answer[1]), Campaign: fmt.Sprint(answer[2])}
		}
	}
	return fmt.Errorf("unexpected answer of the script: %v", answer)
}

// takeOver reads a record into c.
func (c *Campaign) takeOver(answer []any) error {
	if len(answer) != 1 {
		return fmt.Errorf("unexpected answer of the script: %v", answer)
	}
	r, err := decode(fmt.Sprint(answer[0]))
	if err != nil {
		return err
	}
	*c = *r.campaign
	return nil
}

// stamp sets what the store knows: version, created, updated, deleted.
func (c *Campaign) stamp(facts []any) error {
	var n [4]int64
	if len(facts) != len(n) {
		return fmt.Errorf("unexpected facts: %v", facts)
	}
	for i, f := range facts {
		v, ok := f.(int64)
		if !ok {
			return fmt.Errorf("unexpected facts: %v", facts)
		}
		n[i] = v
	}
	c.setFacts(n[0], n[1], n[2], n[3])
	return nil
}
