package campaigns

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

const (
	// keepDeleted is how long a deleted campaign can be brought back, and a
	// version that was replaced can be read.
	keepDeleted = 30 * day
	// keepKey is how long an idempotency key is remembered.
	keepKey = 24 * time.Hour
	// replaceTries is how often a write over any version is tried again because
	// others write the same campaign at the same time.
	replaceTries = 10
)

// Write says who writes a campaign, and on top of what.
type Write struct {
	Version  int64  // the version it must have; 0 means whatever is there now
	By       string // who writes, for the history: the name of a token
	Restores int64  // the older version that is written anew; 0 for none
}

// Create stores a new campaign as it was written and sets its version and
// times. It must be valid once its defaults are set (see Campaign.Validate). By
// is who creates it, for the history.
//
// A key, which may be empty, makes repeating harmless for 24 hours: with the
// same campaign it gives the first result, whatever has become of that since.
// The errors are ErrExists, *TakenError, ErrKeyUsed, or those of Redis.
func (s *Store) Create(ctx context.Context, c *Campaign, key, by string) error {
	if err := s.create(ctx, c, key, by); err != nil {
		return fmt.Errorf("create campaign %s: %w", c.ID, err)
	}
	return nil
}

func (s *Store) create(ctx context.Context, c *Campaign, key, by string) error {
	body, err := encode(c)
	if err != nil {
		return err
	}
	digest := ""
	if key != "" {
		digest, key = hashed(string(body)), hashed(key)
	}
	x := newRequest(c.ID, note{Action: Created, By: by})
	x.keys = append(x.keys, Key("idempotency", "campaign", key))
	x.args = append(x.args, body, digest, keepKey.Milliseconds())
	return s.run(ctx, createScript, x.with(c.DNIS), c)
}

// Replace stores a valid campaign in place of the one with its id and sets its
// version and times. One that means just what is there already changes nothing:
// the version stays, and the history does not speak of it, though what was left
// out before may be spelled out now.
//
// The errors are ErrNotFound, ErrStale, *TakenError, ErrNewer (also where what
// w.Restores names was written by a newer version), ErrNoRevision where that is
// not kept, or those of Redis.
func (s *Store) Replace(ctx context.Context, c *Campaign, w Write) error {
	for try := 1; ; try++ {
		err := s.replace(ctx, c, w)
		if errors.Is(err, ErrStale) && w.Version == 0 && try < replaceTries {
			continue // whatever is there now has just become something else
		}
		if err != nil {
			return fmt.Errorf("replace campaign %s: %w", c.ID, err)
		}
		return nil
	}
}

func (s *Store) replace(ctx context.Context, c *Campaign, w Write) error {
	body, err := encode(c)
	if err != nil {
		return err
	}
	old, err := s.replaceable(ctx, c.ID, w)
	if err != nil {
		return err
	}
	n := note{Action: Changed, By: w.By, Restores: w.Restores}
	if w.Restores != 0 {
		n.Action = Restored
	}
	same := ""
	if len(Changes(old, c)) == 0 {
		same = "same"
		// What cannot be encoded was never stored.
		if before, err := encode(old); err == nil && bytes.Equal(before, body) {
			c.Version, c.CreatedAt, c.UpdatedAt, c.DeletedAt = old.Version, old.CreatedAt, old.UpdatedAt, nil
			return nil
		}
	}
	x := newRequest(c.ID, n)
	x.args = append(x.args, body, old.Version, same)
	return s.run(ctx, replaceScript, x.with(c.DNIS), c)
}

// replaceable reads the campaign a write is about, if it may be replaced.
func (s *Store) replaceable(ctx context.Context, id string, w Write) (*Campaign, error) {
	old, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if w.Version != 0 && w.Version != old.campaign.Version {
		return nil, ErrStale
	}
	if old.newer {
		return nil, ErrNewer
	}
	if w.Restores == 0 {
		return old.campaign, nil
	}
	list, err := s.version(ctx, id, w.Restores)
	if err != nil {
		return nil, err
	}
	if list[0].newer {
		return nil, ErrNewer
	}
	return old.campaign, nil
}

// Delete marks a campaign as deleted and frees its numbers. It is kept for 30
// days. The errors are ErrNotFound, ErrStale, or those of Redis.
func (s *Store) Delete(ctx context.Context, id string, w Write) error {
	x := newRequest(id, note{Action: Deleted, By: w.By})
	x.args = append(x.args, w.Version)
	if err := s.run(ctx, deleteScript, x, new(Campaign)); err != nil {
		return fmt.Errorf("delete campaign %s: %w", id, err)
	}
	return nil
}

// Restore brings a deleted campaign back as it was, with its defaults. The
// errors are ErrNotFound, where it is not kept any more, ErrNotDeleted,
// ErrStale, *TakenError where one of its numbers has another campaign now, or
// those of Redis.
func (s *Store) Restore(ctx context.Context, id string, w Write) (*Campaign, error) {
	x := newRequest(id, note{Action: Restored, By: w.By, Restores: w.Restores})
	x.args = append(x.args, w.Version)
	c := new(Campaign)
	if err := s.run(ctx, restoreScript, x, c); err != nil {
		return nil, fmt.Errorf("restore campaign %s: %w", id, err)
	}
	c.SetDefaults()
	return c, nil
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
