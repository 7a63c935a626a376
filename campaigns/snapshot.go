package campaigns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns/phone"
)

// snapshot is all the directory knows at one time. It is never changed.
type snapshot struct {
	exact    map[string]*Campaign // by every spelling that is known beforehand
	prefixes map[string]*Campaign // by what stands before the "*"
	lengths  []int                // of the prefixes, longest first
	catchAll *Campaign
	own      map[string]struct{}
	service  bool
	loaded   time.Time
	count    int              // of the campaigns that are not deleted
	entries  map[string]entry // by campaign id; what did not change is not read anew
}

// entry is one campaign as it was read, and what was made of it.
type entry struct {
	raw       string
	campaign  *Campaign // nil where it is deleted or cannot be understood
	spellings []string  // other ways in which trunks may write its numbers
}

func (s *snapshot) lookup(dnis, region string) *Campaign {
	if c, ok := s.exact[dnis]; ok {
		return c
	}
	canonical, err := phone.DNIS(dnis, region)
	if err != nil {
		return s.catchAll
	}
	if c, ok := s.exact[canonical]; ok {
		return c
	}
	for _, n := range s.lengths {
		if n > len(canonical) {
			continue
		}
		if c, ok := s.prefixes[canonical[:n]]; ok {
			return c
		}
	}
	return s.catchAll
}

// refresh reads the store and swaps the snapshot. What cannot be understood is
// logged and left out; the rest must not suffer from it.
func (d *Directory) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var all *redis.MapStringStringCmd
	var service *redis.StringCmd
	began := time.Now() // what is changed from now on may not be in it
	_, err := d.store.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		all = p.HGetAll(ctx, keyCampaigns)
		service = p.Get(ctx, ServiceKey)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read campaigns: %w", err)
	}
	d.now.Store(d.build(ctx, began, all.Val(), service.Val() != ServiceOff))
	return nil
}

func (d *Directory) build(ctx context.Context, loaded time.Time, raw map[string]string, service bool) *snapshot {
	var before map[string]entry
	if s := d.now.Load(); s != nil {
		before = s.entries
	}
	s := &snapshot{
		exact:    make(map[string]*Campaign, 8*len(raw)),
		prefixes: make(map[string]*Campaign),
		own:      make(map[string]struct{}, len(raw)),
		service:  service,
		loaded:   loaded,
		entries:  make(map[string]entry, len(raw)),
	}
	for id, text := range raw {
		e, known := before[id]
		if !known || e.raw != text {
			e = d.read(ctx, id, text)
		}
		s.entries[id] = e
	}
	s.index()
	for _, number := range d.o.Own {
		if canonical, err := phone.DNIS(number, d.o.Region); err == nil {
			number = canonical
		}
		s.own[number] = struct{}{}
	}
	return s
}

// read understands one record of the store.
func (d *Directory) read(ctx context.Context, id, raw string) entry {
	e := entry{raw: raw}
	r, err := decode(raw)
	if err != nil {
		d.o.Logger.ErrorContext(ctx, "campaign cannot be understood and is left out", "campaign", id, "error", err)
		return e
	}
	if r.campaign.DeletedAt != nil {
		return e
	}
	if r.newer {
		// What it does not know may be what forbids a text. Calls that are
		// passed on are safe.
		d.o.Logger.WarnContext(ctx, "campaign was written by a newer version of deflectd and counts as disabled here", "campaign", id)
		r.campaign.Enabled = new(bool)
	}
	e.campaign = r.campaign
	e.campaign.SetDefaults()
	for _, number := range r.campaign.DNIS {
		e.spellings = append(e.spellings, phone.Spellings(number, d.o.Region)...)
	}
	return e
}

// index makes the maps of a snapshot from its entries. What a campaign says
// itself comes before what is another spelling of it.
func (s *snapshot) index() {
	for _, e := range s.entries {
		if e.campaign == nil {
			continue
		}
		s.count++
		for _, number := range e.campaign.DNIS {
			prefix, isPrefix := strings.CutSuffix(number, "*")
			switch {
			case number == "*":
				s.catchAll = e.campaign
			case isPrefix:
				s.prefixes[prefix] = e.campaign
				if !slices.Contains(s.lengths, len(prefix)) {
					s.lengths = append(s.lengths, len(prefix))
				}
			default:
				s.exact[number] = e.campaign
				s.own[number] = struct{}{}
			}
		}
	}
	slices.Sort(s.lengths)
	slices.Reverse(s.lengths)
	for _, e := range s.entries {
		for _, dialled := range e.spellings {
			if _, said := s.exact[dialled]; !said {
				s.exact[dialled] = e.campaign
			}
		}
	}
}
