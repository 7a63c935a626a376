package message

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// Each state, and what each script makes of it when the hand is the right one.
func TestEachChangeIsGuardedByTheStateItLeaves(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	changes := map[string]func(id string) (reply, error){
		"sending": func(id string) (reply, error) {
			return o.run(t.Context(), sendingScript, "test", []string{messageKey(id), campaigns.ServiceKey, rateKey("Acme")}, id, "me", 2, 1000, 0, 0)
		},
		"accepted": func(id string) (reply, error) {
			return o.run(t.Context(), settleScript, "test", []string{messageKey(id)}, id, "me", 1, "accepted", "", "p", "i", 0)
		},
		"failed": func(id string) (reply, error) {
			return o.run(t.Context(), settleScript, "test", []string{messageKey(id)}, id, "me", 1, "failed", "rejected", "p", "", 0)
		},
		"unknown": func(id string) (reply, error) {
			return o.run(t.Context(), settleScript, "test", []string{messageKey(id)}, id, "me", 1, "unknown", "no_answer", "p", "", 0)
		},
		"accepted, the sending lost": func(id string) (reply, error) {
			return o.run(t.Context(), settleScript, "test", []string{messageKey(id)}, id, "me", 2, "accepted", "", "p", "i", 0)
		},
		"retry": func(id string) (reply, error) {
			return o.run(t.Context(), retryScript, "test", []string{messageKey(id)}, id, "me", 1, 1000, "unavailable", "")
		},
		"cancel": func(id string) (reply, error) {
			return o.run(t.Context(), cancelScript, "test", []string{messageKey(id)}, id, "cancelled", "request")
		},
		"report accepted": func(id string) (reply, error) {
			return nil, o.Report(t.Context(), Report{Message: id, State: Accepted})
		},
		"report delivered": func(id string) (reply, error) {
			return nil, o.Report(t.Context(), Report{Message: id, State: Delivered})
		},
		"report failed": func(id string) (reply, error) { return nil, o.Report(t.Context(), Report{Message: id, State: Failed}) },
	}
	// What the message is afterwards where that differs from what it was.
	moves := map[State]map[string]State{
		Queued: {
			"sending": Sending, "cancel": Cancelled, "accepted, the sending lost": Accepted,
			"report accepted": Accepted, "report delivered": Delivered, "report failed": Failed,
		},
		Sending: {
			"accepted": Accepted, "failed": Failed, "unknown": Unknown, "retry": Queued,
			"report accepted": Accepted, "report delivered": Delivered, "report failed": Failed,
		},
		Accepted: {"report delivered": Delivered, "report failed": Failed},
		Unknown: {
			"accepted": Accepted, "failed": Failed,
			"report accepted": Accepted, "report delivered": Delivered, "report failed": Failed,
		},
	}
	now := time.Now().UnixMilli()
	for _, from := range States() {
		for name, run := range changes {
			id := fmt.Sprintf("%s-%s", from, name)
			require.NoError(t, rdb.HSet(t.Context(), messageKey(id), "state", string(from), "holder", "me", "attempts", 1,
				"created", now, "updated", now, "expires", now+60_000, "campaign", "billing").Err())
			_, err := run(id)
			require.NoError(t, err)
			want, moved := moves[from][name]
			if !moved {
				want = from
			}
			m, err := o.Get(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, want, m.State, "%s, then %s", from, name)
			assert.Equal(t, moved, len(m.History) > 0, "%s, then %s", from, name)
		}
	}
}

// Who withdraws a text that is with the provider does not get it after all
// where it turns out not to have gone out.
func TestWithdrawnWhileItIsBeingSent(t *testing.T) {
	rdb := connect(t, startRedis(t))
	answer := make(chan error)
	p := &provider{}
	p.say(func(context.Context, Text) (string, error) { return "taken", <-answer })
	o := newOutbox(t, rdb, p)
	for result, want := range map[error][]State{
		&SendError{Verdict: NotProcessed, Reason: "unavailable"}: {Queued, Sending, Queued, Cancelled},
		&SendError{Verdict: Ambiguous, Reason: "no_answer"}:      {Queued, Sending, Unknown},
		error(nil): {Queued, Sending, Accepted},
	} {
		pending, err := o.Send(t.Context(), request())
		require.NoError(t, err)
		id := pending.Message().ID
		sees(t, pending, Sending)
		state, err := o.Cancel(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, Sending, state)
		hand(t, answer, result)
		assert.Equal(t, want[2:], states(t, pending))
		assert.Equal(t, want, history(wants(t, o, id, want[len(want)-1])))
		assert.Zero(t, rdb.ZCard(t.Context(), outboxKey).Val(), "it is not tried again")
	}
}

func TestReportsRepeatAndComeInAnyOrder(t *testing.T) {
	rdb := connect(t, startRedis(t))
	answer := make(chan struct{})
	p := &provider{}
	o := newOutbox(t, rdb, p)
	report := func(id string, s State) {
		t.Helper()
		require.NoError(t, o.Report(t.Context(), Report{Message: id, State: s, ProviderID: "from the report"}))
	}

	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	states(t, pending)
	id := pending.Message().ID
	for _, s := range []State{Accepted, Delivered, Delivered, Accepted, Failed, Expired} {
		report(id, s)
	}
	m := wants(t, o, id, Delivered)
	assert.Equal(t, []State{Queued, Sending, Accepted, Delivered}, history(m))
	assert.Equal(t, "id-"+id, m.ProviderID)

	// A report overtakes the provider's answer.
	p.say(func(context.Context, Text) (string, error) {
		<-answer
		return "late", nil
	})
	pending, err = o.Send(t.Context(), request())
	require.NoError(t, err)
	id = pending.Message().ID
	sees(t, pending, Sending)
	report(id, Delivered)
	close(answer)
	assert.Equal(t, []State{Delivered}, states(t, pending))
	o.wg.Wait()
	m = wants(t, o, id, Delivered)
	assert.Equal(t, "from the report", m.ProviderID)
	assert.Equal(t, []State{Queued, Sending, Accepted, Delivered}, history(m))

	// A report proves that what looked not processed was taken.
	p.say(fails(SendError{Verdict: NotProcessed, Reason: "unavailable", RetryAfter: time.Hour}))
	pending, err = o.Send(t.Context(), request())
	require.NoError(t, err)
	id = pending.Message().ID
	sees(t, pending, Sending, Queued) // what became of the attempt is written down
	report(id, Accepted)
	assert.Equal(t, []State{Accepted}, states(t, pending))
	assert.Zero(t, rdb.ZCard(t.Context(), outboxKey).Val(), "it is not tried again")

	// Nothing to report on.
	require.ErrorIs(t, o.Report(t.Context(), Report{Message: "nosuch", State: Delivered}), ErrNotFound)
	require.Error(t, o.Report(t.Context(), Report{Message: id, State: Queued}))
}

// Redis has lost the write that an attempt began, and the worker died: the
// provider knows the text, so that it is not sent again.
func TestAReportProvesAnAttemptThatRedisHasLost(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p, guarded(t, rdb, home()))
	listed := request()
	listed.List = true
	send := func() string {
		pending, err := o.Send(t.Context(), listed)
		require.NoError(t, err)
		return pending.Message().ID
	}
	arrived, refused := send(), send()
	require.NoError(t, o.Report(t.Context(), Report{Message: arrived, State: Delivered, ProviderID: "theirs"}))
	require.NoError(t, o.Report(t.Context(), Report{Message: refused, State: Failed, Reason: ReasonOptedOut}))
	m := wants(t, o, arrived, Delivered)
	assert.Equal(t, []State{Queued, Accepted, Delivered}, history(m))
	assert.Equal(t, 1, m.Attempts)
	assert.Equal(t, "theirs", m.ProviderID)
	wants(t, o, refused, Failed)
	_, err := o.opts.OptOuts.Get(t.Context(), caller)
	require.NoError(t, err)
	for _, key := range []string{outboxKey, listKey, queuedKey} {
		assert.Zero(t, rdb.ZCard(t.Context(), key).Val())
	}
	assert.Empty(t, p.texts())
}
