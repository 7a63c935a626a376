package aritest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Caller is who calls, and what the dialplan makes of it.
type Caller struct {
	Number string // CALLERID(num); may be anything, as on a real trunk
	Name   string // CALLERID(name)
	DNIS   string // the extension dialled
	RDNIS  string // the forwarding number, "" for none
	// Presentation is CALLERID(num-pres); "allowed_not_screened" if empty.
	Presentation string
	// Args are the arguments of Stasis; nil stands for those of the sample
	// dialplan (dnis, ani, pres, rdnis), an empty slice for none.
	Args []string
	// Application is called by the dialplan; the constant Application if empty.
	Application string
	// Again is how often the dialplan calls the application once more after the
	// call was let go.
	Again int
}

// Call is one call, seen from outside of Asterisk. All methods may be used from
// any goroutine, also after the call has ended.
type Call struct {
	channel *channel
}

// Heard is one medium that was played to a caller.
type Heard struct {
	Playback string // the playback's id
	Media    string
	Started  time.Time
	Ended    time.Time // zero while it plays, and for an unsupported scheme
	State    string    // done or failed; "" while it plays
	Stopped  bool      // by DELETE /playbacks
}

// State is what is true of a call at one moment.
type State struct {
	Where     Place
	Context   string // of the dialplan: "incoming" in Stasis, "ivr" after it
	Extension string
	Status    string // STASISSTATUS: "" before the first end, SUCCESS, FAILED
	EndedBy   string // caller, application, dialplan, switch; "" while it lasts
	Variables map[string]string
	Heard     []Heard
	// Times of what has happened so far; zero for what has not.
	Placed, FirstCommand, Answered, Left, Ended time.Time
}

// Playing returns the medium that is being played, or "".
func (s State) Playing() string {
	if n := len(s.Heard); n > 0 && s.Heard[n-1].Ended.IsZero() {
		return s.Heard[n-1].Media
	}
	return ""
}

// Call places a call. When it returns the call is in Stasis, or in the dialplan
// if the application is not connected.
func (s *Server) Call(caller Caller) *Call {
	if caller.Presentation == "" {
		caller.Presentation = "allowed_not_screened"
	}
	if caller.Application == "" {
		caller.Application = Application
	}
	if caller.Args == nil {
		caller.Args = []string{
			"dnis=" + keep(digits, caller.DNIS), "ani=" + keep(digits+letters, caller.Number),
			"pres=" + caller.Presentation, "rdnis=" + keep(digits, caller.RDNIS),
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.newChannel(caller)
	if !s.running || s.closed {
		c.endedBy = "switch"
		c.end()
	} else {
		c.arrive()
	}
	return &Call{c}
}

// What the sample dialplan keeps of a number.
const (
	digits  = "0123456789+"
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// keep is FILTER() of the dialplan.
func keep(allowed, s string) string {
	return strings.Map(func(r rune) rune {
		if !strings.ContainsRune(allowed, r) {
			return -1
		}
		return r
	}, s)
}

// ID is the channel's id.
func (c *Call) ID() string { return c.channel.wire.ID }

// Press presses keys, one after the other. In the dialplan nobody hears them.
func (c *Call) Press(digits string) {
	c.channel.srv.mu.Lock()
	defer c.channel.srv.mu.Unlock()
	for _, d := range digits {
		if c.channel.place == InStasis && c.channel.endedBy == "" {
			c.channel.emit(event{
				Type: "ChannelDtmfReceived", Digit: string(d), DurationMS: 100, Channel: c.channel.snapshot(),
			})
		}
	}
}

// Hangup is the caller hanging up, or cancelling if the call was not answered.
func (c *Call) Hangup() {
	c.channel.srv.mu.Lock()
	defer c.channel.srv.mu.Unlock()
	c.channel.hangUp("caller")
}

// Where says where the call is.
func (c *Call) Where() Place {
	c.channel.srv.mu.Lock()
	defer c.channel.srv.mu.Unlock()
	return c.channel.place
}

// Answered says whether the call was ever answered.
func (c *Call) Answered() bool { return !c.State().Answered.IsZero() }

// Variable returns a channel variable as the dialplan sees it, "" if it is not
// set.
func (c *Call) Variable(name string) string {
	c.channel.srv.mu.Lock()
	defer c.channel.srv.mu.Unlock()
	return c.channel.vars[name]
}

// State returns what is true of the call now.
func (c *Call) State() State {
	c.channel.srv.mu.Lock()
	defer c.channel.srv.mu.Unlock()
	return c.channel.observe()
}

func (c *channel) observe() State {
	s := State{
		Where: c.place, Context: c.wire.Dialplan.Context, Extension: c.wire.Dialplan.Extension,
		EndedBy: c.endedBy, Variables: maps.Clone(c.vars), Heard: slices.Clone(c.heard),
		Placed: c.placed, FirstCommand: c.first, Answered: c.answered, Left: c.left, Ended: c.ended,
	}
	s.Status = c.vars["STASISSTATUS"]
	return s
}

// Wait waits until something is true of the call. The error, if ctx ends first,
// says what the state was then.
func (c *Call) Wait(ctx context.Context, is func(State) bool) error {
	for {
		c.channel.srv.mu.Lock()
		state := c.channel.observe()
		if c.channel.watch == nil {
			c.channel.watch = make(chan struct{})
		}
		watch := c.channel.watch
		c.channel.srv.mu.Unlock()
		if is(state) {
			return nil
		}
		select {
		case <-watch:
		case <-ctx.Done():
			return fmt.Errorf("call is %s (%s), playing %q: %w", state.Where, state.Context, state.Playing(), ctx.Err())
		}
	}
}

// WaitAnswered waits until the call is answered.
func (c *Call) WaitAnswered(ctx context.Context) error {
	if err := c.Wait(ctx, func(s State) bool { return !s.Answered.IsZero() }); err != nil {
		return fmt.Errorf("waiting for an answer: %w", err)
	}
	return nil
}

// WaitPlaying waits until a medium is being played, any if media is "".
func (c *Call) WaitPlaying(ctx context.Context, media string) error {
	playing := func(s State) bool { return s.Playing() != "" && (media == "" || s.Playing() == media) }
	if err := c.Wait(ctx, playing); err != nil {
		return fmt.Errorf("waiting for %q to play: %w", media, err)
	}
	return nil
}

// WaitPlace waits until the call is at a place.
func (c *Call) WaitPlace(ctx context.Context, p Place) error {
	if err := c.Wait(ctx, func(s State) bool { return s.Where == p }); err != nil {
		return fmt.Errorf("waiting for the call to be %s: %w", p, err)
	}
	return nil
}
