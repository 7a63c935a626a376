package ari

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
)

// What Channel.Err tells of a call whose events ended before it was known to
// have left the application.
var (
	// ErrSwitchLost means that the event stream is gone, or Asterisk itself.
	ErrSwitchLost = errors.New("connection to Asterisk lost")
	// ErrOverflow means that the owner did not take its events in time.
	ErrOverflow error = overflowError{}
)

// overflowError is recognised by its method wherever this package is not
// imported.
type overflowError struct{}

func (overflowError) Error() string { return "queue of events is full" }

// Overflow says that it is not the switch that was lost.
func (overflowError) Overflow() bool { return true }

// Start is what is known of a call when it enters the application.
type Start struct {
	Args         []string // of Stasis() in the dialplan
	Extension    string   // where the call is in the dialplan
	CallerNumber string
	RDNIS        string    // number that forwarded the call
	Created      time.Time // of the channel
}

// Channel is one call while it is in the application. Its verbs may be used
// by several goroutines. They return ErrGone when the caller has gone, which
// is no fault, *StatusError when Asterisk refuses, and else what befell the
// request; each is bounded by Options.CommandTimeout.
type Channel struct {
	c       *Client
	id      string
	start   Start
	gen     uint64    // websocket through which it came
	entered time.Time // when we heard of it

	events chan arilib.Event
	left   chan struct{} // closed when it is known to have left

	mu        sync.Mutex
	err       error
	closed    bool      // events is closed
	gone      bool      // left is closed
	returned  time.Time // when Handle was over
	plays     int       // playbacks so far
	playbacks []playback

	misses int // looks in a row that did not find it; the looker's own
}

// playback is one that has not finished, as far as is known.
type playback struct {
	id   string
	made bool   // Asterisk has answered
	gen  uint64 // websocket that was open when it was asked for: the end of it comes there
}

func (c *Client) newChannel(id string, start Start, gen uint64) *Channel {
	return &Channel{
		c: c, id: id, start: start, gen: gen, entered: time.Now(),
		events: make(chan arilib.Event, c.o.QueueSize),
		left:   make(chan struct{}),
	}
}

// ID is Asterisk's unique id of the channel.
func (ch *Channel) ID() string { return ch.id }

// Node is the name of the node it is on.
func (ch *Channel) Node() string { return ch.c.o.Name }

// Start is what was known of the call when it entered the application.
func (ch *Channel) Start() Start { return ch.start }

// Events are those of this channel, in order. They end when it has left the
// application, after the StasisEnd, or when Err says why.
func (ch *Channel) Events() <-chan arilib.Event { return ch.events }

// Err is, after Events has ended, nil if the channel has left the
// application, else ErrSwitchLost or ErrOverflow: the channel may still be
// there, and its owner has to let it go.
func (ch *Channel) Err() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.err
}

// Answer picks up. A channel that is up already is left as it is.
func (ch *Channel) Answer(ctx context.Context) error {
	return ch.command(ctx, verbAnswer, http.MethodPost, "/answer")
}

// Play starts playing media (URIs such as sound:beep) one after the other and
// returns at once with the id of the playback; a PlaybackFinished with that
// id says when it is over. The id is also valid beside an error other than
// *StatusError and ErrGone: it is not known then whether the playback began.
func (ch *Channel) Play(ctx context.Context, media ...string) (string, error) {
	id := ch.begin()
	err := ch.command(ctx, verbPlay, http.MethodPost,
		"/play/"+url.PathEscape(id)+"?media="+url.QueryEscape(strings.Join(media, ",")))
	ch.begun(id, err)
	return id, err
}

// Stop ends a playback; its PlaybackFinished comes as ever. One that is over
// already is no error.
func (ch *Channel) Stop(ctx context.Context, playback string) error {
	if err := ch.c.stop(ctx, playback); err != nil && !gone(err) {
		return ch.wrap(err)
	}
	return nil
}

// Set sets channel variables, all in one request. A value may hold any text.
func (ch *Channel) Set(ctx context.Context, names, values []string) error {
	return ch.wrap(ch.c.set(ctx, ch.id, names, values))
}

// Continue lets the channel go on in the dialplan, at the next priority. It
// waits for a playback that is running, so stop that before.
func (ch *Channel) Continue(ctx context.Context) error {
	return ch.wrap(ch.c.proceed(ctx, ch.id))
}

// Hangup ends the call.
func (ch *Channel) Hangup(ctx context.Context) error {
	return ch.command(ctx, verbHangup, http.MethodDelete, "")
}

// Variable reads a channel variable or dialplan function; a variable that is
// not set is empty. It works as long as the channel exists, also in the
// dialplan.
func (ch *Channel) Variable(ctx context.Context, name string) (string, error) {
	value, err := ch.c.variable(ctx, ch.id, name)
	return value, ch.wrap(err)
}

func (ch *Channel) command(ctx context.Context, v verb, method, rest string) error {
	return ch.wrap(ch.c.command(ctx, v, method, channelPath(ch.id)+rest, nil))
}

// wrap names the channel, and turns the refusals that mean "it is not there"
// into ErrGone.
func (ch *Channel) wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case gone(err):
		return fmt.Errorf("ari: channel %s: %w (%w)", ch.id, ErrGone, err)
	}
	return fmt.Errorf("ari: channel %s: %w", ch.id, err)
}

// maxPlaybacks is how many ids of playbacks a channel has. They are used in
// turn: so a fresh process can stop whatever plays on a channel of which it
// knows nothing.
const maxPlaybacks = 8

func playbackID(channel string, n int) string {
	return "deflectd." + channel + "." + strconv.Itoa(n%maxPlaybacks)
}

// ownPlayback reports whether a playback's id is one that Play makes.
func ownPlayback(channel, id string) bool {
	return strings.HasPrefix(id, "deflectd."+channel+".")
}

// playbackIDs are those that may be playing on a channel on which so many
// playbacks were begun, the most likely first.
func playbackIDs(channel string, plays int) []string {
	ids := make([]string, 0, maxPlaybacks)
	for n := plays - 1; n >= 0 && len(ids) < maxPlaybacks; n-- {
		ids = append(ids, playbackID(channel, n))
	}
	return ids
}

func (ch *Channel) begin() string {
	gen := ch.c.generation()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	id := playbackID(ch.id, ch.plays)
	ch.plays++
	ch.playbacks = append(ch.playbacks, playback{id: id, gen: gen})
	return id
}

// begun notes Asterisk's answer to a Play.
func (ch *Channel) begun(id string, err error) {
	var refused *StatusError
	ch.mu.Lock()
	defer ch.mu.Unlock()
	i := ch.find(id)
	switch {
	case i < 0: // it is over already
	case errors.As(err, &refused):
		ch.playbacks = slices.Delete(ch.playbacks, i, i+1)
	default:
		ch.playbacks[i].made = true
		if err != nil {
			ch.playbacks[i].gen = 0 // unknown: have it looked at
		}
	}
}

func (ch *Channel) find(id string) int {
	return slices.IndexFunc(ch.playbacks, func(p playback) bool { return p.id == id })
}

// over forgets a playback and reports whether it was thought to be running.
func (ch *Channel) over(id string) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	i := ch.find(id)
	if i < 0 {
		return false
	}
	ch.playbacks = slices.Delete(ch.playbacks, i, i+1)
	return true
}

// doubtful lists the playbacks whose end may have been missed because they
// were begun before this websocket was open.
func (ch *Channel) doubtful(gen uint64) (ids []string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, p := range ch.playbacks {
		if p.made && p.gen < gen {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// confirm notes that a playback is still there while this websocket is open.
func (ch *Channel) confirm(id string, gen uint64) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if i := ch.find(id); i >= 0 {
		ch.playbacks[i].gen = gen
	}
}

// deliver puts an event into the queue. A full queue ends the call: an event
// that is missing could be the one its owner waits for.
func (ch *Channel) deliver(e arilib.Event) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.put(e)
}

func (ch *Channel) put(e arilib.Event) {
	if ch.closed {
		return
	}
	select {
	case ch.events <- e:
	default:
		ch.finish(ErrOverflow)
		ch.c.m.dropped.Inc()
		ch.c.log.Error("queue of events is full, giving the call up", "channel", ch.id, "event", e.GetType())
	}
}

func (ch *Channel) finish(err error) {
	if ch.closed {
		return
	}
	ch.closed, ch.err = true, err
	close(ch.events)
}

// lose ends the events of a channel that may still be in the application.
func (ch *Channel) lose() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.finish(ErrSwitchLost)
}

// depart ends a channel that is not in the application any more, with its
// last event, if there is one, or an error. It reports whether that was news
// to its owner.
func (ch *Channel) depart(last arilib.Event, err error) (news bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	news = !ch.closed
	if last != nil {
		ch.put(last)
	}
	ch.finish(err)
	if !ch.gone {
		ch.gone = true
		close(ch.left)
	}
	return news
}

// overdue reports whether Handle returned so long ago that the channel should
// have left.
func (ch *Channel) overdue() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return !ch.returned.IsZero() && time.Since(ch.returned) > 2*leaveGrace
}

// handled notes that Handle is over.
func (ch *Channel) handled() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.returned = time.Now()
}

// mayPlay lists the playbacks that may be running.
func (ch *Channel) mayPlay() []string {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return playbackIDs(ch.id, ch.plays)
}
