package campaigns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// indexAge is after what time all campaigns are read again though nobody
	// said that one has changed: what wrote it may be an older version of
	// deflectd, or no deflectd at all.
	indexAge = 30 * time.Second
	// keepLatest is how many changes may come between two looks without all
	// campaigns being read again. Their list is read whole.
	keepLatest = 256
)

// index holds all campaigns in memory for those who search among them. Unlike
// the Directory it is never behind: each look asks Redis what was written since.
type index struct {
	rdb  redis.UniversalClient
	now  atomic.Pointer[indexes]
	turn chan struct{} // who holds it reads
}

// indexes are all campaigns at one time. They are never changed.
type indexes struct {
	latest  string     // the change that was the last before they were read
	began   time.Time  // to read what has changed
	full    time.Time  // to read all of them
	entries []*indexed // ordered by id
}

// indexed is one campaign as it was read, and what was made of it.
type indexed struct {
	id       string
	raw      string
	campaign *Campaign // with its defaults
	words    string    // what is searched, in lower case
	err      error     // it cannot be understood: there is no campaign
}

func newIndex(rdb redis.UniversalClient) *index {
	return &index{rdb: rdb, turn: make(chan struct{}, 1)}
}

// load gives all campaigns as they are now. It costs one round trip where
// nothing has changed; else one reads for all who ask at the same time.
func (x *index) load(ctx context.Context) (*indexes, error) {
	asked := time.Now()
	latest, err := x.rdb.LIndex(ctx, keyLatest, 0).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	if all := x.now.Load(); all.fits(latest, asked) {
		return all, nil
	}
	select {
	case x.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-x.turn }()
	all := x.now.Load()
	if all.fits(latest, asked) {
		return all, nil // another has read while this one waited for its turn
	}
	if latest == "" {
		x.mark(ctx)
	}
	all, err = x.read(ctx, all, asked)
	if err != nil {
		return nil, err
	}
	x.now.Store(all)
	return all, nil
}

// fits tells whether what was read is what is there: it was read after the
// question was asked, or nothing was written since.
func (all *indexes) fits(latest string, asked time.Time) bool {
	switch {
	case all == nil:
		return false
	case all.began.After(asked):
		return true
	}
	return all.latest == latest && !all.old(asked)
}

func (all *indexes) old(now time.Time) bool { return now.Sub(all.full) >= indexAge }

// read brings up to date what was there before, which may be nothing.
func (x *index) read(ctx context.Context, before *indexes, asked time.Time) (*indexes, error) {
	if before == nil || before.old(asked) {
		return x.readAll(ctx, before)
	}
	began := time.Now()
	latest, err := x.rdb.LRange(ctx, keyLatest, 0, -1).Result()
	if err != nil {
		return nil, err
	}
	known := slices.Index(latest, before.latest)
	if known < 0 {
		return x.readAll(ctx, before) // it is too long ago, or Redis has lost something
	}
	if known == 0 {
		return before.with(began, before.latest, nil), nil
	}
	var ids []string
	for _, change := range latest[:known] {
		_, id, _ := strings.Cut(change, " ")
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	values, err := x.rdb.HMGet(ctx, keyCampaigns, ids...).Result()
	if err != nil {
		return nil, err
	}
	changed := make([]*indexed, len(ids))
	for i, id := range ids {
		changed[i] = &indexed{id: id}
		if raw, ok := values[i].(string); ok {
			changed[i] = before.understand(id, raw)
		}
	}
	return before.with(began, latest[0], changed), nil
}

// mark says that something was written where nothing says which change was the
// last: so a Redis that is emptied is noticed at once. Where it cannot be said, as
// where Redis takes no writes, that is noticed only when all are read again: no
// reason to answer nobody.
func (x *index) mark(ctx context.Context) {
	_ = x.rdb.RPush(ctx, keyLatest, nonce()+" ").Err() // behind a change that has come meanwhile
}

// readAll reads all campaigns.
func (x *index) readAll(ctx context.Context, before *indexes) (*indexes, error) {
	began := time.Now()
	var latest *redis.StringCmd
	var raw *redis.MapStringStringCmd
	_, err := x.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		latest = p.LIndex(ctx, keyLatest, 0)
		raw = p.HGetAll(ctx, keyCampaigns)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	all := &indexes{latest: latest.Val(), began: began, full: began, entries: make([]*indexed, 0, len(raw.Val()))}
	for id, text := range raw.Val() {
		all.entries = append(all.entries, before.understand(id, text))
	}
	slices.SortFunc(all.entries, func(a, b *indexed) int { return strings.Compare(a.id, b.id) })
	return all, nil
}

// place is where the campaign of an id is in a list, or would be.
func place(list []*indexed, id string) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(e *indexed, id string) int { return strings.Compare(e.id, id) })
}

// with are all campaigns after some were changed, in the order of their ids.
func (all *indexes) with(began time.Time, latest string, changed []*indexed) *indexes {
	next := &indexes{latest: latest, began: began, full: all.full, entries: make([]*indexed, 0, len(all.entries)+len(changed))}
	rest := all.entries
	for _, c := range changed {
		i, there := place(rest, c.id)
		next.entries = append(next.entries, rest[:i]...)
		if !c.gone() {
			next.entries = append(next.entries, c)
		}
		if there {
			i++
		}
		rest = rest[i:]
	}
	next.entries = append(next.entries, rest...)
	return next
}

// gone tells whether there was nothing to understand.
func (e *indexed) gone() bool { return e.campaign == nil && e.err == nil }

// understand makes an entry of a record. One that did not change is the one it
// was.
func (all *indexes) understand(id, raw string) *indexed {
	if all != nil {
		if i, there := place(all.entries, id); there && all.entries[i].raw == raw {
			return all.entries[i]
		}
	}
	e := &indexed{id: id, raw: raw}
	r, err := decode(raw)
	if err != nil {
		e.err = fmt.Errorf("campaign %s: %w", id, err)
		return e
	}
	c := r.campaign
	c.SetDefaults()
	e.campaign = c
	e.words = strings.ToLower(strings.Join([]string{c.ID, c.Name, c.Text, c.Interaction.ID, c.Interaction.URL}, "\n"))
	return e
}

// unreadable names what cannot be understood.
func (all *indexes) unreadable() []error {
	var errs []error
	for _, e := range all.entries {
		if e.err != nil {
			errs = append(errs, e.err)
		}
	}
	return errs
}
