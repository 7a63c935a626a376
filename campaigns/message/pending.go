package message

import "time"

// pendingSize is how many changes wait for a slow reader: more than a message
// usually passes. Beyond that the oldest are forgotten, never the last.
const pendingSize = 8

// Pending is a message on its way.
type Pending struct {
	message Message
	states  chan State
	until   time.Time // nothing is expected of it after that
}

// Message is the message as it was made durable, or as it was found where the
// request was a repeated one.
func (p *Pending) Message() Message { return p.message }

// States gives each change of the state that this process sees from here on.
// It is closed once the message has settled: accepted, unknown or final; for a
// repeated request, and for one of a list, at once. Nobody need read it.
func (p *Pending) States() <-chan State { return p.states }

// settledPending is a message of which nothing more is expected here.
func settledPending(m Message) *Pending {
	p := &Pending{message: m, states: make(chan State)}
	close(p.states)
	return p
}

// follow makes the Pending of a message that this process will try.
func (o *Outbox) follow(m Message) *Pending {
	p := &Pending{
		message: m,
		states:  make(chan State, pendingSize),
		until:   time.Now().Add(m.Expires.Sub(m.Created) + o.opts.Lease),
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending[m.ID] = p
	return p
}

// notify tells whoever follows a message the state it has entered.
func (o *Outbox) notify(id string, s State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.pending[id]
	if p == nil {
		return
	}
	for {
		select {
		case p.states <- s:
			if s.settled() {
				o.forget(id, p)
			}
			return
		default:
		}
		select { // full: nobody reads, or slowly
		case <-p.states:
		default:
		}
	}
}

// forget ends a Pending; o.mu is held.
func (o *Outbox) forget(id string, p *Pending) {
	delete(o.pending, id)
	close(p.states)
}

// drop ends the Pending of a message that somebody else works on.
func (o *Outbox) drop(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.pending[id]; p != nil {
		o.forget(id, p)
	}
}

// sweep ends the Pendings whose messages have settled elsewhere.
func (o *Outbox) sweep(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, p := range o.pending {
		if now.After(p.until) {
			o.forget(id, p)
		}
	}
}

// closeAll ends them all.
func (o *Outbox) closeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, p := range o.pending {
		o.forget(id, p)
	}
}
