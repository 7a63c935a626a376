package aritest

import (
	"strings"
	"time"
)

// playback is one POST …/play. The server's lock guards it.
type playback struct {
	id      string
	channel *channel
	media   []string
	index   int
	state   string
	stop    chan struct{}
	stopped bool
}

func (p *playback) wire() *wirePlayback {
	w := &wirePlayback{
		ID: p.id, Media: p.media[p.index], Target: "channel:" + p.channel.wire.ID, Language: "en", State: p.state,
	}
	if p.index+1 < len(p.media) {
		w.Next = p.media[p.index+1]
	}
	return w
}

func (p *playback) publish(kind, state string) {
	p.state = state
	p.channel.emit(event{Type: kind, Playback: p.wire()})
	p.channel.changed()
}

// stoppable says whether the playback can be stopped now: spoken numbers, digits
// and characters cannot while they are being played. (Asterisk cannot stop the
// others either in the moment they begin; that is left to faults.)
func (p *playback) stoppable() bool {
	scheme, _, _ := strings.Cut(p.media[p.index], ":")
	return p.state == "queued" || scheme == "sound" || scheme == "tone"
}

// drop forgets the playback.
func (p *playback) drop() {
	if p.channel.srv.playbacks[p.id] == p {
		delete(p.channel.srv.playbacks, p.id)
	}
	p.channel.changed()
}

// run plays everything in the list. The thread calls it with the lock held; it
// releases the lock while sound is playing.
func (p *playback) run() {
	c := p.channel
	defer p.drop()
	for p.index = range p.media {
		last := p.index == len(p.media)-1
		if p.stopped {
			p.publish("PlaybackFinished", "done")
			return
		}
		duration, outcome := c.srv.duration(p.media[p.index])
		c.heard = append(c.heard, Heard{Playback: p.id, Media: p.media[p.index], Started: time.Now()})
		p.publish("PlaybackStarted", "playing")
		if outcome == unsupported {
			// Asterisk logs an error, goes on to the next and never says that
			// this one has finished.
			continue
		}
		failed := outcome == missing
		if !failed {
			failed = p.wait(duration)
		}
		state := "done"
		if failed && !p.stopped {
			state = "failed"
		}
		h := &c.heard[len(c.heard)-1]
		h.Ended, h.State, h.Stopped = time.Now(), state, p.stopped
		if last || p.stopped || c.interrupted {
			p.publish("PlaybackFinished", state)
			return
		}
		p.publish("PlaybackContinuing", "continuing")
	}
}

// wait lets the sound play. It returns true if it was cut short.
func (p *playback) wait(d time.Duration) bool {
	c := p.channel
	interrupt := c.interrupt
	c.srv.mu.Unlock()
	defer c.srv.mu.Lock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-interrupt:
		return true
	default:
	}
	select {
	case <-timer.C:
		return false
	case <-p.stop:
		return true
	case <-interrupt:
		return true
	}
}

// What can be said of a medium before it is played.
type soundness int

const (
	playable soundness = iota
	missing
	unsupported
)

// duration says how long a medium takes.
func (s *Server) duration(media string) (time.Duration, soundness) {
	scheme, id, _ := strings.Cut(media, ":")
	switch scheme {
	case "sound":
		if d, ok := s.sounds[id]; ok {
			return d, playable
		}
		return 0, missing
	case "digits", "characters", "number":
		return time.Duration(len(id)) * 400 * time.Millisecond, playable
	case "tone":
		return 24 * time.Hour, playable
	}
	return 0, unsupported
}
