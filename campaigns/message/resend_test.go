package message

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// resendable is a text to be sent once more where nobody knows what became of it.
func resendable() Request {
	r := request()
	r.Campaign.OnUnknown = campaigns.OnUnknownResend
	return r
}

// inOrder answers as told, one answer after another, then accepts.
func inOrder(answers ...error) func(context.Context, Text) (string, error) {
	left := make(chan error, len(answers))
	for _, err := range answers {
		left <- err
	}
	return func(context.Context, Text) (string, error) {
		select {
		case err := <-left:
			return "id", err
		default:
			return "id", nil
		}
	}
}

// Not known, not processed, and refused.
var (
	errDoubt   = &SendError{Verdict: Ambiguous, Reason: "no_answer", Healthy: true}
	errLater   = &SendError{Verdict: NotProcessed, Reason: "unavailable", Healthy: true}
	errRefused = &SendError{Verdict: Refused, Reason: "rejected", Healthy: true}
)

func TestWhatIsUnknownIsSentOnceMore(t *testing.T) {
	for name, c := range map[string]struct {
		answers []error
		want    []State
	}{
		"taken":             {[]error{errDoubt, nil}, []State{Queued, Sending, Unknown, Queued, Sending, Accepted}},
		"not at once":       {[]error{errDoubt, errLater, nil}, []State{Queued, Sending, Unknown, Queued, Sending, Queued, Sending, Accepted}},
		"unknown again":     {[]error{errDoubt, errDoubt}, []State{Queued, Sending, Unknown, Queued, Sending, Unknown}},
		"refused the other": {[]error{errDoubt, errRefused}, []State{Queued, Sending, Unknown, Queued, Sending, Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := connect(t, startRedis(t))
			p := &provider{answer: inOrder(c.answers...)}
			o := newOutbox(t, rdb, p, func(o *Options) { o.ResendAfter = 50 * time.Millisecond })
			running(t, o)
			pending, err := o.Send(t.Context(), resendable())
			require.NoError(t, err)
			assert.Equal(t, []State{Sending, Unknown}, states(t, pending))
			id := pending.Message().ID
			require.Eventually(t, func() bool {
				m, err := o.Get(t.Context(), id)
				return err == nil && len(m.History) == len(c.want)
			}, time.Minute, 5*time.Millisecond)
			m, err := o.Get(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, c.want, history(m))
			assert.Equal(t, "resend", m.History[3].Cause)
			for _, key := range []string{outboxKey, queuedKey, doubtedKey} {
				assert.Zero(t, rdb.ZCard(t.Context(), key).Val(), "never again")
			}
			assert.Len(t, p.texts(), len(c.answers))
		})
	}
}

// A worker died with the text in its hands.
func TestADeadWorkersTextIsSentOnceMore(t *testing.T) {
	rdb := connect(t, startRedis(t))
	release := make(chan struct{})
	dead := newOutbox(t, rdb, &provider{answer: func(context.Context, Text) (string, error) {
		<-release
		return "late", nil
	}}, func(o *Options) { o.ResendAfter = 50 * time.Millisecond })
	pending, err := dead.Send(t.Context(), resendable())
	require.NoError(t, err)
	sees(t, pending, Sending)
	leaseIsOver(t, rdb, pending.Message().ID)
	p := &provider{}
	o := newOutbox(t, rdb, p)
	running(t, o)
	m := wants(t, o, pending.Message().ID, Accepted)
	assert.Equal(t, []State{Queued, Sending, Unknown, Queued, Sending, Accepted}, history(m))
	close(release)
	dead.wg.Wait() // it has nothing to say any more
	m = wants(t, o, pending.Message().ID, Accepted)
	assert.Equal(t, "id-"+m.ID, m.ProviderID)
	assert.Len(t, p.texts(), 1)
}

// A report, or whoever cancels it, comes before it is sent once more.
func TestWhatIsKnownOrNotWantedIsNotSentOnceMore(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{answer: fails(*errDoubt)}
	o := newOutbox(t, rdb, p)
	send := func(r Request) string {
		t.Helper()
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, []State{Sending, Unknown}, states(t, pending))
		return pending.Message().ID
	}
	reported, cancelled := send(resendable()), send(resendable())
	assert.EqualValues(t, 2, rdb.ZCard(t.Context(), doubtedKey).Val())
	require.NoError(t, o.Report(t.Context(), Report{Message: reported, State: Delivered}))
	for range 2 {
		state, err := o.Cancel(t.Context(), cancelled)
		require.NoError(t, err)
		assert.Equal(t, Unknown, state)
	}
	assert.Zero(t, rdb.ZCard(t.Context(), doubtedKey).Val())
	send(request())
	assert.Zero(t, rdb.ZCard(t.Context(), doubtedKey).Val(), "its campaign does not want it")
	brief := resendable()
	brief.Campaign.Validity = campaigns.Duration(o.opts.ResendAfter)
	send(brief)
	assert.Zero(t, rdb.ZCard(t.Context(), doubtedKey).Val(), "it would be too late")
	late := send(resendable())
	require.NoError(t, rdb.HSet(t.Context(), messageKey(late), "expires", 1).Err())
	require.NoError(t, rdb.ZAddXX(t.Context(), doubtedKey, z(1, late)).Err())
	running(t, o)
	require.Eventually(t, func() bool { return rdb.ZCard(t.Context(), doubtedKey).Val() == 0 }, time.Minute, time.Millisecond)
	assert.Equal(t, []State{Queued, Sending, Unknown}, history(wants(t, o, late, Unknown)), "it is too late")
	require.NoError(t, o.Report(t.Context(), Report{Message: cancelled, State: Delivered}))
	wants(t, o, cancelled, Delivered)
}

// One that waits to be sent once more may have gone out: it is not said to be
// cancelled or expired, and it counts.
func TestNobodyKnowsOfOneThatWasToBeSentOnceMore(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, o *Outbox, id string){
		"cancelled": func(t *testing.T, o *Outbox, id string) {
			state, err := o.Cancel(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, Unknown, state)
		},
		"expired": func(t *testing.T, o *Outbox, id string) {
			require.NoError(t, o.rdb.HSet(t.Context(), messageKey(id), "expires", 1).Err())
			require.NoError(t, o.rdb.ZAddXX(t.Context(), outboxKey, z(1, id)).Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := connect(t, startRedis(t))
			policy := home()
			policy.PerCallerPerDay = 1
			later := *errLater
			later.RetryAfter = time.Hour
			p := &provider{answer: inOrder(errDoubt, &later)}
			o := newOutbox(t, rdb, p, guarded(t, rdb, policy), func(o *Options) { o.ResendAfter = time.Millisecond })
			running(t, o)
			pending, err := o.Send(t.Context(), resendable())
			require.NoError(t, err)
			id := pending.Message().ID
			require.Eventually(t, func() bool {
				m, err := o.Get(t.Context(), id)
				return err == nil && m.State == Queued && m.Attempts == 2
			}, time.Minute, time.Millisecond)
			end(t, o, id)
			m := wants(t, o, id, Unknown)
			assert.Equal(t, []State{Queued, Sending, Unknown, Queued, Sending, Queued, Unknown}, history(m))
			_, err = o.Send(t.Context(), request())
			refusal(t, err)
			require.NoError(t, o.Report(t.Context(), Report{Message: id, State: Delivered}))
			wants(t, o, id, Delivered)
			assert.Len(t, p.texts(), 2)
		})
	}
}

// Each of the two texts has reports of its own. That the first did not arrive is
// not what became of the message, however late it is said; what it says of the
// person is learnt.
func TestThatOneTextDidNotArriveSaysNothingOfTheOther(t *testing.T) {
	for name, c := range map[string]struct {
		second error
		known  bool // the provider's id of the second text
	}{"taken": {nil, true}, "unknown": {errDoubt, false}} {
		t.Run(name, func(t *testing.T) {
			rdb := connect(t, startRedis(t))
			answers := make(chan error)
			p := &provider{answer: func(context.Context, Text) (string, error) { return "second", <-answers }}
			o := newOutbox(t, rdb, p, guarded(t, rdb, home()), func(o *Options) { o.ResendAfter = time.Millisecond })
			running(t, o)
			pending, err := o.Send(t.Context(), resendable())
			require.NoError(t, err)
			id := pending.Message().ID
			hand(t, answers, errDoubt)
			require.Eventually(t, func() bool { return len(p.texts()) == 2 }, time.Minute, time.Millisecond)
			report := func(s State, provider string) {
				t.Helper()
				require.NoError(t, o.Report(t.Context(), Report{Message: id, State: s, Reason: ReasonOptedOut, ProviderID: provider}))
			}
			report(Failed, "first")
			assert.Equal(t, Sending, wants(t, o, id, Sending).State)
			_, err = o.opts.OptOuts.Get(t.Context(), caller)
			require.NoError(t, err)
			hand(t, answers, c.second)
			want := Accepted
			if !c.known {
				want = Unknown
			}
			wants(t, o, id, want)
			report(Failed, "first")
			report(Expired, "first")
			assert.Equal(t, want, wants(t, o, id, want).State)
			if c.known {
				report(Failed, "second")
				wants(t, o, id, Failed)
				return
			}
			report(Delivered, "second")
			wants(t, o, id, Delivered)
		})
	}
}
