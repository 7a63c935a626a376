package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// keepRevisions is how many versions of a campaign are kept at least; what
	// was replaced within keepDeleted is kept besides.
	keepRevisions = 100
)

// ErrNoRevision says that this version of a campaign is not kept (any more).
var ErrNoRevision = errors.New("version of the campaign is not kept")

// Action is what was done to a campaign.
type Action string

// What is done to campaigns.
const (
	Created  Action = "created"
	Changed  Action = "changed"
	Deleted  Action = "deleted"
	Restored Action = "restored" // to an older version, or from the deleted ones
)

// Revision is one version of a campaign: who wrote it, when, and what is
// different.
type Revision struct {
	Version  int64     `json:"version" doc:"The version that this made."`
	At       time.Time `json:"at,omitzero" doc:"When."`
	By       string    `json:"by,omitempty" doc:"Who: the name of the token. Absent where that was not noted yet."`
	Action   Action    `json:"action" enum:"created,changed,deleted,restored" doc:"What was done; restored: to an older version, or from the deleted ones."`
	Restores int64     `json:"restores,omitempty" doc:"The version it went back to; absent where a deleted campaign was brought back as it was."`
	Changes  []Change  `json:"changes,omitempty" doc:"What is different from the version before; of a new campaign all that it says. Absent where nothing is, or where that version is not kept."`
	Campaign *Campaign `json:"campaign,omitempty" doc:"The campaign as it was written, without defaults; absent in lists."`
}

// note is what is kept of a revision in front of its record, see
// scripts/common.lua.
type note struct {
	Action   Action `json:"action"`
	By       string `json:"by,omitempty"`
	Restores int64  `json:"restores,omitempty"`
}

// History reads what was done to a campaign, the newest first: at most limit
// versions (0: all) older than before (0: from the newest); more tells whether
// there are older ones. Campaigns that are deleted have theirs too. The errors
// are ErrNotFound, where there is no such campaign even among the deleted, or
// those of Redis.
func (s *Store) History(ctx context.Context, id string, before int64, limit int) (revisions []Revision, more bool, err error) {
	if limit <= 0 {
		limit = math.MaxInt - 1
	}
	if before <= 0 {
		before = math.MaxInt64
	}
	list, err := s.kept(ctx, id, before-1, limit)
	if err != nil {
		return nil, false, fmt.Errorf("read history of campaign %s: %w", id, err)
	}
	for i := range min(limit, len(list)) {
		r := revision(list[i:])
		r.Campaign = nil
		revisions = append(revisions, r)
	}
	return revisions, len(list) > limit, nil
}

// Revision reads one version of a campaign as it was written, also of a deleted
// one. The errors are ErrNotFound, ErrNoRevision, or those of Redis.
func (s *Store) Revision(ctx context.Context, id string, version int64) (Revision, error) {
	list, err := s.version(ctx, id, version)
	if err != nil {
		return Revision{}, fmt.Errorf("read version %d of campaign %s: %w", version, id, err)
	}
	return revision(list), nil
}

// version reads one version and, if there is one, that before it.
func (s *Store) version(ctx context.Context, id string, version int64) ([]kept, error) {
	list, err := s.kept(ctx, id, version, 1)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0 || list[0].version != version:
		return nil, ErrNoRevision
	case list[0].err != nil:
		return nil, list[0].err
	}
	return list, nil
}

// kept is one version of a campaign as it was read.
type kept struct {
	version int64
	note    note
	record
	err error // it cannot be understood; the others must not suffer from it
}

// kept reads the newest limit versions up to newest, and one more: that before
// the last of them.
func (s *Store) kept(ctx context.Context, id string, newest int64, limit int) ([]kept, error) {
	var now *redis.StringCmd
	var then *redis.ZSliceCmd
	_, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		now = p.HGet(ctx, keyCampaigns, id)
		then = p.ZRevRangeByScoreWithScores(ctx, keyHistories+id, &redis.ZRangeBy{
			Min: "-inf", Max: strconv.FormatInt(newest, 10), Count: int64(limit) + 1,
		})
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	list := make([]kept, 0, len(then.Val())+1)
	for _, z := range then.Val() {
		k := kept{version: int64(z.Score)}
		k.read(fmt.Sprint(z.Member))
		list = append(list, k)
	}
	if errors.Is(now.Err(), redis.Nil) {
		if len(list) == 0 {
			return nil, ErrNotFound
		}
		return list, nil
	}
	return withCurrent(list, now.Val(), newest), nil
}

// withCurrent puts in front what is there now, where it was written before
// there was a history: it is noted when it is next changed.
func withCurrent(list []kept, raw string, newest int64) []kept {
	r, err := decode(raw)
	if err != nil {
		return list
	}
	v := r.campaign.Version
	if v > newest || len(list) > 0 && list[0].version >= v {
		return list
	}
	k := kept{version: v, record: r, note: note{Action: Changed}}
	switch {
	case r.campaign.DeletedAt != nil:
		k.note.Action = Deleted
	case v == 1:
		k.note.Action = Created
	}
	return append([]kept{k}, list...)
}

// read understands one member of a history: a note, LF, a record.
func (k *kept) read(member string) {
	about, raw, _ := strings.Cut(member, "\n")
	k.err = json.Unmarshal([]byte(about), &k.note)
	if k.err == nil {
		k.record, k.err = decode(raw)
	}
}

// revision shows the first of some versions, the newest first, against the
// second.
func revision(list []kept) Revision {
	k := list[0]
	r := Revision{Version: k.version, By: k.note.By, Action: k.note.Action, Restores: k.note.Restores, Campaign: k.campaign}
	if k.err != nil {
		return r
	}
	r.At = k.campaign.UpdatedAt
	switch {
	case r.Action == Created:
		r.Changes = Changes(nil, k.campaign)
	case len(list) > 1 && list[1].err == nil:
		r.Changes = Changes(list[1].campaign, k.campaign)
	}
	return r
}
