package message

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/phone"
)

// flight is a message in the hands of this process.
type flight struct {
	message Message // Attempts counts those before this one
	holder  string
	kind    string             // of its campaign, "" where the hours for marketing do not matter
	first   bool               // a caller may wait for it: it has slots of its own
	list    bool               // one of a list
	abort   context.CancelFunc // ends the provider call
}

// attempt is the number of the attempt this flight makes, from 1.
func (f *flight) attempt() string { return strconv.Itoa(f.message.Attempts + 1) }

// errNotTried says that the provider was not asked: nothing was learnt about it,
// and nothing is left to be done here for the text.
var errNotTried = errors.New("not tried")

// fly makes one attempt at a message that this process holds, and writes down
// what came of it. ctx never ends by itself.
func (o *Outbox) fly(ctx context.Context, f *flight) {
	calling, abort := context.WithCancel(ctx)
	defer abort()
	f.abort = abort
	o.track(f)
	defer o.untrack(f)

	id, err := o.try(ctx, calling, f)
	if errors.Is(err, errNotTried) {
		return
	}
	var failure *SendError
	if err != nil {
		failure = sendError(err)
		o.metrics.errors.WithLabelValues(failure.Reason, failure.Verdict.String()).Inc()
	}
	switch {
	case failure == nil:
		o.settle(ctx, f, Accepted, "", id, false)
	case failure.Verdict == Refused:
		o.settle(ctx, f, Failed, failure.Reason, "", failure.Permanent)
	case failure.Verdict == NotProcessed:
		o.giveBack(ctx, f, o.retryDelay(f, failure), failure.Reason)
	default:
		o.settle(ctx, f, Unknown, failure.Reason, "", false)
	}
}

// try waits for its turn and submits the text. The errors are those of the
// provider, or errNotTried where the text did not come so far.
func (o *Outbox) try(ctx, calling context.Context, f *flight) (id string, err error) {
	if f.first {
		select {
		case o.live <- struct{}{}:
			defer func() { <-o.live }()
		case <-o.draining:
			o.giveBack(ctx, f, 0, "shutdown")
			return "", errNotTried
		}
	}
	if !o.wanted(ctx, f) {
		return "", errNotTried
	}
	learn, err := o.breaker.Allow()
	if err != nil {
		o.giveBack(ctx, f, jitter(o.opts.Breaker.Pause), "provider_down")
		return "", errNotTried
	}
	lesson := errNotTried
	defer func() { learn(lesson) }()

	begun := time.Now()
	left, ok := o.toSending(ctx, f)
	if !ok {
		return "", errNotTried
	}
	if cause := o.withdrawn(f); cause != "" { // Redis may have been slow to answer
		o.giveBack(ctx, f, 0, cause)
		return "", errNotTried
	}
	// This process may have been held up since: nobody must take the text for one
	// whose worker died while it goes out, and it is worth nothing too late.
	end := begun.Add(min(o.opts.AttemptTimeout, left))
	if now := time.Now(); now.Sub(begun) > o.opts.Lease/2 || !now.Before(end) {
		o.giveBack(ctx, f, 0, "held_up")
		return "", errNotTried
	}
	calling, cancel := context.WithDeadline(calling, end)
	defer cancel()
	id, err = o.opts.Provider.Send(calling, Text{
		Reference: f.message.ID, To: f.message.To, Originator: f.message.Originator, Body: f.message.Text,
		Unicode: f.message.Encoding == UCS2, Validity: left,
	})
	lesson = nil
	if err != nil && !sendError(err).Healthy {
		lesson = err
	}
	return id, err
}

// wanted says whether the text may go out as far as this process knows. Where it
// may not, nothing is left to be done here.
func (o *Outbox) wanted(ctx context.Context, f *flight) bool {
	if o.unwanted(f.message.ID) != "" {
		// Nobody else takes it up while its lease lasts; until then Redis has
		// been told.
		return false
	}
	if cause := o.withdrawn(f); cause != "" { // an opt-out that Redis has yet to be told of
		o.giveBack(ctx, f, 0, cause)
		return false
	}
	if wait := o.quiet(f); wait > 0 {
		o.giveBack(ctx, f, wait, string(guard.OutsideHours))
		return false
	}
	return true
}

// quiet is for how long the text must wait for the hours for marketing: until they
// begin, or it has expired.
func (o *Outbox) quiet(f *flight) time.Duration {
	if f.kind == "" || o.opts.Guards == nil {
		return 0
	}
	return o.opts.Guards.Quiet(f.kind, phone.Number{E164: f.message.To}, time.Now())
}

// withdrawn says why the text of a flight must not be sent any more, though Redis
// may not have been told yet; "" where it may be. A reply goes out also to who
// has opted out.
func (o *Outbox) withdrawn(f *flight) string {
	cause := o.unwanted(f.message.ID)
	if reply := f.message.Campaign == ""; cause == "" && !reply && o.optingOut(f.message.To) {
		return ReasonOptedOut
	}
	return cause
}

// toSending says in the record that the text goes to the provider now. It
// answers false where it must not: cancelled, expired, in other hands, or it
// waits, for the service to be switched on or for its sender to have a slot.
func (o *Outbox) toSending(ctx context.Context, f *flight) (left time.Duration, ok bool) {
	keys := []string{messageKey(f.message.ID), campaigns.ServiceKey, rateKey(f.message.Originator)}
	answer, err := o.run(ctx, sendingScript, "begin an attempt", keys,
		f.message.ID, f.holder, f.attempt(), o.opts.Lease.Milliseconds(), o.pace, o.burst)
	if err != nil {
		o.log.Warn("an attempt could not begin", f.attrs("error", err)...)
		o.giveBack(ctx, f, 0, "store_down")
		return 0, false
	}
	switch answer.string(0) {
	case "ok":
		o.changed(f.change(Sending, ""))
		return answer.millis(1), true
	case "ended":
		o.changed(f.change(State(answer.string(1)), answer.string(2)))
	case "wait":
		o.nudge(answer.millis(1))
	case "off":
		o.giveBack(ctx, f, jitter(o.opts.Breaker.Pause), "service_off")
	default:
		o.lost(f, answer)
	}
	return 0, false
}

// settle writes down what the attempt came to.
func (o *Outbox) settle(ctx context.Context, f *flight, s State, reason, id string, permanent bool) {
	answer, ok := o.insist(f, func() (reply, error) {
		return o.run(ctx, settleScript, "settle an attempt", f.keys(), f.message.ID, f.holder,
			f.attempt(), string(s), reason, o.opts.Provider.Name(), id, o.suppress(permanent))
	})
	switch {
	case !ok:
	case answer.string(0) == "ok":
		if s == Accepted && !f.message.Test {
			o.metrics.submit.Observe(answer.millis(1).Seconds())
		}
		o.learnt(answer.int(3) == 1)
		o.changed(f.change(State(answer.string(2)), reason))
	default:
		o.lost(f, answer)
	}
}

// giveBack queues the message again, or cancels it where that was asked for
// meanwhile: it certainly did not go out.
func (o *Outbox) giveBack(ctx context.Context, f *flight, delay time.Duration, reason string) {
	answer, ok := o.insist(f, func() (reply, error) {
		return o.run(ctx, retryScript, "give a message back", f.keys(),
			f.message.ID, f.holder, f.attempt(), delay.Milliseconds(), reason, o.withdrawn(f))
	})
	switch {
	case !ok:
	case answer.string(0) == "ok":
		if answer.int(2) == 1 {
			o.changed(f.change(Queued, reason))
		}
		o.nudge(answer.millis(1))
	case answer.string(0) == "cancelled":
		if answer.int(2) == 1 {
			o.changed(f.change(Queued, reason))
		}
		o.changed(f.change(State(answer.string(3)), answer.string(1)))
	default:
		o.lost(f, answer)
	}
}

// insist repeats until Redis answers: what is known of a text must not be lost
// while its lease lasts. It gives up when the outbox is told to end at once;
// the lease then says to others what became of the message.
func (o *Outbox) insist(f *flight, run func() (reply, error)) (reply, bool) {
	wait := o.patience()
	for first := true; ; first = false {
		answer, err := run()
		if err == nil {
			return answer, true
		}
		if first {
			o.log.Warn("what became of an attempt cannot be written yet", f.attrs("error", err)...)
		}
		if !o.pause(wait.NextBackOff()) {
			o.log.Error("what became of an attempt could not be written", f.attrs("error", err)...)
			return nil, false
		}
	}
}

// lost ends a flight whose message is no longer this one's: cancelled, settled
// by a report, or taken for dead and taken up by another worker.
func (o *Outbox) lost(f *flight, answer reply) {
	state := State(answer.string(1))
	o.log.Debug("the message is no longer in this attempt's hands", f.attrs("state", state)...)
	if state == "" {
		o.drop(f.message.ID)
	} else if state.settled() {
		o.notify(f.message.ID, state) // whoever brought it about counts it
	}
}

// retryDelay is how long the message waits for its next attempt.
func (o *Outbox) retryDelay(f *flight, failure *SendError) time.Duration {
	if o.stopping() {
		return 0 // whoever comes next need not wait
	}
	initial := o.opts.Backoff.Max
	if n := f.message.Attempts; n < 30 {
		initial = min(initial, o.opts.Backoff.Initial<<n)
	}
	return max(jitter(initial), failure.RetryAfter)
}

// jitter spreads d between a half and one and a half of itself.
func jitter(d time.Duration) time.Duration {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = d, d
	return b.NextBackOff()
}

func (f *flight) keys() []string { return []string{messageKey(f.message.ID)} }

func (f *flight) change(s State, cause string) change {
	return change{
		message: f.message.ID, campaign: f.message.Campaign, call: f.message.Call,
		state: s, cause: cause, test: f.message.Test,
	}
}

func (f *flight) attrs(more ...any) []any {
	return append([]any{"message", f.message.ID, "campaign", f.message.Campaign, "call", f.message.Call}, more...)
}

func (o *Outbox) track(f *flight) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flights[f] = struct{}{}
}

func (o *Outbox) untrack(f *flight) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.flights, f)
}
