package report

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Every key carries the one hash tag of deflectd, so that all of them are on
// one node of a Redis Cluster.
const (
	recordPrefix = "{deflectd}:call:"
	// indexKey is the sorted set of call ids by the microsecond they started.
	indexKey = "{deflectd}:calls"
	// numberPrefix begins the keys of such sets for the calls of one number.
	numberPrefix = "{deflectd}:calls:number:"
)

const (
	// DefaultLimit is the length of a page where none is asked for.
	DefaultLimit = 50
	// scanLimit is how many records one search reads at most: one that finds
	// little ends with a short page and a cursor to go on from.
	scanLimit = 10_000
	scanChunk = 500
)

// Errors of reading.
var (
	ErrNotFound = errors.New("no such call")
	ErrCursor   = errors.New("not a cursor of this list")
)

// Query says which calls to search for; what is empty is not looked at.
type Query struct {
	Campaign string
	ANI      string // exact, in E.164
	Outcome  Outcome
	Limit    int    // DefaultLimit when 0
	Cursor   string // as given by the page before
}

func (q Query) matches(c Call) bool {
	return (q.Campaign == "" || q.Campaign == c.Campaign) &&
		(q.ANI == "" || q.ANI == c.ANI) &&
		(q.Outcome == "" || q.Outcome == c.Outcome)
}

// Get reads the record of a call that ended; ErrNotFound when there is none.
func (r *Recorder) Get(ctx context.Context, id string) (Call, error) {
	body, err := r.rdb.Get(ctx, recordKey(id)).Bytes()
	if errors.Is(err, redis.Nil) {
		return Call{}, ErrNotFound
	}
	if err != nil {
		return Call{}, fmt.Errorf("read the record of a call: %w", err)
	}
	return decode(body)
}

// Search gives the calls that ended, latest start first, and the cursor of the
// next page, empty when there is none. A page may be shorter than Limit, even
// empty, and still have a next one. ErrCursor when the cursor makes no sense.
func (r *Recorder) Search(ctx context.Context, q Query) (found []Call, next string, err error) {
	if q.Limit <= 0 {
		q.Limit = DefaultLimit
	}
	at, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	index := indexKey
	if q.ANI != "" {
		index = numberKey(q.ANI)
	}
	for range scanLimit / scanChunk {
		ids, last, err := r.after(ctx, index, at)
		if err != nil {
			return nil, "", err
		}
		calls, err := r.read(ctx, ids)
		if err != nil {
			return nil, "", err
		}
		for i, c := range calls {
			at = position{score: ids[i].Score, id: ids[i].Member.(string)}
			if c == nil || !q.matches(*c) {
				continue
			}
			found = append(found, *c)
			if len(found) == q.Limit {
				return found, at.cursor(!last || i+1 < len(ids)), nil
			}
		}
		if last {
			return found, "", nil
		}
	}
	return found, at.cursor(true), nil
}

// Page gives one page of calls that are in memory, by the rules of Search.
func Page(calls []Call, q Query) (found []Call, next string, err error) {
	if q.Limit <= 0 {
		q.Limit = DefaultLimit
	}
	at, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	calls = slices.DeleteFunc(slices.Clone(calls), func(c Call) bool {
		return !q.matches(c) || !at.before(positionOf(c))
	})
	slices.SortFunc(calls, func(a, b Call) int {
		return cmp.Or(cmp.Compare(score(b.Started), score(a.Started)), cmp.Compare(b.ID, a.ID))
	})
	if len(calls) <= q.Limit {
		return calls, "", nil
	}
	calls = calls[:q.Limit]
	return calls, positionOf(calls[q.Limit-1]).cursor(true), nil
}

// after gives the next entries of an index behind a position, and whether they
// are the last.
func (r *Recorder) after(ctx context.Context, index string, at position) (entries []redis.Z, last bool, err error) {
	from := "+inf"
	if at.id != "" {
		from = scoreText(at.score)
	}
	for skip := int64(0); ; skip += scanChunk {
		entries, err = r.rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{
			Key: index, Start: from, Stop: "-inf", ByScore: true, Rev: true, Offset: skip, Count: scanChunk,
		}).Result()
		if err != nil {
			return nil, false, fmt.Errorf("search the index of calls: %w", err)
		}
		last = len(entries) < scanChunk
		// Of those that started in the same microsecond some were seen.
		entries = slices.DeleteFunc(entries, func(z redis.Z) bool {
			return !at.before(position{score: z.Score, id: z.Member.(string)})
		})
		if len(entries) > 0 || last {
			return entries, last, nil
		}
	}
}

// read gives the records of the index entries, nil for one that has expired.
func (r *Recorder) read(ctx context.Context, entries []redis.Z) ([]*Call, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	keys := make([]string, len(entries))
	for i, z := range entries {
		keys[i] = recordKey(z.Member.(string))
	}
	bodies, err := r.rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("read records of calls: %w", err)
	}
	calls := make([]*Call, len(bodies))
	for i, body := range bodies {
		text, ok := body.(string)
		if !ok {
			continue
		}
		c, err := decode([]byte(text))
		if err != nil {
			return nil, err
		}
		calls[i] = &c
	}
	return calls, nil
}

// position is a place in the list of calls, which runs backwards in time.
type position struct {
	score float64
	id    string
}

func positionOf(c Call) position { return position{score: score(c.Started), id: c.ID} }

// before says whether p comes before other in the list; the zero position
// comes before all.
func (p position) before(other position) bool {
	return p.id == "" || other.score < p.score || other.score == p.score && other.id < p.id
}

func (p position) cursor(more bool) string {
	if !more {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%.0f:%s", p.score, p.id))
}

func parseCursor(s string) (position, error) {
	if s == "" {
		return position{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return position{}, ErrCursor
	}
	number, id, _ := strings.Cut(string(text), ":")
	micros, err := strconv.ParseInt(number, 10, 53)
	if err != nil || id == "" {
		return position{}, ErrCursor
	}
	return position{score: float64(micros), id: id}, nil
}

func recordKey(id string) string { return recordPrefix + id }

// numberKey is the index of the calls of a number.
func numberKey(e164 string) string { return numberPrefix + e164 }

func score(t time.Time) float64 { return float64(t.UnixMicro()) }

func scoreText(score float64) string { return strconv.FormatFloat(score, 'f', 0, 64) }

func decode(body []byte) (Call, error) {
	var c Call
	if err := json.Unmarshal(body, &c); err != nil {
		return Call{}, fmt.Errorf("read the record of a call: %w", err)
	}
	return c, nil
}
