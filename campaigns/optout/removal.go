package optout

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"deflectd/campaigns"
)

// keepRemovals is how long it is noted that somebody was taken off the list.
const keepRemovals = 365 * 24 * time.Hour

// Removal is what is noted of a number that was taken off the list.
type Removal struct {
	At     time.Time
	By     string // the name of the token that did it
	Reason string // what an operator noted
}

// RemovedError is an ErrNotFound of a number that was on the list.
type RemovedError struct{ Removal }

// Error implements error. It names no number.
func (e *RemovedError) Error() string { return ErrNotFound.Error() + " any more" }

// Is says that it is an ErrNotFound.
func (e *RemovedError) Is(target error) bool { return target == ErrNotFound }

func removalKey(person string) string { return campaigns.Key("optout", "removed", person) }

// Remove takes a number off the list and says whether it was on it. The error is
// ErrStore.
func (l *List) Remove(ctx context.Context, e164 string) (removed bool, err error) {
	return l.RemoveNoted(ctx, e164, "", "")
}

// RemoveNoted is Remove by somebody, for a reason: both are noted for a year, and
// Get tells them. The errors are campaigns.Invalid and ErrStore.
func (l *List) RemoveNoted(ctx context.Context, e164, by, reason string) (removed bool, err error) {
	const doing = "take a number off the list of opt-outs"
	if !plain(reason, maxReason) || !plain(by, maxBy) {
		return false, campaigns.Invalid{{Pointer: "/reason", Message: fmt.Sprintf("must be one line of at most %d characters", maxReason)}}
	}
	person, err := l.person(doing, e164)
	if err != nil {
		return false, err
	}
	return l.change(ctx, doing, removeScript, []string{entryKey(person), listKey, removalKey(person)},
		person, by, reason, int64(keepRemovals/time.Second))
}

// missing is why there is no entry of a person: *RemovedError where it is noted
// that there was one, else ErrNotFound; or ErrStore.
func (l *List) missing(ctx context.Context, doing, person string) error {
	r, err := l.rdb.HMGet(ctx, removalKey(person), "at", "by", "reason").Result()
	if err != nil {
		return storeError(doing, err)
	}
	at, _ := r[0].(string)
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, ErrNotFound)
	}
	was := Removal{At: time.UnixMilli(ms).UTC()}
	was.By, _ = r[1].(string)
	was.Reason, _ = r[2].(string)
	return fmt.Errorf("%s: %w", doing, &RemovedError{was})
}
