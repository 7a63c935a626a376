package message

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"deflectd/campaigns"
)

// arrows are all changes of state that may ever be seen in a history.
var arrows = map[State][]State{
	Queued:   {Sending, Cancelled, Expired, Accepted, Delivered, Failed, Unknown},
	Sending:  {Accepted, Failed, Queued, Unknown},
	Accepted: {Delivered, Failed, Expired},
	Unknown:  {Accepted, Delivered, Failed, Expired},
}

// model is a message as the scripts should treat it.
type model struct {
	state     State
	holder    string
	attempts  int
	withdrawn bool // to be cancelled where it turns out not to have gone out
}

// machine runs the scripts on one message beside the model.
type machine struct {
	t  *rapid.T
	o  *Outbox
	id string
	m  model
}

func (x *machine) keys() []string { return []string{messageKey(x.id), outboxKey, queuedKey} }

func (x *machine) run(s *redis.Script, args ...any) reply { return x.runKeys(s, x.keys(), args...) }

func (x *machine) runKeys(s *redis.Script, keys []string, args ...any) reply {
	answer, err := x.o.run(x.t.Context(), s, "test", keys, append([]any{x.id}, args...)...)
	require.NoError(x.t, err)
	return answer
}

// hand draws a worker: mostly the one that holds the message, with the attempt
// it should make or has made, else one that is mistaken.
func (x *machine) hand(made int) (holder, attempt string) {
	holder = x.m.holder
	if holder == "" || rapid.IntRange(0, 3).Draw(x.t, "mistaken holder") == 0 {
		holder = "somebody else"
	}
	n := made
	if rapid.IntRange(0, 3).Draw(x.t, "mistaken attempt") == 0 {
		n = made + rapid.SampledFrom([]int{-1, 1, 7}).Draw(x.t, "off by")
	}
	return holder, strconv.Itoa(n)
}

func (x *machine) sending() {
	holder, attempt := x.hand(x.m.attempts + 1)
	repeated := x.m.state == Sending && holder == x.m.holder && attempt == strconv.Itoa(x.m.attempts)
	allowed := x.m.state == Queued && holder == x.m.holder
	answer := x.runKeys(sendingScript, append(x.keys(), campaigns.ServiceKey), holder, attempt, 60_000)
	assert.Equal(x.t, allowed || repeated, answer.string(0) == "ok")
	if allowed {
		x.m.state, x.m.attempts = Sending, number(attempt)
	}
}

func (x *machine) settle() {
	holder, attempt := x.hand(x.m.attempts)
	to := rapid.SampledFrom([]State{Accepted, Failed, Unknown}).Draw(x.t, "to")
	mine := holder == x.m.holder && attempt == strconv.Itoa(x.m.attempts)
	rolledBack := holder == x.m.holder && x.m.state == Queued && attempt == strconv.Itoa(x.m.attempts+1)
	allowed := rolledBack || mine && (x.m.state == Sending || x.m.state == Unknown && to != Unknown)
	repeated := mine && x.m.state == to
	answer := x.run(settleScript, holder, attempt, string(to), "", "scripted", "id")
	assert.Equal(x.t, allowed || repeated, answer.string(0) == "ok")
	if allowed {
		x.m.state, x.m.attempts = to, number(attempt)
	}
}

func (x *machine) retry() {
	holder, attempt := x.hand(x.m.attempts)
	allowed := holder == x.m.holder && (x.m.state == Queued || x.m.state == Sending && attempt == strconv.Itoa(x.m.attempts))
	answer := x.run(retryScript, holder, attempt, 60_000, "unavailable", "")
	if allowed && x.m.withdrawn {
		assert.Equal(x.t, "cancelled", answer.string(0))
		x.m.state = Cancelled
		return
	}
	assert.Equal(x.t, allowed, answer.string(0) == "ok")
	if allowed {
		x.m.state, x.m.holder = Queued, ""
	}
}

func (x *machine) cancel() {
	state, err := x.o.Cancel(x.t.Context(), x.id)
	require.NoError(x.t, err)
	switch x.m.state {
	case Queued:
		x.m.state = Cancelled
	case Sending:
		x.m.withdrawn = true
	default:
	}
	assert.Equal(x.t, x.m.state, state)
}

func (x *machine) report() {
	to := rapid.SampledFrom([]State{Accepted, Delivered, Failed, Expired}).Draw(x.t, "to")
	require.NoError(x.t, x.o.Report(x.t.Context(), Report{Message: x.id, State: to, ProviderID: "id"}))
	if x.m.attempts > 0 && !x.m.state.Final() && x.m.state != to {
		x.m.state, x.m.holder = to, ""
	}
}

// lapse lets the lease run out, and another worker look for what is due.
func (x *machine) lapse() {
	ctx := x.t.Context()
	require.NoError(x.t, x.o.rdb.ZAddXX(ctx, outboxKey, redis.Z{Score: 1, Member: x.id}).Err())
	holder := x.o.unique()
	up := rapid.SampledFrom([]int{1, 1, 0}).Draw(x.t, "the provider is up")
	answer, err := x.o.run(ctx, claimScript, "test", claimKeys(holder), messagePrefix, holder, 60_000, 5, glance, 1000, up)
	require.NoError(x.t, err)
	switch x.m.state {
	case Queued:
		if up == 1 {
			require.Len(x.t, answer.list(2), 1)
			assert.Equal(x.t, x.m.attempts, claimedMessage(answer.list(2).list(0)).Attempts)
			x.m.holder = holder
			return
		}
	case Sending:
		x.m.state = Unknown
		require.Len(x.t, answer.list(3), 1)
	default:
		assert.Empty(x.t, answer.list(3))
	}
	assert.Empty(x.t, answer.list(2))
}

func (x *machine) extend() {
	answer, err := extendScript.Run(x.t.Context(), x.o.rdb, []string{outboxKey}, messagePrefix, 60_000, x.id, x.m.holder).Int()
	require.NoError(x.t, err)
	held := x.m.holder != "" && (x.m.state == Queued || x.m.state == Sending)
	assert.Equal(x.t, held, answer == 1 && x.m.holder != "")
}

// check compares the record and the queue with the model.
func (x *machine) check() {
	ctx := x.t.Context()
	m, err := x.o.Get(ctx, x.id)
	require.NoError(x.t, err)
	assert.Equal(x.t, x.m.state, m.State)
	assert.Equal(x.t, x.m.attempts, m.Attempts)
	assert.Equal(x.t, m.State, m.History[len(m.History)-1].State)
	for i := 1; i < len(m.History); i++ {
		from, to := m.History[i-1].State, m.History[i].State
		assert.True(x.t, slices.Contains(arrows[from], to), "%s → %s", from, to)
	}
	inOutbox := x.o.rdb.ZScore(ctx, outboxKey, x.id).Err() == nil
	inQueued := x.o.rdb.ZScore(ctx, queuedKey, x.id).Err() == nil
	assert.Equal(x.t, m.State == Queued || m.State == Sending, inOutbox)
	assert.Equal(x.t, m.State == Queued, inQueued)
}

func TestTheStatesFollowTheModel(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	rapid.Check(t, func(rt *rapid.T) {
		m, err := o.compose(request())
		require.NoError(rt, err)
		require.NoError(rt, o.addLink(&m, testCampaign()))
		answer, err := o.enqueue(rt.Context(), &m, request(), "first", time.Now().Add(time.Minute).UnixMilli())
		require.NoError(rt, err)
		require.Equal(rt, "ok", answer.string(0))
		x := &machine{t: rt, o: o, id: m.ID, m: model{state: Queued, holder: "first"}}
		steps := []func(){x.sending, x.settle, x.retry, x.cancel, x.report, x.lapse, x.extend}
		weights := []int{0, 0, 0, 1, 1, 2, 3, 4, 5, 5, 6}
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			x.t = rt
			steps[rapid.SampledFrom(weights).Draw(rt, "step")]()
			x.check()
		}
		_, err = o.rdb.ZRem(rt.Context(), outboxKey, m.ID).Result()
		require.NoError(rt, err)
		_, err = o.rdb.ZRem(rt.Context(), queuedKey, m.ID).Result()
		require.NoError(rt, err)
	})
}

// Each state, and what each script makes of it when the hand is the right one.
func TestEachChangeIsGuardedByTheStateItLeaves(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	changes := map[string]func(id string) (reply, error){
		"sending": func(id string) (reply, error) {
			return o.run(t.Context(), sendingScript, "test", []string{messageKey(id), outboxKey, queuedKey, campaigns.ServiceKey}, id, "me", 2, 1000)
		},
		"accepted": func(id string) (reply, error) {
			return o.run(t.Context(), settleScript, "test", []string{messageKey(id), outboxKey, queuedKey}, id, "me", 1, "accepted", "", "p", "i")
		},
		"failed": func(id string) (reply, error) {
			return o.run(t.Context(), settleScript, "test", []string{messageKey(id), outboxKey, queuedKey}, id, "me", 1, "failed", "rejected", "p", "")
		},
		"unknown": func(id string) (reply, error) {
			return o.run(t.Context(), settleScript, "test", []string{messageKey(id), outboxKey, queuedKey}, id, "me", 1, "unknown", "no_answer", "p", "")
		},
		"accepted, the sending lost": func(id string) (reply, error) {
			return o.run(t.Context(), settleScript, "test", []string{messageKey(id), outboxKey, queuedKey}, id, "me", 2, "accepted", "", "p", "i")
		},
		"retry": func(id string) (reply, error) {
			return o.run(t.Context(), retryScript, "test", []string{messageKey(id), outboxKey, queuedKey}, id, "me", 1, 1000, "unavailable", "")
		},
		"cancel": func(id string) (reply, error) {
			return o.run(t.Context(), cancelScript, "test", []string{messageKey(id), outboxKey, queuedKey}, id, "cancelled", "request")
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
		wants(t, o, id, Sending)
		state, err := o.Cancel(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, Sending, state)
		answer <- result
		assert.Equal(t, want[1:], states(t, pending))
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
	wants(t, o, id, Sending)
	report(id, Delivered)
	close(answer)
	assert.Equal(t, []State{Sending, Delivered}, states(t, pending))
	o.wg.Wait()
	m = wants(t, o, id, Delivered)
	assert.Equal(t, "from the report", m.ProviderID)
	assert.Equal(t, []State{Queued, Sending, Accepted, Delivered}, history(m))

	// A report proves that what looked not processed was taken.
	p.say(fails(SendError{Verdict: NotProcessed, Reason: "unavailable", RetryAfter: time.Hour}))
	pending, err = o.Send(t.Context(), request())
	require.NoError(t, err)
	id = pending.Message().ID
	assert.Equal(t, Sending, <-pending.States())
	assert.Equal(t, Queued, <-pending.States(), "what became of the attempt is written down")
	report(id, Accepted)
	assert.Equal(t, []State{Accepted}, states(t, pending))
	assert.Zero(t, rdb.ZCard(t.Context(), outboxKey).Val(), "it is not tried again")

	// Nothing to report on.
	require.ErrorIs(t, o.Report(t.Context(), Report{Message: "nosuch", State: Delivered}), ErrNotFound)
	require.Error(t, o.Report(t.Context(), Report{Message: id, State: Queued}))
}
