package campaigns

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Query says which campaigns are looked for; the zero value is all that live.
type Query struct {
	Q       string // words that must all be in the id, name, text or interaction; upper and lower case are the same
	DNIS    string // they name this number or prefix, in canonical form
	Enabled *bool  // they are switched on, or off
	Deleted bool   // those deleted in the last 30 days instead of those that live
	After   string // only what comes after this id
	Limit   int    // at most so many; 0 for all
}

// Found is one page of what a Query found, ordered by id.
type Found struct {
	// Campaigns have their defaults. They are shared: they must not be changed.
	Campaigns  []*Campaign
	More       bool    // there are some after the last of them
	Total      int     // how many are found on all pages
	Unreadable []error // what cannot be understood and is left out, each named
}

// Search finds campaigns. What was written before it is called is found,
// whichever daemon wrote it. The error is one of Redis.
func (s *Store) Search(ctx context.Context, q Query) (Found, error) {
	all, err := s.index.load(ctx)
	if err != nil {
		return Found{}, fmt.Errorf("search campaigns: %w", err)
	}
	f := Found{Unreadable: all.unreadable()}
	words := strings.Fields(strings.ToLower(q.Q))
	for _, e := range all.entries {
		if e.err != nil || !q.finds(e, words) {
			continue
		}
		f.Total++
		switch {
		case e.id <= q.After:
		case q.Limit > 0 && len(f.Campaigns) == q.Limit:
			f.More = true
		default:
			f.Campaigns = append(f.Campaigns, e.campaign)
		}
	}
	return f, nil
}

func (q *Query) finds(e *indexed, words []string) bool {
	c := e.campaign
	if q.Deleted != (c.DeletedAt != nil) ||
		q.Enabled != nil && *q.Enabled != c.IsEnabled() ||
		q.DNIS != "" && !slices.Contains(c.DNIS, q.DNIS) {
		return false
	}
	for _, word := range words {
		if !strings.Contains(e.words, word) {
			return false
		}
	}
	return true
}

// List reads all campaigns with their defaults, ordered by id. Those deleted
// within the last 30 days are among them, with DeletedAt set. They are shared:
// they must not be changed. What cannot be understood is left out and named in
// unreadable; the rest must not suffer from it.
func (s *Store) List(ctx context.Context) (list []*Campaign, unreadable []error, err error) {
	all, err := s.index.load(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list campaigns: %w", err)
	}
	list = make([]*Campaign, 0, len(all.entries))
	for _, e := range all.entries {
		if e.err == nil {
			list = append(list, e.campaign)
		}
	}
	return list, all.unreadable(), nil
}
