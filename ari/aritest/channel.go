package aritest

import (
	"fmt"
	"strconv"
	"time"
)

// Place is where a call is.
type Place string

// The places of a call.
const (
	InStasis   Place = "stasis"   // in the application
	InDialplan Place = "dialplan" // let go, or the application was not there
	Gone       Place = "gone"     // hung up, or lost with the switch
)

// channel is one call as Asterisk has it. The server's lock guards it.
type channel struct {
	srv          *Server
	wire         wireChannel
	presentation string
	dnis         string
	app          string
	args         []string
	again        int // how often the dialplan still calls Stasis after this
	vars         map[string]string

	place       Place
	application *application // while in Stasis
	queue       []*command
	wake        chan struct{} // a command has been queued
	interrupt   chan struct{} // closed when the call must leave Stasis now
	interrupted bool
	timedOut    bool
	leaving     bool // continue has been carried out
	timer       *time.Timer

	placed, answered, left, ended, first time.Time
	endedBy                              string
	statuses                             []string
	heard                                []Heard
	watch                                chan struct{} // closed at the next change; nil when nobody waits
}

// command is carried out by the channel's thread.
type command struct {
	run     func() // called with the lock held; may release it in between
	dropped func() // called instead when it never will be; may be nil
	done    chan struct{}
	ok      bool
}

// changed wakes those who wait for something to become true of the channel.
func (c *channel) changed() {
	if c.watch != nil {
		close(c.watch)
		c.watch = nil
	}
}

func (c *channel) snapshot() *wireChannel {
	w := c.wire
	return &w
}

func (c *channel) emit(e event) {
	if c.application != nil {
		c.srv.send(c.application, e)
	}
}

// arrive runs the dialplan of a new call. Callers hold the lock.
func (c *channel) arrive() {
	c.wire.Dialplan = wireDialplan{Context: "incoming", Extension: c.dnis, Priority: 1}
	if c.srv.deadMan > 0 {
		c.setTimeout(strconv.FormatFloat(c.srv.deadMan.Seconds(), 'f', -1, 64))
	}
	c.enterStasis()
}

// enterStasis hands the call to the application, or past it when that is not
// active: then STASISSTATUS is FAILED and the dialplan goes on.
func (c *channel) enterStasis() {
	a := c.srv.apps[c.app]
	if a == nil || a.socket == nil {
		c.status("FAILED")
		c.goOn()
		return
	}
	c.wire.Dialplan.Priority++
	c.wire.Dialplan.App = "Stasis"
	c.wire.Dialplan.AppData = c.app
	for _, arg := range c.args {
		c.wire.Dialplan.AppData += "," + arg
	}
	c.place = InStasis
	c.application = a
	c.leaving, c.interrupted, c.timedOut = false, false, false
	c.interrupt = make(chan struct{})
	a.channels[c.wire.ID] = c
	args := c.args
	if args == nil {
		args = []string{}
	}
	c.emit(event{Type: "StasisStart", Args: &args, Channel: c.snapshot()})
	c.changed()
	c.srv.wg.Go(c.thread)
}

// thread carries out commands while the call is in Stasis, one after the other.
func (c *channel) thread() {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	for c.place == InStasis {
		if len(c.queue) > 0 {
			next := c.queue[0]
			c.queue = c.queue[1:]
			next.ok = true
			next.run()
			close(next.done)
			continue
		}
		if c.leaving || c.interrupted {
			c.leaveStasis()
			return
		}
		interrupt := c.interrupt
		c.srv.mu.Unlock()
		select {
		case <-c.wake:
		case <-interrupt:
		}
		c.srv.mu.Lock()
		if c.interrupted {
			// Idle when the caller went: what came in since is dropped.
			c.flush()
		}
	}
}

// flush drops queued commands without carrying them out.
func (c *channel) flush() {
	for _, d := range c.queue {
		if d.dropped != nil {
			d.dropped()
		}
		close(d.done)
	}
	c.queue = nil
}

// enqueue gives the thread a command. Callers hold the lock.
func (c *channel) enqueue(run func()) *command {
	d := &command{run: run, done: make(chan struct{})}
	c.queue = append(c.queue, d)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return d
}

// leaveStasis ends the stay in the application: the call goes on in the
// dialplan, or is over if it was hung up.
func (c *channel) leaveStasis() {
	c.emit(event{Type: "StasisEnd", Channel: c.snapshot()})
	c.flush()
	a := c.application
	delete(a.channels, c.wire.ID)
	c.application = nil
	c.srv.retire(a)
	c.left = time.Now()
	if c.endedBy != "" {
		c.end()
		return
	}
	c.status("SUCCESS")
	c.goOn()
}

// goOn is the dialplan after Stasis.
func (c *channel) goOn() {
	if c.again > 0 && !c.timedOut && c.statuses[len(c.statuses)-1] == "SUCCESS" {
		c.again--
		c.enterStasis()
		return
	}
	c.stopTimeout()
	target := wireDialplan{Context: "ivr", Extension: c.dnis, Priority: 1}
	if t := c.vars["DEFLECTD_TRANSFER"]; c.srv.targets[t] {
		target = parseTarget(t)
	}
	target.App, target.AppData = "Wait", "60"
	c.wire.Dialplan = target
	c.place = InDialplan
	c.changed()
}

// status notes what became of Stasis() for the dialplan.
func (c *channel) status(text string) {
	c.vars["STASISSTATUS"] = text
	c.statuses = append(c.statuses, text)
}

// hangUp ends the call for the caller ("caller"), a command ("application") or
// the dialplan ("dialplan"). In Stasis the thread does the rest.
func (c *channel) hangUp(by string) {
	if c.place == Gone || c.endedBy != "" {
		return
	}
	c.endedBy = by
	if c.place != InStasis {
		c.end()
		return
	}
	c.reportQuality()
	request := event{Type: "ChannelHangupRequest", Channel: c.snapshot()}
	switch {
	case by == "application":
		request.Cause, request.Soft = 32, true
	case c.wire.State != "Up":
		request.Cause, request.TechCause = 127, 487
	}
	c.emit(request)
	c.breakOut()
}

// reportQuality sends the variables that an answered call gets at its end.
func (c *channel) reportQuality() {
	if c.wire.State != "Up" || c.application == nil || !c.application.lets("ChannelVarset") {
		return
	}
	value := "ssrc=1;themssrc=0;lp=0;rxjitter=0.000000;rxcount=0;txjitter=0.000000;txcount=0;rlp=0;rtt=0.000000"
	for _, name := range []string{"RTPAUDIOQOS", "RTPAUDIOQOSJITTER", "RTPAUDIOQOSLOSS", "RTPAUDIOQOSRTT", "RTPAUDIOQOSMES"} {
		c.store(name, &value)
	}
}

// breakOut ends whatever the thread waits for.
func (c *channel) breakOut() {
	if !c.interrupted {
		c.interrupted = true
		close(c.interrupt)
	}
	c.changed()
}

// end removes the channel.
func (c *channel) end() {
	c.stopTimeout()
	delete(c.srv.channels, c.wire.ID)
	c.place = Gone
	c.ended = time.Now()
	c.changed()
}

// vanish is the end of a channel whose Asterisk died: nobody is told anything.
func (c *channel) vanish(by string) {
	if c.place == Gone {
		return
	}
	c.endedBy = by
	inStasis := c.place == InStasis
	c.application = nil
	c.flush()
	c.end()
	if inStasis {
		c.breakOut()
	}
}

// setTimeout is TIMEOUT(absolute)=seconds; 0 or nonsense takes it off.
func (c *channel) setTimeout(seconds string) {
	c.stopTimeout()
	f, err := strconv.ParseFloat(seconds, 64)
	if err != nil || f <= 0 {
		return
	}
	c.timer = time.AfterFunc(time.Duration(f*float64(time.Second)), func() {
		c.srv.mu.Lock()
		defer c.srv.mu.Unlock()
		if c.place == InStasis && c.endedBy == "" {
			c.timedOut = true
			c.breakOut()
		}
	})
}

func (c *channel) stopTimeout() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// parseTarget reads "context,extension,priority".
func parseTarget(target string) wireDialplan {
	parts := append(separate(target), "", "", "")
	priority, err := strconv.Atoi(parts[2])
	if err != nil {
		priority = 1
	}
	return wireDialplan{Context: parts[0], Extension: parts[1], Priority: priority}
}

// newChannel makes the next channel. Callers hold the lock.
func (s *Server) newChannel(caller Caller) *channel {
	now := time.Now()
	n := s.counter
	s.counter++
	c := &channel{
		srv: s, dnis: caller.DNIS, app: caller.Application, args: caller.Args, again: caller.Again,
		presentation: caller.Presentation,
		vars:         map[string]string{},
		wake:         make(chan struct{}, 1),
		placed:       now,
		wire: wireChannel{
			ID:       fmt.Sprintf("%d.%d", now.Unix(), n),
			Name:     fmt.Sprintf("PJSIP/trunk-%08x", n),
			State:    "Ring",
			Protocol: fmt.Sprintf("%d@127.0.0.1", now.UnixNano()),
			Caller:   wireParty{Name: caller.Name, Number: caller.Number},
			Created:  wireTime(now),
			Language: "en",
			RDNIS:    caller.RDNIS,
		},
	}
	s.channels[c.wire.ID] = c
	return c
}
