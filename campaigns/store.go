package campaigns

import (
	"context"
	"errors"
	"fmt"

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
	// ErrNotDeleted says that a campaign lives and need not be brought back.
	ErrNotDeleted = errors.New("campaign is not deleted")
)

// TakenError says that a number is answered by another campaign.
type TakenError struct {
	DNIS     string // the number or prefix, in canonical form
	Campaign string // the id of the campaign that has it
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("dnis %s belongs to campaign %s", e.DNIS, e.Campaign)
}

// ServiceKey is the Redis key of the service switch. It holds ServiceOff while
// nothing may be offered or sent; anything else, or nothing, means on.
var ServiceKey = Key("service")

// ServiceOff is the value of ServiceKey while the service is off.
const ServiceOff = "off"

// Store keeps the campaigns in Redis. Every change is one script, and is told
// to all daemons by a notice.
type Store struct {
	rdb   redis.UniversalClient
	index *index
}

// NewStore keeps campaigns in rdb.
func NewStore(rdb redis.UniversalClient) *Store {
	return &Store{rdb: rdb, index: newIndex(rdb)}
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
