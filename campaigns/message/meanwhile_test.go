package message

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/sender"
)

// The provider says that somebody has opted out: once, for the report comes
// again and must not undo a START.
func TestOptOutsAreLearntFromTheProvider(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p, guarded(t, rdb, home()))
	opted := func() bool {
		_, err := o.opts.OptOuts.Get(t.Context(), caller)
		if err != nil {
			require.ErrorIs(t, err, optout.ErrNotFound)
		}
		return err == nil
	}
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	states(t, pending)
	report := Report{Message: pending.Message().ID, State: Failed, Reason: ReasonOptedOut}
	require.NoError(t, o.Report(t.Context(), report))
	require.True(t, opted())
	entry, err := o.opts.OptOuts.Get(t.Context(), caller)
	require.NoError(t, err)
	assert.Equal(t, optout.Provider, entry.Source)
	assert.Equal(t, caller, entry.Number)
	_, err = o.opts.OptOuts.Remove(t.Context(), caller)
	require.NoError(t, err)
	require.NoError(t, o.Report(t.Context(), report))
	assert.False(t, opted())

	p.say(fails(SendError{Verdict: Refused, Reason: ReasonOptedOut, Healthy: true}))
	pending, err = o.Send(t.Context(), request())
	require.NoError(t, err)
	assert.Equal(t, []State{Sending, Failed}, states(t, pending))
	assert.True(t, opted(), "also from a refusal")
}

// A number that failed for good has opted out as well, a later report says.
func TestAnOptOutIsLearntAfterAPermanentFailure(t *testing.T) {
	rdb := connect(t, startRedis(t))
	policy := home()
	policy.Suppress = time.Hour
	o := newOutbox(t, rdb, &provider{}, guarded(t, rdb, policy))
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	states(t, pending)
	for _, reason := range []string{"unknown_subscriber", ReasonOptedOut} {
		require.NoError(t, o.Report(t.Context(), Report{
			Message: pending.Message().ID, State: Failed, Reason: reason, Permanent: reason != ReasonOptedOut,
		}))
	}
	_, err = o.opts.OptOuts.Get(t.Context(), caller)
	require.NoError(t, err)
	// Neither is learnt a second time.
	_, err = o.opts.Guards.Unsuppress(t.Context(), caller)
	require.NoError(t, err)
	_, err = o.opts.OptOuts.Remove(t.Context(), caller)
	require.NoError(t, err)
	require.NoError(t, o.Report(t.Context(), Report{
		Message: pending.Message().ID, State: Failed, Reason: ReasonOptedOut, Permanent: true,
	}))
	pending, err = o.Send(t.Context(), request())
	require.NoError(t, err)
	states(t, pending)
}

// Texts to a number fail for good: it is left alone for a while.
func TestPermanentFailuresAreLearnt(t *testing.T) {
	rdb := connect(t, startRedis(t))
	policy := home()
	policy.Suppress = time.Hour
	p := &provider{}
	o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
	send := func() error {
		pending, err := o.Send(t.Context(), request())
		if err != nil {
			return err
		}
		states(t, pending)
		return errors.Join(
			o.Report(t.Context(), Report{Message: pending.Message().ID, State: Failed, Reason: "absent"}),
			o.Report(t.Context(), Report{Message: pending.Message().ID, State: Failed, Reason: "no_such_number", Permanent: true}))
	}
	require.NoError(t, send())
	assert.Equal(t, guard.Suppressed, refusal(t, send()).Reason, "learnt, though the report changed no state")
	_, err := o.opts.Guards.Unsuppress(t.Context(), caller)
	require.NoError(t, err)
	p.say(fails(SendError{Verdict: Refused, Reason: "recipient_refused", Permanent: true, Healthy: true}))
	require.NoError(t, send())
	assert.Equal(t, guard.Suppressed, refusal(t, send()).Reason)
}

// Somebody opts out when the text is durable but not with the provider yet.
func TestAnOptOutOvertakesAText(t *testing.T) {
	rdb := connect(t, startRedis(t))
	policy := home()
	policy.PerCallerPerDay = 3
	release := make(chan error)
	p := &provider{}
	p.say(func(context.Context, Text) (string, error) { return "id", <-release })
	o := newOutbox(t, rdb, p, guarded(t, rdb, policy), func(o *Options) { o.Workers = 1 })
	running(t, o)
	again, err := o.Send(t.Context(), request()) // will be queued again
	require.NoError(t, err)
	sees(t, again, Sending)
	waiting, err := o.Send(t.Context(), request()) // for the only slot
	require.NoError(t, err)
	optsOut(t, o, caller)
	hand(t, release, errLater)
	assert.Equal(t, []State{Queued, Cancelled}, states(t, again))
	assert.Equal(t, []State{Cancelled}, states(t, waiting))
	for _, pending := range []*Pending{again, waiting} {
		m := wants(t, o, pending.Message().ID, Cancelled)
		assert.Equal(t, "opted_out", m.Reason)
	}
	assert.Len(t, p.texts(), 1)
	assert.Zero(t, rdb.ZCard(t.Context(), campaigns.Key("guard", "caller", campaigns.Pseudonym(secret, caller))).Val())
}

// An opt-out that Redis has not taken yet holds for what is asked for, and for
// what is on its way: before the attempt begins, and when Redis was slow to say
// that it may.
func TestAnOptOutThatIsNotWrittenYetHolds(t *testing.T) {
	for _, script := range []string{"enqueue", "sending"} { // during which the key is pressed
		t.Run(script, func(t *testing.T) {
			rdb := connect(t, startRedis(t))
			policy := home()
			policy.PerCallerPerDay = 1
			p := &provider{}
			o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
			running(t, o)
			rdb.AddHook(&meddler{around: func(runs string, run func() error) error {
				err := run()
				if runs == script {
					o.opts.OptOuts.Later(optout.Entry{Number: caller, Source: optout.Keypress})
				}
				return err
			}})
			pending, err := o.Send(t.Context(), request())
			require.NoError(t, err)
			seen := states(t, pending)
			assert.Equal(t, Cancelled, seen[len(seen)-1])
			m := wants(t, o, pending.Message().ID, Cancelled)
			assert.Equal(t, ReasonOptedOut, m.Reason)
			assert.Empty(t, p.texts())

			_, err = o.Send(t.Context(), request())
			assert.Equal(t, guard.Refusal{Reason: guard.OptedOut}, refusal(t, err), "and it does not count")
			require.NoError(t, o.Reply(t.Context(), answer()))
			require.Eventually(t, func() bool { return len(p.texts()) == 1 }, time.Minute, time.Millisecond, "a reply goes out")
		})
	}
}

// A number is released while texts from it wait: nothing comes from it any more.
func TestNothingComesFromAReleasedSender(t *testing.T) {
	for name, release := range map[string]func(redis.UniversalClient) error{
		"released": func(rdb redis.UniversalClient) error {
			return rdb.ZAdd(t.Context(), sender.ReleasedKey, redis.Z{Score: 1, Member: "+14155550199"}).Err()
		},
		"about to be": func(rdb redis.UniversalClient) error {
			return rdb.HSet(t.Context(), sender.PendingKey, "+14155550199", "release 0a 1 1 1 - -\n").Err()
		},
	} {
		for _, originator := range []string{"+14155550199", "14155550199"} {
			rdb := connect(t, startRedis(t))
			policy := home()
			policy.PerCallerPerDay = 1
			answers := make(chan error)
			p := &provider{}
			p.say(func(context.Context, Text) (string, error) { return "id", <-answers })
			o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
			stop := running(t, o)
			require.NoError(t, rdb.HSet(t.Context(), sender.PendingKey, originator, "obtain 0a 1 1 1 - -\n{}").Err())
			r := request()
			r.Originator = originator
			pending, err := o.Send(t.Context(), r)
			require.NoError(t, err)
			sees(t, pending, Sending)
			require.NoError(t, release(rdb))
			hand(t, answers, errLater)
			assert.Equal(t, []State{Queued, Cancelled}, states(t, pending), name)
			assert.Equal(t, "sender_released", wants(t, o, pending.Message().ID, Cancelled).Reason)

			r.Originator = "Acme" // it counts no more, and others go out
			again, err := o.Send(t.Context(), r)
			require.NoError(t, err, name)
			sees(t, again, Sending)
			hand(t, answers, nil)
			states(t, again)
			stop() // or it takes up what is queued again for the next
		}
	}
}
