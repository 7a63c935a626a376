package ari

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// lookAgain is when a difference that was found is looked at a second
	// time: the event that explains it may be on its way.
	lookAgain = 250 * time.Millisecond
	// repairFor is how long the repairs of one look may take.
	repairFor = 10 * time.Second
	// maxSlow is how many looks in a row may fail while the websocket
	// answers pings, before the node is taken for lost.
	maxSlow = 2
)

// watch sets a fresh websocket up, calls ready, and then compares our calls
// with Asterisk's channels every few seconds.
func (s *session) watch(ctx context.Context, ready func()) error {
	if err := s.setUp(ctx); err != nil {
		return err
	}
	again, err := s.look(ctx)
	if err != nil {
		return err
	}
	ready()
	slow := 0
	for {
		pause := s.c.o.Poll
		if again {
			pause = min(pause, lookAgain)
		}
		if !sleep(ctx, pause) {
			return nil
		}
		again, err = s.look(ctx)
		switch {
		case err == nil:
			slow = 0
			s.c.setUp(true)
		case errors.Is(err, errZombie) || errors.Is(err, errForgotten) || slow >= maxSlow:
			return err
		default:
			slow++
			s.c.setUp(false)
			s.c.log.Warn("comparison with Asterisk failed", "error", err)
		}
	}
}

// setUp limits the stream to the events in use, and ends the calls of an
// Asterisk that is not the same any more.
func (s *session) setUp(ctx context.Context) error {
	if err := s.c.filter(ctx); err != nil {
		var refused *StatusError
		if !errors.As(err, &refused) || refused.Status >= http.StatusInternalServerError {
			return err
		}
		s.c.log.Warn("Asterisk does not limit the events, they will cost more", "error", err)
	}
	info, err := s.c.Info(ctx)
	if err != nil {
		return err
	}
	if !s.c.started.IsZero() && !s.c.started.Equal(info.Started) {
		s.restarted()
	}
	s.c.started = info.Started
	return nil
}

// restarted ends the calls that were lost with the former Asterisk.
func (s *session) restarted() {
	c := s.c
	var lost []*Channel
	c.mu.Lock()
	for _, ch := range c.calls {
		if ch.gen < s.gen {
			lost = append(lost, ch)
		}
	}
	c.mu.Unlock()
	for _, ch := range lost {
		c.remove(ch, nil, ErrSwitchLost)
	}
	c.log.Warn("Asterisk was restarted", "calls_lost", len(lost))
}

// look compares our calls with the channels in the application and repairs
// what differs. It reports whether something has to be looked at again soon.
//
// The list is older than a heartbeat that is sent after it and comes back
// through the websocket in its turn: the start of a channel in the list has
// arrived before, but for the moment between Asterisk's putting it into the
// list and its sending the start. So two looks in a row have to agree before
// anything is done.
func (s *session) look(ctx context.Context) (again bool, err error) {
	asked := time.Now()
	ids, err := s.c.channels(ctx)
	if err != nil {
		if gone(err) {
			err = fmt.Errorf("%w: %w", errForgotten, err)
		}
		return false, err
	}
	if err := s.beat(ctx); err != nil {
		return false, err
	}
	d := s.compare(ids, asked)
	s.repair(ctx, d)
	return d.again, nil
}

// beat sends a user event to our own application and waits for it to come
// through the websocket. If it does not, nothing else would: another client
// has taken the application, and Asterisk does not always say so.
func (s *session) beat(ctx context.Context) error {
	c := s.c
	before := s.received.Load()
	nonce := c.instance + "." + strconv.FormatUint(c.beats.Add(1), 36)
	if err := c.command(ctx, verbBeat, http.MethodPost,
		"/events/user/"+nonce+"?application="+url.QueryEscape(c.o.Application), nil); err != nil {
		if gone(err) {
			err = fmt.Errorf("%w: %w", errForgotten, err)
		}
		return err
	}
	deadline := time.NewTimer(c.o.CommandTimeout)
	defer deadline.Stop()
	for {
		select {
		case got := <-s.beats:
			if got == nonce {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			if s.received.Load() != before {
				return errors.New("events arrive late")
			}
			return errZombie
		}
	}
}

// difference is what one look found.
type difference struct {
	again    bool       // something differs that may explain itself
	ended    []*Channel // ours, not in the application any more
	doubtful []*Channel // ours, with playbacks whose end may have been missed
	overdue  []*Channel // theirs is over, and they are still there
	orphans  []string   // in the application, and nobody's
	left     []*orphan  // were let go without an answer that said so, and are not there any more
}

func (s *session) compare(ids []string, asked time.Time) (d difference) {
	c := s.c
	listed := make(map[string]bool, len(ids))
	for _, id := range ids {
		listed[id] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, ch := range c.calls {
		switch {
		case listed[id]:
			ch.misses = 0
			if ch.overdue() {
				d.overdue = append(d.overdue, ch)
			} else if len(ch.doubtful(s.gen)) > 0 {
				d.doubtful = append(d.doubtful, ch)
			}
		case ch.entered.After(asked): // the list is older than the call
		default:
			ch.misses++
			if ch.misses > 1 {
				d.ended = append(d.ended, ch)
			} else {
				d.again = true
			}
		}
	}
	strangers := map[string]bool{}
	for _, id := range ids {
		if c.calls[id] != nil {
			continue
		}
		if s.strangers[id] {
			d.orphans = append(d.orphans, id)
		} else {
			d.again = true
		}
		strangers[id] = true
	}
	s.strangers = strangers
	for id, o := range c.orphaned {
		if strangers[id] {
			continue
		}
		delete(c.orphaned, id)
		if !o.told {
			d.left = append(d.left, o)
		}
	}
	return d
}

// repair does what takes commands, some at a time, within a bound.
func (s *session) repair(ctx context.Context, d difference) {
	ctx, cancel := context.WithTimeout(ctx, repairFor)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(repairers)
	for _, ch := range d.ended {
		g.Go(func() error { return s.c.missedEnd(ctx, ch) })
	}
	for _, ch := range d.doubtful {
		g.Go(func() error { s.checkPlaybacks(ctx, ch); return nil })
	}
	for _, ch := range d.overdue {
		g.Go(func() error { return s.c.seeOff(ctx, ch, nil, nil) })
	}
	for _, id := range d.orphans {
		g.Go(func() error { return s.c.letGoOrphan(ctx, id, false) })
	}
	for _, o := range d.left {
		g.Go(func() error { s.c.tell(ctx, o); return nil })
	}
	_ = g.Wait() // what failed was logged, and is found again by the next look
}

// checkPlaybacks makes up for the ends of playbacks that were missed.
func (s *session) checkPlaybacks(ctx context.Context, ch *Channel) {
	for _, id := range ch.doubtful(s.gen) {
		err := s.c.command(ctx, verbPlayback, http.MethodGet, "/playbacks/"+url.PathEscape(id), nil)
		switch {
		case err == nil:
			ch.confirm(id, s.gen)
		case gone(err) && ch.over(id):
			s.c.m.repaired.WithLabelValues(eventPlayback).Inc()
			ch.deliver(s.c.playbackDone(ch.id, id))
		}
	}
}
