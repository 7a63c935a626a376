package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Release gives an obtained number back to the provider; nothing comes from it
// any more. By is the API token that asks. Where campaigns stop by it, or it is
// the last sender, that has to be confirmed; else the error is *ConfirmError.
//
// It goes on when the caller goes away. The errors are *ConfirmError,
// ErrNotFound, ErrConfigured, ErrBusy, ErrNotAllowed, ErrProvider (with
// ErrUncertain where it may be released yet; nothing comes from it meanwhile)
// and ErrStore. After the others it goes on as a sender.
func (s *Senders) Release(ctx context.Context, id, by string, confirm bool) error {
	r := request{number: ID(id), nonce: newNonce(), key: none, digest: none}
	campaigns, err := s.stopping(ctx, r.number)
	if err != nil {
		return fmt.Errorf("release a sender: %w", err)
	}
	if err := s.intendRelease(ctx, r, campaigns, confirm); err != nil {
		s.undo(ctx, r, err)
		return fmt.Errorf("release a sender: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTimeout)
	defer cancel()
	err = s.release(ctx, r)
	s.reread(ctx)
	if err != nil {
		return fmt.Errorf("release a sender: %w", err)
	}
	s.o.Logger.Info("a sender was released", "sender", r.number, "token", by)
	return nil
}

// intendRelease writes down what is about to be done.
func (s *Senders) intendRelease(ctx context.Context, r request, named []string, confirm bool) error {
	fallback := ID(s.o.Configured)
	if fallback == r.number {
		fallback = ""
	}
	answer, err := s.run(
		ctx, releaseScript, "note what is to be done", []string{keySenders, PendingKey, ReleasedKey},
		r.number, r.nonce, lease.Milliseconds(), fallback, flag(len(named) > 0), flag(confirm), keyNotices,
	)
	if err != nil {
		return err
	}
	switch word := answer.string(0); word {
	case "ok":
		return nil
	case "missing":
		if same(r.number, ID(s.o.Configured)) && s.o.Configured != "" {
			return ErrConfigured
		}
		return ErrNotFound
	case "busy":
		return ErrBusy
	case "confirm":
		last := answer.int(1) == 1
		if last {
			unnamed, err := s.stopping(ctx, "")
			if err != nil {
				return err
			}
			named = append(named, unnamed...)
			slices.Sort(named)
		}
		return &ConfirmError{Campaigns: named, Last: last}
	default:
		return storeError("note what is to be done", fmt.Errorf("unexpected answer %q", word))
	}
}

// stopping names the enabled campaigns that name a sender, or those that name
// none. The error is ErrStore.
func (s *Senders) stopping(ctx context.Context, id string) ([]string, error) {
	if s.o.Campaigns == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.StoreTimeout)
	defer cancel()
	all, _, err := s.o.Campaigns.List(ctx)
	if err != nil {
		return nil, storeError("look what campaigns stop", err)
	}
	var ids []string
	for _, c := range all {
		if c.DeletedAt == nil && c.IsEnabled() && ID(c.Originator) == id {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

// release asks the provider, and writes down what came of it.
func (s *Senders) release(ctx context.Context, r request) error {
	if s.o.Numbers == nil {
		return errors.Join(errNoNumbers, s.settle(ctx, r, drop))
	}
	err := s.o.Numbers.Release(ctx, r.number)
	switch {
	case err == nil:
		return s.released(ctx, r)
	case known(err):
		return errors.Join(err, s.settle(ctx, r, drop))
	}
	// What the account owns is the truth. One that it still owns may be gone in
	// a moment, so that is looked at again.
	if owned, lookup := s.owned(ctx, r.number); lookup == nil && owned == nil {
		return s.released(ctx, r)
	}
	return errors.Join(fmt.Errorf("%w: %w: %w", ErrProvider, ErrUncertain, err), s.settle(ctx, r, leave))
}

// released forgets the sender.
func (s *Senders) released(ctx context.Context, r request) error {
	answer, err := s.run(
		ctx, releasedScript, "forget the sender", []string{keySenders, PendingKey, ReleasedKey},
		r.number, r.nonce, keyNotices,
	)
	if err != nil {
		return err
	}
	if answer.string(0) != "ok" {
		return ErrBusy
	}
	return nil
}

// ID is how the id of a sender is kept in Redis: a number, or a short code, with
// its "+", whether it was written with one or not; a name as it is.
func ID(id string) string {
	if id == "" || isName(id) || strings.HasPrefix(id, "+") {
		return id
	}
	return "+" + id
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}
