package sender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// lookTimeout bounds how long it is looked whether a number can be had.
	lookTimeout = 10 * time.Second
	// workTimeout bounds all that is done to obtain or release a number.
	workTimeout = 30 * time.Second
	// again is how often a repeated request looks whether the first is done.
	again = 100 * time.Millisecond
)

// request is one number that somebody wants, or wants to be rid of, and the
// place it has in the store while that is under way.
type request struct {
	number, nonce string
	key, digest   string // of idempotency, or none
	resumed       bool   // an earlier request for it was begun and not ended
	offered       bool   // the provider lets it, and the account does not own it
}

// Search finds numbers that can be obtained, all of which can text. The errors
// are ErrQuery, ErrNotAllowed and ErrProvider.
func (s *Senders) Search(ctx context.Context, q Query) ([]Available, error) {
	q, err := q.checked()
	if err != nil {
		return nil, err
	}
	if s.o.Numbers == nil {
		return nil, fmt.Errorf("search numbers: %w", errNoNumbers)
	}
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	found, err := s.o.Numbers.Search(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("search numbers: %w", err)
	}
	return found, nil
}

var errNoNumbers = fmt.Errorf("%w: it lets no numbers", ErrNotAllowed)

// Obtain rents a number (E.164) of a country (ISO 3166-1 alpha-2) and makes it a
// sender; one that the account owns already is taken over. What is neither owned
// nor found by a search for exactly that number is not bought blind, for nobody
// would know what it can do and costs: that is ErrUnavailable, and leaves no
// trace. By is the API token that asks. A key, which may be empty, makes
// repeating harmless for 24 hours: with the same number it gives the first
// result, with another ErrConflict.
//
// What it began goes on when the caller goes away, and is ended by any daemon if
// it cannot. The errors are ErrQuery, ErrTaken, ErrBusy, ErrConflict,
// ErrUnavailable, ErrNotAllowed, ErrProvider (with ErrUncertain where the
// number may become a sender yet) and ErrStore.
func (s *Senders) Obtain(ctx context.Context, number, country, by, key string) (Sender, error) {
	country = strings.ToUpper(country)
	switch {
	case !numberForm.MatchString(number):
		return Sender{}, fmt.Errorf("%w: number must be in E.164, such as +14155550132", ErrQuery)
	case !countryForm.MatchString(country):
		return Sender{}, fmt.Errorf("%w: country must be two letters (ISO 3166-1), such as US", ErrQuery)
	case s.o.Numbers == nil:
		return Sender{}, fmt.Errorf("obtain a number: %w", errNoNumbers)
	}
	r := request{number: number, nonce: newNonce(), key: none, digest: none}
	if key != "" {
		r.key, r.digest = hashed(key), hashed(number+" "+country)
	}
	wanted := Sender{ID: number, Kind: KindNumber, Country: country, Source: SourceObtained, By: by}
	first, err := s.look(ctx, &r, wanted)
	if err != nil {
		return Sender{}, fmt.Errorf("obtain a number: %w", err)
	}
	if first != nil {
		return *first, nil
	}
	at, first, err := s.intend(ctx, &r, wanted)
	if err != nil {
		s.undo(ctx, r, err)
		return Sender{}, fmt.Errorf("obtain a number: %w", err)
	}
	if first != nil {
		return *first, nil
	}
	wanted.Since = at
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTimeout)
	defer cancel()
	got, err := s.obtain(ctx, r, wanted)
	s.reread(ctx)
	if err != nil {
		return Sender{}, fmt.Errorf("obtain a number: %w", err)
	}
	s.o.Logger.Info("a number was obtained", "sender", got.ID, "country", got.Country, "token", by)
	return got, nil
}

// look finds out, before anything is written or bought, whether the number can
// be had; or what the same key was answered before. Where an earlier request for
// it was not ended, that is left to whoever holds the number.
func (s *Senders) look(ctx context.Context, r *request, wanted Sender) (first *Sender, err error) {
	first, err = s.free(ctx, r, wanted)
	if err != nil || first != nil || r.resumed {
		return first, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	owned, err := s.find(ctx, wanted, false)
	switch {
	case errors.Is(err, ErrUnavailable):
		// Another request may have rented it between the two looks at the
		// provider: then that is noted.
		first, taken := s.free(ctx, r, wanted)
		if taken != nil || first != nil || r.resumed {
			return first, taken
		}
	case err == nil:
		r.offered = owned == nil
	}
	return nil, err
}

// free tells what intend would, and writes nothing.
func (s *Senders) free(ctx context.Context, r *request, wanted Sender) (first *Sender, err error) {
	_, first, err = s.note(ctx, r, wanted, false)
	return first, err
}

// intend writes down what is about to be done, and answers when that was; or
// what the same key was answered before.
func (s *Senders) intend(ctx context.Context, r *request, wanted Sender) (at time.Time, first *Sender, err error) {
	return s.note(ctx, r, wanted, true)
}

func (s *Senders) note(ctx context.Context, r *request, wanted Sender, write bool) (at time.Time, first *Sender, err error) {
	body, err := json.Marshal(wanted)
	if err != nil {
		return at, nil, fmt.Errorf("encode the sender: %w", err)
	}
	for {
		answer, err := s.run(
			ctx, obtainScript, "note what is to be done", []string{keySenders, PendingKey, idempotencyKey(r.key)},
			r.number, r.nonce, lease.Milliseconds(), body, r.key, r.digest, keyKept.Milliseconds(), flag(!write),
		)
		if err != nil {
			return at, nil, err
		}
		switch word := answer.string(0); word {
		case "ok":
			r.resumed = answer.int(2) > 1
			return time.UnixMilli(answer.int(1)).UTC(), nil, nil
		case "again":
			first, err = decode(answer.string(1))
			return at, first, err
		case "conflict":
			return at, nil, ErrConflict
		case "taken":
			return at, nil, ErrTaken
		case "busy":
			return at, nil, ErrBusy
		case "wait":
			select {
			case <-ctx.Done():
				return at, nil, ErrBusy
			case <-time.After(again):
			}
		default:
			return at, nil, storeError("note what is to be done", fmt.Errorf("unexpected answer %q", word))
		}
	}
}

// obtain asks the provider, and writes down what came of it. The number is ours
// to rent, for nobody else holds it.
func (s *Senders) obtain(ctx context.Context, r request, wanted Sender) (Sender, error) {
	got, err := s.rent(ctx, r, wanted)
	switch {
	case err == nil:
		return s.obtained(ctx, r, wanted.with(got))
	case uncertain(err) || r.resumed: // what an earlier request did may show yet
		return Sender{}, errors.Join(err, s.settle(ctx, r, leave))
	default:
		return Sender{}, errors.Join(err, s.settle(ctx, r, drop))
	}
}

// rent rents a number that the account does not own yet. Whatever the provider
// says against it, what the account owns is the truth.
func (s *Senders) rent(ctx context.Context, r request, wanted Sender) (Available, error) {
	if !r.offered || r.resumed {
		owned, err := s.find(ctx, wanted, r.resumed)
		switch {
		case err != nil:
			return Available{}, err
		case owned != nil:
			return *owned, nil
		}
	}
	got, err := s.o.Numbers.Obtain(ctx, wanted.ID, wanted.Country)
	if err == nil {
		return got, nil
	}
	owned, lookup := s.owned(ctx, wanted.ID)
	switch {
	case lookup != nil && known(err) && !errors.Is(err, ErrUnavailable):
		return Available{}, err
	case lookup != nil:
		// Not available may mean that an earlier try has it.
		return Available{}, fmt.Errorf("%w: %w: %w", ErrProvider, ErrUncertain, plainError{err})
	case owned != nil:
		return *owned, nil
	}
	return Available{}, err
}

// find answers the number if the account owns it, nil if the provider lets it,
// and ErrUnavailable if neither. Where an earlier request for it may have been
// answered (resumed), it is not known that nothing was done before the account
// was looked at, nor why the provider does not let it.
func (s *Senders) find(ctx context.Context, wanted Sender, resumed bool) (*Available, error) {
	owned, err := s.owned(ctx, wanted.ID)
	switch {
	case err != nil && resumed:
		return nil, fmt.Errorf("%w: %w: %w", ErrProvider, ErrUncertain, plainError{err})
	case err != nil:
		return nil, certain(err)
	case owned != nil && resumed:
		return owned, nil
	case owned != nil:
		return owned, wanted.check(*owned)
	}
	offers, err := s.o.Numbers.Search(ctx, Query{
		Country: wanted.Country, Pattern: plain(wanted.ID), Match: MatchStart, Limit: defaultLimit,
	})
	if err != nil {
		return nil, certain(err)
	}
	for _, offer := range offers {
		if same(offer.Number, wanted.ID) {
			return nil, wanted.check(offer)
		}
	}
	if resumed {
		return nil, fmt.Errorf("%w: %w: the number is not let", ErrProvider, ErrUncertain)
	}
	return nil, fmt.Errorf("%w: it is not let", ErrUnavailable)
}

// check refuses a number that cannot text, before money is spent on it.
func (w Sender) check(a Available) error {
	if !a.texts() {
		return fmt.Errorf("%w: the number cannot send texts", ErrQuery)
	}
	return nil
}

// with is the sender with what the provider says of the number.
func (w Sender) with(a Available) Sender {
	w.Features = slices.Clone(a.Features)
	if a.Country != "" {
		w.Country = a.Country
	}
	return w
}

// owned looks whether the account has a number; nil where it does not.
func (s *Senders) owned(ctx context.Context, number string) (*Available, error) {
	all, err := s.o.Numbers.Owned(ctx)
	if err != nil {
		return nil, fmt.Errorf("look what numbers the account owns: %w", err)
	}
	for _, a := range all {
		if same(a.Number, number) {
			return &a, nil
		}
	}
	return nil, nil
}

// obtained makes the number a sender, and answers its record.
func (s *Senders) obtained(ctx context.Context, r request, got Sender) (Sender, error) {
	body, err := json.Marshal(got)
	if err != nil {
		return Sender{}, fmt.Errorf("encode the sender: %w", err)
	}
	answer, err := s.run(
		ctx, obtainedScript, "make the number a sender",
		[]string{keySenders, PendingKey, ReleasedKey, idempotencyKey(r.key)},
		r.number, r.nonce, body, r.digest, keyKept.Milliseconds(), keyNotices,
	)
	if err != nil {
		return Sender{}, err
	}
	if answer.string(0) != "ok" {
		return Sender{}, ErrBusy
	}
	now, err := decode(answer.string(1))
	if err != nil {
		return Sender{}, err
	}
	return *now, nil
}

// How a request ends that did not do what it was to do.
const (
	drop  = "drop"  // it was not done
	leave = "leave" // nobody knows, so it is looked up until it is known
	undo  = "undo"  // this request did nothing; what an earlier one did stays to be looked up
)

func (s *Senders) settle(ctx context.Context, r request, how string) error {
	_, err := s.run(
		ctx, settleScript, "end what was under way", []string{PendingKey, idempotencyKey(r.key)},
		r.number, r.nonce, how, keyNotices,
	)
	return err
}

// undo takes back what may have been noted though Redis did not say so. If that
// fails as well, it is given up when it is old enough.
func (s *Senders) undo(ctx context.Context, r request, err error) {
	if errors.Is(err, ErrStore) {
		_ = s.settle(context.WithoutCancel(ctx), r, undo)
	}
}

func decode(raw string) (*Sender, error) {
	var one Sender
	if err := json.Unmarshal([]byte(raw), &one); err != nil {
		return nil, fmt.Errorf("decode a sender: %w", err)
	}
	return &one, nil
}

// known tells whether an error of the provider is one that says what it means.
func known(err error) bool {
	return !errors.Is(err, ErrUncertain) &&
		(errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotAllowed) || errors.Is(err, ErrProvider) || errors.Is(err, ErrQuery))
}

func uncertain(err error) bool { return !known(err) }

// certain is an error of a request that changes nothing: whatever it was,
// nothing was done.
func certain(err error) error {
	if known(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrProvider, plainError{err})
}

// plainError is an error by its words alone.
type plainError struct{ err error }

func (e plainError) Error() string { return e.err.Error() }
