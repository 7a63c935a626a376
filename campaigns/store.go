package campaigns

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrExists says that the id is in use.
	ErrExists = errors.New("campaign exists")
	// ErrNotFound says that there is no such campaign, or that it was deleted.
	ErrNotFound = errors.New("campaign not found")
	// ErrStale says that the campaign was changed since the version that the
	// writer has seen.
	ErrStale = errors.New("campaign was changed meanwhile")
	// ErrKeyUsed says that an idempotency key belongs to another request.
	ErrKeyUsed = errors.New("idempotency key was used for another campaign")
	// ErrNewer says that the campaign has fields or words which this version
	// of deflectd does not know: to replace it would lose them.
	ErrNewer = errors.New("campaign was written by a newer version of deflectd")
)

// TakenError says that a number is answered by another campaign.
type TakenError struct {
	DNIS     string // the number or prefix, in canonical form
	Campaign string // the id of the campaign that has it
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("dnis %s belongs to campaign %s", e.DNIS, e.Campaign)
}

const (
	// keepDeleted is how long a deleted campaign can be brought back.
	keepDeleted = 30 * day
	// keepKey is how long an idempotency key is remembered.
	keepKey = 24 * time.Hour
)

// Names in Redis.
var (
	keyCampaigns = Key("campaigns")
	keyDNIS      = Key("campaigns", "dnis")
	keyDeleted   = Key("campaigns", "deleted")
	keyNotices   = Key("campaigns", "notices")
)

// ServiceKey is the Redis key of the service switch. It holds ServiceOff while
// nothing may be offered or sent; anything else, or nothing, means on.
var ServiceKey = Key("service")

// ServiceOff is the value of ServiceKey while the service is off.
const ServiceOff = "off"

var (
	//go:embed scripts/common.lua
	commonLua string
	//go:embed scripts/create.lua
	createLua string
	//go:embed scripts/replace.lua
	replaceLua string
	//go:embed scripts/delete.lua
	deleteLua string

	createScript  = redis.NewScript(commonLua + createLua)
	replaceScript = redis.NewScript(commonLua + replaceLua)
	deleteScript  = redis.NewScript(commonLua + deleteLua)
)

// Store keeps the campaigns in Redis. Every change is one script, and is told
// to all daemons by a notice.
type Store struct {
	rdb redis.UniversalClient
}

// NewStore keeps campaigns in rdb.
func NewStore(rdb redis.UniversalClient) *Store {
	return &Store{rdb: rdb}
}

// Create stores a new campaign as it was written and sets its version and
// times. It must be valid once its defaults are set (see Campaign.Validate).
//
// A key, which may be empty, makes repeating harmless for 24 hours: with the
// same campaign it gives the first result, whatever has become of that since.
// The errors are ErrExists, *TakenError, ErrKeyUsed, or those of Redis.
func (s *Store) Create(ctx context.Context, c *Campaign, key string) error {
	if err := s.create(ctx, c, key); err != nil {
		return fmt.Errorf("create campaign %s: %w", c.ID, err)
	}
	return nil
}

func (s *Store) create(ctx context.Context, c *Campaign, key string) error {
	body, err := encode(c)
	if err != nil {
		return err
	}
	digest := ""
	if key != "" {
		digest, key = hashed(string(body)), hashed(key)
	}
	keys := []string{keyCampaigns, keyDNIS, keyDeleted, Key("idempotency", "campaign", key)}
	args := []any{c.ID, nonce(), body, keyNotices, keepDeleted.Milliseconds(), digest, keepKey.Milliseconds()}
	return s.change(ctx, createScript, c, keys, appendNumbers(args, c))
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Get reads one campaign with its defaults. The errors are ErrNotFound, also
// for a deleted one, or those of Redis.
func (s *Store) Get(ctx context.Context, id string) (*Campaign, error) {
	c, err := s.Written(ctx, id)
	if err != nil {
		return nil, err
	}
	c.SetDefaults()
	return c, nil
}

// Written reads one campaign as people wrote it, without defaults: what a
// change begins with. Errors as in Get.
func (s *Store) Written(ctx context.Context, id string) (*Campaign, error) {
	r, err := s.read(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read campaign %s: %w", id, err)
	}
	return r.campaign, nil
}

func (s *Store) read(ctx context.Context, id string) (record, error) {
	raw, err := s.rdb.HGet(ctx, keyCampaigns, id).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return record{}, ErrNotFound
	case err != nil:
		return record{}, err
	}
	r, err := decode(raw)
	if err == nil && r.campaign.DeletedAt != nil {
		return record{}, ErrNotFound
	}
	return r, err
}

// List reads all campaigns with their defaults, ordered by id. Those deleted
// within the last 30 days are among them, with DeletedAt set. What cannot be
// understood is left out and named in unreadable; the rest must not suffer from
// it.
func (s *Store) List(ctx context.Context) (list []*Campaign, unreadable []error, err error) {
	raw, err := s.rdb.HGetAll(ctx, keyCampaigns).Result()
	if err != nil {
		return nil, nil, fmt.Errorf("list campaigns: %w", err)
	}
	list = make([]*Campaign, 0, len(raw))
	for id, text := range raw {
		r, err := decode(text)
		if err != nil {
			unreadable = append(unreadable, fmt.Errorf("campaign %s: %w", id, err))
			continue
		}
		r.campaign.SetDefaults()
		list = append(list, r.campaign)
	}
	slices.SortFunc(list, func(a, b *Campaign) int { return strings.Compare(a.ID, b.ID) })
	return list, unreadable, nil
}

// Replace stores a valid campaign in place of the one with its id, if that
// still has the version ifVersion (0 means whatever is there now), and sets its
// version and times. The errors are ErrNotFound, ErrStale, *TakenError,
// ErrNewer, or those of Redis.
func (s *Store) Replace(ctx context.Context, c *Campaign, ifVersion int64) error {
	if err := s.replace(ctx, c, ifVersion); err != nil {
		return fmt.Errorf("replace campaign %s: %w", c.ID, err)
	}
	return nil
}

func (s *Store) replace(ctx context.Context, c *Campaign, ifVersion int64) error {
	body, err := encode(c)
	if err != nil {
		return err
	}
	old, err := s.read(ctx, c.ID)
	if err != nil {
		return err
	}
	switch {
	case ifVersion == 0:
		ifVersion = old.campaign.Version
	case ifVersion != old.campaign.Version:
		return ErrStale
	}
	if old.newer {
		return ErrNewer
	}
	args := []any{c.ID, nonce(), body, keyNotices, ifVersion}
	return s.change(ctx, replaceScript, c, []string{keyCampaigns, keyDNIS}, appendNumbers(args, c))
}

// Delete marks a campaign as deleted and frees its numbers, if it still has the
// version ifVersion (0 means whatever is there now). It is kept for 30 days.
// The errors are ErrNotFound, ErrStale, or those of Redis.
func (s *Store) Delete(ctx context.Context, id string, ifVersion int64) error {
	args := []any{id, nonce(), keyNotices, keepDeleted.Milliseconds(), ifVersion}
	err := s.change(ctx, deleteScript, &Campaign{}, []string{keyCampaigns, keyDNIS, keyDeleted}, args)
	if err != nil {
		return fmt.Errorf("delete campaign %s: %w", id, err)
	}
	return nil
}

// Service tells whether anything may be offered or sent at all. It is on until
// someone turns it off.
func (s *Store) Service(ctx context.Context) (bool, error) {
	v, err := s.rdb.Get(ctx, ServiceKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("read service switch: %w", err)
	}
	return v != ServiceOff, nil
}

// SetService turns offering and sending on or off, for all daemons.
func (s *Store) SetService(ctx context.Context, on bool) error {
	value := "on"
	if !on {
		value = ServiceOff
	}
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, ServiceKey, value, 0)
		p.Publish(ctx, keyNotices, "")
		return nil
	})
	if err != nil {
		return fmt.Errorf("set service switch: %w", err)
	}
	return nil
}

// change runs a script of the store and takes over what it answers.
func (s *Store) change(ctx context.Context, script *redis.Script, c *Campaign, keys []string, args []any) error {
	answer, err := script.Run(ctx, s.rdb, keys, args...).Slice()
	if err != nil {
		return err
	}
	if len(answer) == 0 {
		return errors.New("empty answer of the script")
	}
	switch answer[0] {
	case "ok":
		return c.stamp(answer[1:])
	case "exists":
		return ErrExists
	case "missing":
		return ErrNotFound
	case "stale":
		return ErrStale
	case "conflict":
		return ErrKeyUsed
	case "again":
		return c.restore(answer[1:])
	case "taken":
		if len(answer) == 3 {
			return &TakenError{DNIS: fmt.Sprint(answer[1]), Campaign: fmt.Sprint(answer[2])}
		}
	}
	return fmt.Errorf("unexpected answer of the script: %v", answer)
}

// restore takes over a record that was kept.
func (c *Campaign) restore(answer []any) error {
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

func (c *Campaign) setFacts(version, created, updated, deleted int64) {
	c.Version = version
	c.CreatedAt = time.UnixMilli(created).UTC()
	c.UpdatedAt = time.UnixMilli(updated).UTC()
	c.DeletedAt = nil
	if deleted != 0 {
		t := time.UnixMilli(deleted).UTC()
		c.DeletedAt = &t
	}
}

func appendNumbers(args []any, c *Campaign) []any {
	for _, n := range c.DNIS {
		args = append(args, n)
	}
	return args
}

// nonce names one request, so that a repetition of it is recognised.
func nonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}
