package intercept

import (
	"errors"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"

	"deflectd/campaigns/report"
)

// await waits until done says so. It ends early when the time is up or the
// call is interrupted.
func (c *call) await(limit time.Duration, done func() bool) {
	c.setTimer(c.within(limit, wayBack+withdrawLimit))
	for !done() && !c.interrupted() {
		if timeUp := c.next(); timeUp {
			return
		}
	}
}

// next waits for the next thing that happens to the call, whatever it is, and
// notes it down. It is the only place where a call waits for others.
func (c *call) next() (timeUp bool) {
	select {
	case ev, ok := <-c.events:
		c.happened(ev, ok)
	case state, ok := <-c.states:
		if !ok {
			c.states = nil
			return false
		}
		c.state = state
		c.step("text", string(state))
	case <-c.cut:
		c.cutShort, c.cut = true, nil
	case <-c.ended:
		c.cutShort, c.ended = true, nil
	case <-c.timer.C:
		return true
	}
	return false
}

// drainEvents notes down what has happened already, without waiting.
func (c *call) drainEvents() {
	for {
		select {
		case ev, ok := <-c.events:
			c.happened(ev, ok)
			continue
		case <-c.cut:
			c.cutShort, c.cut = true, nil
		case <-c.ended:
			c.cutShort, c.ended = true, nil
		default:
			return
		}
	}
}

// softShutdown is among the reasons of a soft hangup when Asterisk itself ends
// (AST_SOFTHANGUP_SHUTDOWN in Asterisk's channel.h): the caller did not hang up.
const softShutdown = 1 << 2

// happened notes down an event of the channel; ok is false when there are no
// more of them.
func (c *call) happened(ev arilib.Event, ok bool) {
	if !ok {
		c.events = nil
		if err := c.ch.Err(); err != nil {
			c.lose(err)
		} else if !c.hungUp {
			c.left = true
		}
		c.reconsider()
		return
	}
	switch ev := ev.(type) {
	case *arilib.ChannelDtmfReceived:
		c.press(ev.Digit)
	case *arilib.PlaybackFinished:
		if ev.Playback.ID != c.playing || c.playing == "" {
			return // of a prompt that was stopped
		}
		c.playing = ""
		if c.speaking && ev.Playback.State != playFinished && !c.hungUp {
			c.promptFailed("not played")
		}
		c.speaking = false
	case *arilib.ChannelHangupRequest:
		switch {
		case c.hungUp || c.lost:
		case ev.Soft && ev.Cause&softShutdown != 0:
			c.lost, c.lostBy = true, report.SwitchLost
			c.step("switch lost", "Asterisk shuts down")
			c.reconsider()
		default:
			c.hungUp = true
			c.step("hung up", "")
			c.reconsider()
		}
	case *arilib.StasisEnd:
		// Without a request to hang up before it, somebody else has moved the
		// call: the dead man's switch of the dialplan, or an administrator.
		c.left = !c.hungUp
		c.reconsider()
	}
}

// lose notes that nothing will be heard of the call any more. It is the switch
// that is lost, unless the error says that this program was too slow to take
// the events.
func (c *call) lose(err error) {
	c.lost, c.lostBy = true, report.SwitchLost
	var own interface{ Overflow() bool }
	if errors.As(err, &own) && own.Overflow() {
		c.lostBy = report.Internal
		c.step("events lost", "")
		return
	}
	c.step("switch lost", "")
}

// reconsider takes the blame from a prompt that failed a moment ago, now that
// the call turns out to have ended.
func (c *call) reconsider() {
	if time.Since(c.doubtedAt) <= goneLimit {
		c.doubted = ""
	}
}

// interrupted tells whether something has befallen the call that the script
// must heed before anything else.
func (c *call) interrupted() bool {
	return c.hungUp || c.left || c.lost || c.cutShort
}

// interruption is how a call ends that was interrupted before a text was
// promised.
func (c *call) interruption() *ending {
	switch {
	case c.hungUp:
		return &ending{report.Abandoned, report.CallerHungUp, over, ""}
	case c.lost:
		return &ending{report.Failed, c.lostBy, letGo, ""}
	case c.left:
		c.step("taken back", "")
		return &ending{report.Failed, report.SwitchLost, over, ""}
	default:
		return &ending{report.Passed, report.ShuttingDown, letGo, ""}
	}
}

// whyGone finds out why the channel has gone: the event that says so is on its
// way. Where none comes, the caller has hung up.
func (c *call) whyGone() {
	c.setTimer(goneLimit)
	for !c.hungUp && !c.left && !c.lost {
		if timeUp := c.next(); timeUp {
			c.hungUp = true
			c.step("hung up", "")
		}
	}
}

// setTimer makes the next wait end after limit.
func (c *call) setTimer(limit time.Duration) {
	if c.timer == nil {
		c.timer = time.NewTimer(limit)
		return
	}
	c.timer.Reset(limit)
}

// stopTimer gives the timer back.
func (c *call) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
	}
}
