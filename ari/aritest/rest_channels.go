package aritest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"time"
)

func (s *Server) listChannels(w http.ResponseWriter, _ *http.Request, _ parameters) {
	s.mu.Lock()
	all := make([]*wireChannel, 0, len(s.channels))
	for _, c := range s.channels {
		all = append(all, c.snapshot())
	}
	s.mu.Unlock()
	reply(w, http.StatusOK, all)
}

func (s *Server) getChannel(w http.ResponseWriter, r *http.Request, _ parameters) {
	s.mu.Lock()
	c := s.channels[r.PathValue("id")]
	var body *wireChannel
	if c != nil {
		body = c.snapshot()
	}
	s.mu.Unlock()
	if body == nil {
		refuse(w, http.StatusNotFound, "Channel not found")
		return
	}
	reply(w, http.StatusOK, body)
}

// hangupReasons are those DELETE /channels/{id} takes.
var hangupReasons = []string{
	"", "normal", "busy", "congestion", "no_answer", "timeout", "rejected", "unallocated", "normal_unspecified",
	"number_incomplete", "codec_mismatch", "interworking", "failure", "answered_elsewhere",
}

func (s *Server) deleteChannel(w http.ResponseWriter, r *http.Request, p parameters) {
	s.mu.Lock()
	c := s.channels[r.PathValue("id")]
	switch {
	case c == nil || c.endedBy != "":
		s.mu.Unlock()
		refuse(w, http.StatusNotFound, "Channel not found")
		return
	case !slices.Contains(hangupReasons, p.text("reason")):
		s.mu.Unlock()
		refuse(w, http.StatusBadRequest, "Invalid reason for hangup reason provided")
		return
	}
	c.touched()
	c.hangUp("application")
	s.mu.Unlock()
	reply(w, http.StatusNoContent, nil)
}

// touched notes the first command of a call.
func (c *channel) touched() {
	if c.first.IsZero() {
		c.first = time.Now()
	}
}

// controlled returns the channel of the path, locked, if it can take commands;
// otherwise it answers the request and returns nil with the lock released.
func (s *Server) controlled(w http.ResponseWriter, r *http.Request) *channel {
	s.mu.Lock()
	c := s.channels[r.PathValue("id")]
	switch {
	case c == nil:
		s.mu.Unlock()
		refuse(w, http.StatusNotFound, "Channel not found")
		return nil
	case c.place != InStasis:
		s.mu.Unlock()
		refuse(w, http.StatusConflict, "Channel not in Stasis application")
		return nil
	}
	c.touched()
	return c
}

// await releases the lock and waits until the channel's thread has carried the
// command out. It returns false if it never will.
func (s *Server) await(d *command) bool {
	s.mu.Unlock()
	<-d.done
	return d.ok
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, _ parameters) {
	c := s.controlled(w, r)
	if c == nil {
		return
	}
	answered := false
	done := s.await(c.enqueue(func() {
		if c.wire.State != "Up" {
			if c.endedBy != "" {
				return
			}
			c.wire.State = "Up"
			c.answered = time.Now()
			c.emit(event{Type: "ChannelStateChange", Channel: c.snapshot()})
			c.changed()
		}
		answered = true
	}))
	if !done || !answered {
		refuse(w, http.StatusInternalServerError, "Failed to answer channel")
		return
	}
	reply(w, http.StatusNoContent, nil)
}

func (s *Server) continueCall(w http.ResponseWriter, r *http.Request, p parameters) {
	c := s.controlled(w, r)
	if c == nil {
		return
	}
	if label := p.text("label"); label != "" {
		s.mu.Unlock()
		refuse(w, http.StatusNotFound, "Requested label can not be found")
		return
	}
	context, extension, priority := p.text("context"), p.text("extension"), p.text("priority")
	elsewhere := context != "" || extension != "" || (priority != "" && priority != "0")
	c.enqueue(func() {
		c.leaving = true
		// A place of its own choice that this dialplan does not have is the end
		// of the call.
		if elsewhere && !s.targets[context+","+extension+","+priority] {
			c.endedBy = "dialplan"
		}
	})
	s.mu.Unlock()
	reply(w, http.StatusNoContent, nil)
}

func (s *Server) play(w http.ResponseWriter, r *http.Request, p parameters) {
	c := s.controlled(w, r)
	if c == nil {
		return
	}
	media := p.list("media")
	if len(media) == 0 {
		s.mu.Unlock()
		refuse(w, http.StatusInternalServerError, "Failed to queue media for playback")
		return
	}
	id := r.PathValue("playback")
	if id == "" {
		id = p.text("playbackId")
	}
	if id == "" {
		id = rand.Text()
	}
	b := &playback{id: id, channel: c, media: media, state: "queued", stop: make(chan struct{})}
	s.playbacks[id] = b
	c.enqueue(b.run).dropped = b.drop
	body := b.wire()
	s.mu.Unlock()
	w.Header().Set("Location", "/ari/playbacks/"+url.PathEscape(id))
	reply(w, http.StatusCreated, body)
}

func (s *Server) setVariable(w http.ResponseWriter, r *http.Request, p parameters) {
	name := p.text("variable")
	if name == "" {
		refuse(w, http.StatusBadRequest, "Variable name is required")
		return
	}
	c := s.controlled(w, r)
	if c == nil {
		return
	}
	if !s.await(c.enqueue(func() { c.assign(name, p.get("value")) })) {
		refuse(w, http.StatusBadRequest, "Failed to execute function")
		return
	}
	reply(w, http.StatusNoContent, nil)
}

// getVariable does not go through the channel's thread: it is answered at once,
// also in a playback and in the dialplan.
func (s *Server) getVariable(w http.ResponseWriter, r *http.Request, p parameters) {
	name := p.text("variable")
	if name == "" {
		refuse(w, http.StatusBadRequest, "Variable name is required")
		return
	}
	s.mu.Lock()
	c := s.channels[r.PathValue("id")]
	if c == nil {
		s.mu.Unlock()
		refuse(w, http.StatusNotFound, "Provided channel was not found")
		return
	}
	c.touched()
	value, known, readable := c.lookup(name)
	s.mu.Unlock()
	switch {
	case !readable:
		refuse(w, http.StatusInternalServerError, "Unable to read provided function")
	case !known:
		refuse(w, http.StatusNotFound, "Provided variable was not found")
	default:
		reply(w, http.StatusOK, wireValue{value})
	}
}

func (s *Server) getPlayback(w http.ResponseWriter, r *http.Request, _ parameters) {
	s.mu.Lock()
	b := s.playbacks[r.PathValue("id")]
	var body *wirePlayback
	if b != nil {
		body = b.wire()
	}
	s.mu.Unlock()
	if body == nil {
		refuse(w, http.StatusNotFound, "Playback not found")
		return
	}
	reply(w, http.StatusOK, body)
}

func (s *Server) stopPlayback(w http.ResponseWriter, r *http.Request, _ parameters) {
	s.mu.Lock()
	b := s.playbacks[r.PathValue("id")]
	stoppable := b != nil && b.stoppable()
	if stoppable && !b.stopped {
		b.stopped = true
		close(b.stop)
	}
	s.mu.Unlock()
	switch {
	case b == nil:
		refuse(w, http.StatusNotFound, "Playback not found")
	case !stoppable:
		refuse(w, http.StatusInternalServerError, "Could not stop playback")
	default:
		reply(w, http.StatusNoContent, nil)
	}
}
