package ari

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
)

// eventFilter is the body that limits the event stream to the types that
// dispatch knows. ChannelUserevent is the heartbeat.
var eventFilter = []byte(`{"allowed":[` +
	`{"type":"StasisStart"},{"type":"StasisEnd"},` +
	`{"type":"ChannelDtmfReceived"},{"type":"ChannelHangupRequest"},` +
	`{"type":"PlaybackFinished"},{"type":"ApplicationReplaced"},` +
	`{"type":"ChannelUserevent"}]}`)

// dispatch decodes one message of the event stream and gives it to the call
// it is about. Nothing in it can fail: what is not understood is counted.
func (s *session) dispatch(data []byte) {
	e, err := arilib.DecodeEvent(data)
	if err != nil || e == nil {
		s.c.countOddity(data)
		return
	}
	switch e := e.(type) {
	case *arilib.StasisStart:
		s.enter(e, data)
	case *arilib.StasisEnd:
		if ch := s.c.call(e.Channel.ID); ch != nil {
			s.c.remove(ch, e, nil)
		}
	case *arilib.ChannelDtmfReceived:
		s.c.deliver(e.Channel.ID, e)
	case *arilib.ChannelHangupRequest:
		s.c.deliver(e.Channel.ID, e)
	case *arilib.PlaybackFinished:
		s.playbackFinished(e)
	case *arilib.ChannelUserevent:
		if strings.HasPrefix(e.Eventname, s.c.instance) {
			select {
			case s.beats <- e.Eventname:
			default:
			}
		}
	case *arilib.ApplicationReplaced:
		s.fail(errReplaced)
	}
}

// maxTypeLogged is longer than any type of event has a name.
const maxTypeLogged = 64

// countOddity tells events of an unknown type, which newer versions of
// Asterisk have, from what is no event at all.
func (c *Client) countOddity(data []byte) {
	var m arilib.Message
	if json.Unmarshal(data, &m) != nil || m.Type == "" || knownTypes[m.Type] {
		c.m.malformed.Inc()
		c.log.Warn("message on the event stream is not an event", "bytes", len(data))
		return
	}
	c.m.unknown.Inc()
	c.log.Debug("event of an unknown type", "type", m.Type[:min(len(m.Type), maxTypeLogged)])
}

// knownTypes are those in use: such an event that cannot be decoded is
// malformed, not unknown.
var knownTypes = map[string]bool{
	arilib.Events.StasisStart:          true,
	arilib.Events.StasisEnd:            true,
	arilib.Events.ChannelDtmfReceived:  true,
	arilib.Events.ChannelHangupRequest: true,
	arilib.Events.PlaybackFinished:     true,
	arilib.Events.ChannelUserevent:     true,
	arilib.Events.ApplicationReplaced:  true,
}

func (c *Client) deliver(channel string, e arilib.Event) {
	if ch := c.call(channel); ch != nil {
		ch.deliver(e)
	}
}

func (s *session) playbackFinished(e *arilib.PlaybackFinished) {
	id, ok := strings.CutPrefix(e.Playback.TargetURI, "channel:")
	if !ok {
		return
	}
	ch := s.c.call(id)
	if ch == nil {
		return
	}
	// One of our own that is not running was told of before, when its end
	// was thought to have been missed.
	if ch.over(e.Playback.ID) || !ownPlayback(id, e.Playback.ID) {
		ch.deliver(e)
	}
}

// enter makes a call of a channel that has entered the application. A channel
// may come back after it has gone on in the dialplan: that is a new call.
func (s *session) enter(e *arilib.StasisStart, data []byte) {
	c := s.c
	id := e.Channel.ID
	if id == "" {
		c.m.malformed.Inc()
		return
	}
	start := startOf(&e.Channel)
	start.Args = e.Args
	start.RDNIS = rdnis(data)
	ch := c.newChannel(id, start, s.gen)

	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return // Run is about to let go whatever is in the application
	}
	before := c.calls[id]
	c.calls[id] = ch
	if o := c.orphaned[id]; o != nil {
		o.told = true // it has an owner after all, who tells of it
		delete(c.orphaned, id)
	}
	late := c.stopping
	c.running++
	if late {
		c.late++
	}
	c.mu.Unlock()

	if before != nil {
		c.moved(before) // or it could not have come back
	}
	go func() {
		defer c.release(late)
		c.own(s.callCtx, ch)
	}()
}

// release counts a Handle goroutine out.
func (c *Client) release(late bool) {
	c.mu.Lock()
	c.running--
	if late {
		c.late--
	}
	c.mu.Unlock()
	select {
	case c.ended <- struct{}{}:
	default:
	}
}

// own runs Handle for a call and sees to it that the channel leaves the
// application afterwards.
func (c *Client) own(ctx context.Context, ch *Channel) {
	var names, values []string
	grace := leaveGrace
	if c.panicked(func() { c.o.Handle(ctx, ch) }, ch.id) {
		names, values = outcome("failed", "internal")
		grace = 0
	}
	ch.handled()

	wait := time.NewTimer(grace)
	defer wait.Stop()
	select {
	case <-ch.left:
	case <-c.done:
	case <-wait.C:
		_ = c.seeOff(context.WithoutCancel(ctx), ch, names, values) // looked at again, if it failed
	}
}

// panicked runs a function of the owner and reports whether it panicked,
// which is logged and counted.
func (c *Client) panicked(f func(), channel string) (did bool) {
	defer func() {
		if v := recover(); v != nil {
			did = true
			c.m.panics.Inc()
			c.log.Error("panic in the handling of a call", "channel", channel, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f()
	return false
}

// call finds a channel that is in the application.
func (c *Client) call(id string) *Channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[id]
}

// missedEnd ends a call that has left the application without our hearing of
// it. A StasisEnd alone means that the call went on in the dialplan: where the
// channel is no more, its owner is told of the hangup that was missed as well.
// An error says that Asterisk could not be asked; the call is as it was.
func (c *Client) missedEnd(ctx context.Context, ch *Channel) error {
	err := c.command(ctx, verbChannel, http.MethodGet, channelPath(ch.id), nil)
	if err != nil && !gone(err) {
		c.log.Warn("cannot ask what became of a call, will try again", "channel", ch.id, "error", err)
		return err
	}
	if err != nil {
		ch.deliver(c.hangupRequest(ch.id))
	}
	c.moved(ch)
	return nil
}

// moved ends a call whose channel went on in the dialplan, or is gone, without
// our hearing of it.
func (c *Client) moved(ch *Channel) {
	if c.remove(ch, c.stasisEnd(ch.id), nil) {
		c.m.repaired.WithLabelValues(eventEnd).Inc()
	}
}

// remove forgets a channel that has left the application, and reports whether
// that was news to its owner.
func (c *Client) remove(ch *Channel, last arilib.Event, err error) bool {
	c.mu.Lock()
	if c.calls[ch.id] == ch {
		delete(c.calls, ch.id)
	}
	c.mu.Unlock()
	return ch.depart(last, err)
}

// hangupRequest makes the event that was missed.
func (c *Client) hangupRequest(id string) *arilib.ChannelHangupRequest {
	return &arilib.ChannelHangupRequest{
		EventData: c.eventData(arilib.Events.ChannelHangupRequest),
		Channel:   arilib.ChannelData{ID: id},
	}
}

// stasisEnd makes the event that was missed.
func (c *Client) stasisEnd(id string) *arilib.StasisEnd {
	return &arilib.StasisEnd{
		EventData: c.eventData(arilib.Events.StasisEnd),
		Channel:   arilib.ChannelData{ID: id},
	}
}

// playbackDone makes the event that was missed.
func (c *Client) playbackDone(channel, id string) *arilib.PlaybackFinished {
	return &arilib.PlaybackFinished{
		EventData: c.eventData(arilib.Events.PlaybackFinished),
		Playback:  arilib.PlaybackData{ID: id, State: "done", TargetURI: "channel:" + channel},
	}
}

func (c *Client) eventData(kind string) arilib.EventData {
	return arilib.EventData{
		Application: c.o.Application,
		Type:        kind,
		Timestamp:   arilib.DateTime(time.Now()),
	}
}

func startOf(d *arilib.ChannelData) Start {
	var s Start
	if d.Dialplan != nil {
		s.Extension = d.Dialplan.Exten
	}
	if d.Caller != nil {
		s.CallerNumber = d.Caller.Number
	}
	if d.Creationtime != nil {
		s.Created = time.Unix(d.Creationtime.Seconds, int64(d.Creationtime.Nanos)).UTC()
	}
	return s
}

// rdnis reads the forwarding number out of a StasisStart; the library's type
// has no field for it.
func rdnis(data []byte) string {
	if bytes.Contains(data, []byte(`"caller_rdnis":""`)) {
		return ""
	}
	var e struct {
		Channel struct {
			RDNIS string `json:"caller_rdnis"`
		} `json:"channel"`
	}
	if json.Unmarshal(data, &e) != nil {
		return ""
	}
	return e.Channel.RDNIS
}
