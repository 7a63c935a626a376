package sender

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

const (
	// settleTime is for how long after it was begun something may still happen
	// to a number at the provider, though deflectd had no answer.
	settleTime = 5 * time.Minute
)

// Run keeps what the store holds in memory: it is read again whenever a change
// is noticed and every Refresh, until ctx ends. A notice is only a hint. Beside
// that it looks after what was begun with a number and not ended.
func (s *Senders) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { s.tend(ctx) })

	return campaigns.Fresh{
		Redis: s.o.Redis, Notices: keyNotices, Every: s.o.Refresh, What: "senders", Read: s.refresh, Logger: s.o.Logger,
	}.Run(ctx)
}

// refresh reads the store and swaps what is in memory.
func (s *Senders) refresh(ctx context.Context) error {
	s.reading.Lock() // what was read first must not replace what was read later
	defer s.reading.Unlock()
	st, unreadable, err := s.load(ctx)
	if err != nil {
		return err
	}
	for _, what := range unreadable {
		if _, said := s.warned.LoadOrStore(what.Error(), struct{}{}); !said {
			s.o.Logger.ErrorContext(ctx, "what is stored of a sender is left out", "error", what)
		}
	}
	v := s.build(st)
	if s.o.Configured != "" && v.configured == "" {
		if _, said := s.warned.LoadOrStore("released", struct{}{}); !said {
			s.o.Logger.WarnContext(ctx, "the configured sender was released: nothing comes from it until it is obtained again", "sender", s.o.Configured)
		}
	}
	s.now.Store(v)
	return nil
}

// reread lets this process see at once what it changed; where that fails, Run
// will.
func (s *Senders) reread(ctx context.Context) {
	_ = s.refresh(ctx)
}

// List reads all senders: the configured one, then the obtained ones by number.
// The error is ErrStore.
func (s *Senders) List(ctx context.Context) ([]Sender, error) {
	st, _, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Sender, 0, len(st.senders)+1)
	configured := ID(s.o.Configured)
	known := configured == "" || slices.Contains(st.released, configured)
	for _, one := range st.senders {
		known = known || one.ID == configured
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Sender) int { return strings.Compare(a.ID, b.ID) })
	if !known {
		kind := KindNumber
		if isName(configured) {
			kind = KindName
		}
		list = slices.Insert(list, 0, Sender{
			ID: s.o.Configured, Kind: kind, Country: countryOf(configured), Source: SourceConfiguration,
		})
	}
	return list, nil
}

// countryOf is the country of a number; "" for a name or a short code.
func countryOf(id string) string {
	n, err := phone.Parse(id, "")
	if err != nil {
		return ""
	}
	return n.Region
}

// tend takes up, every Refresh, what was begun with a number and is held by
// nobody: its daemon died, or the provider did not answer.
func (s *Senders) tend(ctx context.Context) {
	if s.o.Numbers == nil {
		return
	}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		if st, _, err := s.load(ctx); err == nil { // else Run says so
			for number := range st.pending {
				s.resume(ctx, number)
			}
		}
		next.Reset(s.o.Refresh)
	}
}

func (s *Senders) resume(ctx context.Context, number string) {
	r := request{number: number, nonce: newNonce(), resumed: true}
	answer, err := s.run(ctx, takeScript, "take up what was begun", []string{PendingKey}, number, r.nonce, lease.Milliseconds())
	if err != nil || answer.string(0) != "ok" {
		return // somebody holds it, or it is looked at the next time
	}
	p, err := parsePending(answer.string(2))
	if err != nil {
		return // Run says so when it reads it
	}
	r.key, r.digest = p.key, p.digest
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	if err := s.end(ctx, r, p, time.UnixMilli(answer.int(1))); err != nil {
		s.o.Logger.WarnContext(ctx, "what was begun with a number is not ended yet", "sender", number, "error", err)
	}
}

// end finds out what became of a request, by what the account owns.
func (s *Senders) end(ctx context.Context, r request, p pending, now time.Time) error {
	owned, err := s.owned(ctx, r.number)
	if err != nil {
		return errors.Join(err, s.settle(ctx, r, leave))
	}
	late := now.Sub(p.begun) > settleTime
	switch {
	case p.kind == obtaining && owned != nil:
		wanted, err := decode(p.body)
		if err != nil {
			return err
		}
		wanted.Since = now.UTC()
		if _, err := s.obtained(ctx, r, wanted.with(*owned)); err != nil {
			return err
		}
		s.o.Logger.InfoContext(ctx, "the account owns a number that was being obtained: it is a sender now", "sender", r.number)
	case p.kind == obtaining && late:
		s.o.Logger.WarnContext(ctx, "a number that was being obtained was not", "sender", r.number)
		return s.settle(ctx, r, drop)
	case p.kind == releasing && owned == nil:
		if err := s.released(ctx, r); err != nil {
			return err
		}
		s.o.Logger.InfoContext(ctx, "a sender that was being released is released", "sender", r.number)
	case p.kind == releasing && late:
		s.o.Logger.WarnContext(ctx, "a sender that was being released was not: it stays a sender", "sender", r.number)
		return s.settle(ctx, r, drop)
	default:
		return s.settle(ctx, r, leave)
	}
	return nil
}
