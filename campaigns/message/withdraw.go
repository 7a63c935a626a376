package message

import (
	"context"
	"fmt"
	"time"
)

// longestValidity is that of any campaign: no message is sent after that.
const longestValidity = 72 * time.Hour

// withdrawal is a text that must not be sent any more.
type withdrawal struct {
	message, campaign, call string
	cause                   string
	request                 string // names it to the script, which may run again for it
	// notAfter is until when the message may still be made, by Redis' clock
	// (Unix milliseconds); 0 where it is there.
	notAfter int64
	until    time.Time // it is not sent after that in any case
}

// Cancel keeps a text that is still queued from being sent, and answers the
// state the message is in then: Cancelled, or whatever came first. One that is
// Sending is with the provider; where it turns out that it did not go out, it is
// cancelled then and not tried again. One that is Unknown is not sent again. One
// that was queued to be sent again is Unknown then: nobody knows whether it went
// out the first time.
//
// The errors are ErrNotFound and ErrStore. After ErrStore the outbox goes on by
// itself, until Redis has answered, the text has expired or the outbox ends.
func (o *Outbox) Cancel(ctx context.Context, id string) (State, error) {
	w := &withdrawal{message: id, cause: "cancelled", request: o.unique(), until: o.expiry(id)}
	state, _, err := o.cancel(ctx, w)
	if err != nil {
		o.log.Warn("a text could not be withdrawn; it is tried again", "message", id, "error", err)
		o.keepWithdrawing(ctx, w)
		return "", err
	}
	if state == "" {
		return "", fmt.Errorf("cancel message %s: %w", id, ErrNotFound)
	}
	return state, nil
}

// expiry is a time by which a message is sent or never will be.
func (o *Outbox) expiry(id string) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.pending[id]; p != nil {
		return p.until
	}
	return time.Now().Add(longestValidity)
}

// revoke sees to it that a message is not sent of which nobody knows whether it
// was made durable: whoever asked for it was told that there will be no text.
// That it is not made after notAfter is certain; but it may have been made in
// time, and the answer lost.
func (o *Outbox) revoke(ctx context.Context, m Message, d durable) {
	o.keepWithdrawing(ctx, &withdrawal{
		message: m.ID, campaign: m.Campaign, call: m.Call, cause: "store_down", request: o.unique(),
		notAfter: d.notAfter, until: time.Now().Add(d.validity + o.opts.Lease),
	})
}

// cancel runs the script, and answers the state the message is in and Redis'
// time.
func (o *Outbox) cancel(ctx context.Context, w *withdrawal) (State, int64, error) {
	answer, err := o.run(ctx, cancelScript, "cancel a message",
		[]string{messageKey(w.message)}, w.message, w.cause, w.request)
	if err != nil {
		return "", 0, err
	}
	state := State(answer.string(0))
	if answer.int(1) == 1 {
		o.changed(change{
			message: w.message, campaign: answer.string(2), call: w.call,
			state: state, cause: w.cause, test: answer.string(3) == "1",
		})
	}
	return state, answer.int(4), nil
}

// keepWithdrawing has a text withdrawn in the background. One goroutine does
// that for all of them.
func (o *Outbox) keepWithdrawing(ctx context.Context, w *withdrawal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		o.logStands(w)
		return
	}
	if o.withdrawals[w.message] != nil {
		return
	}
	o.withdrawals[w.message] = w
	if len(o.withdrawals) == 1 {
		ctx = context.WithoutCancel(ctx)
		o.wg.Go(func() { o.withdrawAll(ctx) })
	}
}

// withdrawAll ends when nothing is left to be withdrawn, or the outbox is told
// to end at once.
func (o *Outbox) withdrawAll(ctx context.Context) {
	wait := o.patience()
	for {
		before := o.standing()
		left := o.withdrawSome(ctx, before)
		if left == 0 {
			return
		}
		if left < len(before) {
			wait.Reset()
		}
		if !o.pause(wait.NextBackOff()) {
			for _, w := range o.standing() {
				o.logStands(w)
			}
			return
		}
	}
}

// withdrawSome goes through the withdrawals until Redis does not answer, and
// says how many are left, those that have come since included.
func (o *Outbox) withdrawSome(ctx context.Context, list []*withdrawal) (left int) {
	var done []*withdrawal
	for _, w := range list {
		if time.Now().After(w.until) {
			done = append(done, w)
			continue
		}
		state, now, err := o.cancel(ctx, w)
		if err != nil {
			break
		}
		if state.settled() {
			o.notify(w.message, state)
		}
		if state != "" || now > w.notAfter {
			o.log.Info("a text was withdrawn", "message", w.message, "campaign", w.campaign, "call", w.call, "state", state)
			done = append(done, w)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range done {
		delete(o.withdrawals, w.message)
	}
	return len(o.withdrawals)
}

// standing are the withdrawals Redis has yet to be told, in no order: one that
// it never answers does not keep it from hearing of the others.
func (o *Outbox) standing() []*withdrawal {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]*withdrawal, 0, len(o.withdrawals))
	for _, w := range o.withdrawals {
		list = append(list, w)
	}
	return list
}

// unwanted says why a message must not be sent any more, "" where it may be.
func (o *Outbox) unwanted(id string) (cause string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w := o.withdrawals[id]; w != nil {
		return w.cause
	}
	return ""
}

func (o *Outbox) logStands(w *withdrawal) {
	o.log.Error("a text could not be withdrawn: it may still be sent",
		"message", w.message, "campaign", w.campaign, "call", w.call)
}
