package message

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	defaultLimit = 50
	maxLimit     = 500
	// scanBatch is how many records are read at once, scanMost how many one
	// search looks at: a page may be short, or even empty, before the end.
	scanBatch = 200
	scanMost  = 2000
)

// Search answers the messages that match, newest first and without their
// histories, and a cursor for those that follow ("" at the end). One search
// looks at a limited number of messages: a page may be short and have a
// successor. The errors are ErrCursor and ErrStore.
func (o *Outbox) Search(ctx context.Context, q Query) (found []Message, next string, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	at, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	for range scanMost / scanBatch {
		ids, last, err := o.page(ctx, q, at)
		if err != nil {
			return nil, "", err
		}
		records, err := o.records(ctx, ids)
		if err != nil {
			return nil, "", err
		}
		for i, m := range records {
			at = position{ids[i].Score, ids[i].Member.(string)}
			if !matches(q, m) {
				continue
			}
			found = append(found, m)
			if len(found) < limit {
				continue
			}
			if last && i == len(records)-1 {
				return found, "", nil
			}
			return found, at.String(), nil
		}
		if last {
			return found, "", nil
		}
	}
	return found, at.String(), nil
}

func matches(q Query, m Message) bool {
	return m.ID != "" &&
		(q.To == "" || m.To == q.To) &&
		(q.Campaign == "" || m.Campaign == q.Campaign) &&
		(q.State == "" || m.State == q.State)
}

// position is a place in an index: newest first, and those of one millisecond
// from the greatest id down.
type position struct {
	score float64
	id    string
}

// before says whether an entry of the index comes behind this position; all come
// behind the zero one.
func (p position) before(z redis.Z) bool {
	return p.id == "" || z.Score < p.score || z.Score == p.score && z.Member.(string) < p.id
}

func (p position) String() string {
	return strconv.FormatInt(int64(p.score), 10) + "." + p.id
}

// parseCursor reads a position; the empty cursor is the one before the newest.
func parseCursor(s string) (position, error) {
	if s == "" {
		return position{}, nil
	}
	ms, id, ok := strings.Cut(s, ".")
	n, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil || n <= 0 || id == "" {
		return position{}, fmt.Errorf("cursor %q: %w", s, ErrCursor)
	}
	return position{float64(n), id}, nil
}

// page reads the next ids behind a position, and says whether they are the last.
func (o *Outbox) page(ctx context.Context, q Query, after position) (ids []redis.Z, last bool, err error) {
	key, bottom, top := indexKey, "-inf", "+inf"
	if q.To != "" {
		key = numberKey(q.To)
	}
	if !q.From.IsZero() {
		bottom = strconv.FormatInt(q.From.UnixMilli(), 10)
	}
	if !q.Until.IsZero() {
		top = "(" + strconv.FormatInt(q.Until.UnixMilli(), 10)
	}
	if after.id != "" && (q.Until.IsZero() || int64(after.score) < q.Until.UnixMilli()) {
		top = strconv.FormatInt(int64(after.score), 10)
	}
	// Of those made in the same millisecond any number were seen already.
	for skip := int64(0); ; skip += scanBatch {
		err = o.do(ctx, "search messages", func(ctx context.Context) error {
			ids, err = o.rdb.ZRevRangeByScoreWithScores(ctx, key, &redis.ZRangeBy{
				Min: bottom, Max: top, Offset: skip, Count: scanBatch,
			}).Result()
			return err
		})
		if err != nil {
			return nil, false, err
		}
		last = len(ids) < scanBatch
		ids = slices.DeleteFunc(ids, func(z redis.Z) bool { return !after.before(z) })
		if len(ids) > 0 || last {
			return ids, last, nil
		}
	}
}

// recordFields are what a search shows: all but the history.
var recordFields = []string{
	"campaign", "call", "to", "originator", "text", "link", "url", "encoding", "segments", "state", "reason",
	"provider", "provider_id", "attempts", "test", "created", "updated", "expires",
}

// records reads the records of ids; one that is gone is an empty message.
func (o *Outbox) records(ctx context.Context, ids []redis.Z) ([]Message, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	answers := make([]*redis.SliceCmd, len(ids))
	err := o.do(ctx, "search messages", func(ctx context.Context) error {
		_, err := o.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, z := range ids {
				answers[i] = p.HMGet(ctx, messageKey(z.Member.(string)), recordFields...)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	found := make([]Message, len(ids))
	for i, a := range answers {
		fields := make(map[string]string, len(recordFields))
		for j, v := range a.Val() {
			if s, ok := v.(string); ok {
				fields[recordFields[j]] = s
			}
		}
		if m, ok := parseRecord(ids[i].Member.(string), fields); ok {
			m.History = nil
			found[i] = m
		}
	}
	return found, nil
}
