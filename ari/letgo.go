package ari

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// prepareFor is how long what comes before letting a channel go may take:
// reading who is on it, and then stopping playbacks and setting variables. None
// of that is worth keeping the caller for.
const prepareFor = time.Second

// Orphan is a channel that was in the application and that no live call
// owned, for instance one of a process that has died. Fields that could not be
// read are empty.
type Orphan struct {
	Node         string
	Channel      string
	Args         []string // of Stasis() in the dialplan
	Extension    string   // where the call was in the dialplan
	CallerNumber string
	RDNIS        string // number that forwarded the call
	// Presentation is CALLERID(num-pres), such as prohib_passed_screen. Where
	// neither it nor Args tells, the number may be withheld.
	Presentation string
	Created      time.Time // of the channel
	// Stopping means that nothing had failed: the call came, or was found,
	// when the client was being stopped.
	Stopping bool
}

// orphan is an Orphan that is being let go.
type orphan struct {
	Orphan
	told bool
}

// letGoOrphan lets a channel go that nobody owns, and tells of it once.
func (c *Client) letGoOrphan(ctx context.Context, id string, stopping bool) error {
	o, err := c.describe(ctx, id)
	switch {
	case err != nil && gone(err):
		return nil
	case err != nil:
		c.log.Warn("cannot read all of an orphan", "channel", id, "error", err)
	}
	names, values := outcome("failed", "orphaned")
	if stopping {
		names, values = outcome("passed", "shutting_down")
	}
	c.mu.Lock()
	if c.calls[id] != nil {
		c.mu.Unlock()
		return nil // its start has come after all
	}
	found := c.orphaned[id]
	if found == nil {
		found = new(orphan)
		c.orphaned[id] = found
	}
	if err == nil || found.Channel == "" { // else more was read before
		found.Orphan = o
	}
	found.Stopping = stopping
	c.mu.Unlock()
	if err := c.letGo(ctx, id, playbackIDs(id, maxPlaybacks), names, values); err != nil && !gone(err) {
		// It may have gone all the same: the next look tells.
		c.log.Warn("cannot let an orphan go, will try again", "channel", id, "error", err)
		return err
	}
	c.tell(ctx, found)
	return nil
}

// tell tells of an orphan that has left, once.
func (c *Client) tell(ctx context.Context, o *orphan) {
	c.mu.Lock()
	told := o.told
	o.told = true
	c.mu.Unlock()
	if told {
		return
	}
	c.m.orphans.Inc()
	c.log.Warn("channel in the application without a call, let it go", "channel", o.Channel)
	if c.o.Orphan != nil {
		c.panicked(func() { c.o.Orphan(context.WithoutCancel(ctx), o.Orphan) }, o.Channel)
	}
}

// seeOff lets a channel go whose call is over and that has not left.
func (c *Client) seeOff(ctx context.Context, ch *Channel, names, values []string) error {
	err := c.letGo(ctx, ch.id, ch.mayPlay(), names, values)
	switch {
	case err == nil:
		c.m.leftovers.Inc()
		c.log.Warn("call was over and the channel still there, let it go", "channel", ch.id)
	case gone(err):
		_ = c.missedEnd(ctx, ch) // the next look finds it, if that failed
		return nil
	default:
		c.log.Warn("cannot let the channel go, will try again", "channel", ch.id, "error", err)
	}
	return err
}

// seeOffOverdue lets the channels go whose calls are long over.
func (c *Client) seeOffOverdue(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, repairFor)
	defer cancel()
	c.mu.Lock()
	calls := maps.Clone(c.calls)
	c.mu.Unlock()
	var g errgroup.Group
	g.SetLimit(repairers)
	for _, ch := range calls {
		if ch.overdue() {
			g.Go(func() error { return c.seeOff(ctx, ch, nil, nil) })
		}
	}
	_ = g.Wait() // what failed was logged, and is tried again
}

// outcome is how the dialplan learns what became of a call that its owner did
// not let go.
func outcome(outcome, reason string) (names, values []string) {
	return []string{"DEFLECTD_OUTCOME", "DEFLECTD_REASON"}, []string{outcome, reason}
}

// letGo gives a channel back to the dialplan, at the next priority, whatever
// fails before that. Playbacks are stopped first: the other commands would wait
// for their end.
func (c *Client) letGo(ctx context.Context, id string, playbacks, names, values []string) error {
	c.prepare(ctx, id, playbacks, names, values)
	return c.proceed(ctx, id)
}

// prepare stops playbacks and sets variables, as far as that works in time:
// what matters is that the call goes on, and whether it does is told then.
func (c *Client) prepare(ctx context.Context, id string, playbacks, names, values []string) {
	ctx, cancel := context.WithTimeout(ctx, prepareFor)
	defer cancel()
	for _, p := range playbacks {
		_ = c.stop(ctx, p) // most of them are not there
	}
	if len(names) == 0 {
		return
	}
	if err := c.set(ctx, id, names, values); err != nil && !gone(err) {
		c.log.Warn("cannot tell the dialplan what became of a call", "channel", id, "error", err)
	}
}

// sweep lets go, after the websocket was closed for good, the calls that did
// not end in time, and the channels that came too late to be handled. Its error
// says how many could not be let go.
func (c *Client) sweep(ctx context.Context, all bool) error {
	ctx, cancel := context.WithTimeout(ctx, prepareFor+c.o.CommandTimeout)
	defer cancel()
	var (
		g    errgroup.Group
		left atomic.Int64
	)
	g.SetLimit(repairers)
	attempt := func(letGo func() error) {
		g.Go(func() error {
			// A node that refuses connections has lost its calls by itself.
			if err := letGo(); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				left.Add(1)
			}
			return nil
		})
	}
	c.mu.Lock()
	calls := maps.Clone(c.calls)
	c.mu.Unlock()
	for ch := range maps.Values(calls) {
		attempt(func() error { return c.seeOff(ctx, ch, nil, nil) })
	}
	var listing error
	if all {
		ids, err := c.channels(ctx)
		ids = slices.DeleteFunc(ids, func(id string) bool { return calls[id] != nil })
		for _, id := range ids {
			attempt(func() error { return c.letGoOrphan(ctx, id, true) })
		}
		// The application is unknown when nothing is left in it.
		if err != nil && !gone(err) && !errors.Is(err, syscall.ECONNREFUSED) {
			listing = fmt.Errorf("which calls are left is not known: %w", err)
		}
	}
	_ = g.Wait()
	if n := left.Load(); n > 0 {
		return errors.Join(fmt.Errorf("%d calls could not be let go", n), listing)
	}
	return listing
}
