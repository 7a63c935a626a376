package message

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/link"
	"deflectd/campaigns/optout"
)

// everything is all that Redis holds: each key with what is in it.
func everything(t *testing.T, rdb redis.UniversalClient) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range keys(t, "*") {
		dump, err := rdb.Eval(t.Context(), `
			local kind = redis.call('TYPE', KEYS[1])['ok']
			if kind == 'string' then return redis.call('GET', KEYS[1]) end
			local parts = kind == 'hash' and redis.call('HGETALL', KEYS[1]) or redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
			return table.concat(parts, '\n')`, []string{key}).Text()
		require.NoError(t, err)
		all[key] = dump
	}
	return all
}

// Of a person who is forgotten nothing is left: no number, no text, no link that
// leads anywhere, and nothing that could be traced back without the secret.
func TestForget(t *testing.T) {
	rdb := connect(t, startRedis(t))
	later := *errLater
	later.RetryAfter = time.Hour
	release := make(chan error)
	p := &provider{answer: inOrder(nil, errDoubt, &later)}
	o := newOutbox(t, rdb, p, guarded(t, rdb, home()))
	running(t, o)
	send := func(want State) Message {
		t.Helper()
		r := resendable()
		r.Key = string(want)
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		if want == Queued {
			sees(t, pending, Sending, Queued)
		}
		wants(t, o, pending.Message().ID, want)
		return pending.Message()
	}
	made := map[State]Message{}
	for _, s := range []State{Accepted, Unknown, Queued} {
		made[s] = send(s)
	}
	p.say(func(context.Context, Text) (string, error) { return "late", <-release })
	made[Sending] = send(Sending)
	require.NoError(t, o.Reply(t.Context(), answer()))
	other := request()
	other.To.E164 = "+14155550177"
	p2, err := o.Send(t.Context(), other)
	require.NoError(t, err)

	require.Eventually(t, func() bool { return len(p.texts()) == 6 }, time.Minute, time.Millisecond, "three are with the provider")

	for i := range 3 {
		n, err := o.Forget(t.Context(), caller)
		require.NoError(t, err)
		if i == 0 {
			assert.Equal(t, 5, n)
		} else {
			assert.Zero(t, n)
		}
	}
	for range 3 { // the one that was sending, the reply, and the other
		hand(t, release, &later)
	}
	for s, want := range map[State]State{Accepted: Accepted, Unknown: Unknown, Queued: Cancelled, Sending: Cancelled} {
		m := wants(t, o, made[s].ID, want)
		assert.Empty(t, m.To+m.Text+m.URL+m.Originator)
		assert.Equal(t, "billing", m.Campaign)
		assert.Equal(t, made[s].Link, m.Link)
		assert.True(t, rdb.Exists(t.Context(), link.Key(m.Link)).Val() == 1, "the link is known")
		assert.Zero(t, rdb.Exists(t.Context(), link.URLKey(m.Link)).Val(), "and leads nowhere")
	}
	wants(t, o, p2.Message().ID, Queued)
	require.Eventually(t, func() bool { // the reply has ended as well
		return rdb.ZCard(t.Context(), outboxKey).Val() == 1
	}, time.Minute, time.Millisecond)
	// The provider may yet say something of these two; who was opted out by it is
	// known by pseudonym until then.
	reported := []Message{made[Accepted], made[Unknown]}
	for _, m := range reported {
		assert.Equal(t, campaigns.Pseudonym(secret, caller), rdb.HGet(t.Context(), messageKey(m.ID), "person").Val())
	}
	require.NoError(t, o.Report(t.Context(), Report{Message: made[Unknown].ID, State: Failed, Reason: ReasonOptedOut, Permanent: true}))
	entry, err := o.opts.OptOuts.Get(t.Context(), caller)
	require.NoError(t, err)
	assert.Equal(t, optout.Provider, entry.Source)
	assert.Empty(t, entry.Number)
	require.NoError(t, o.Report(t.Context(), Report{Message: made[Accepted].ID, State: Delivered}))
	n := 0
	for key, value := range everything(t, rdb) {
		for _, trace := range []string{caller[1:], campaigns.Pseudonym(secret, caller), "You will not be texted"} {
			if strings.Contains(key, ":guard:") || strings.Contains(key, ":optout") {
				continue // that is guard.Guards.Forget; and the opt-out has the pseudonym alone
			}
			assert.NotContains(t, key, trace)
			assert.NotContains(t, value, trace, key)
		}
		if strings.Contains(value, other.To.E164) {
			n++
		}
	}
	assert.Positive(t, n, "others are not forgotten")
	assert.Empty(t, keys(t, campaigns.Key("guard", "suppressed", "*")))
	_, err = o.opts.OptOuts.Remove(t.Context(), caller)
	require.NoError(t, err)
	for _, m := range made {
		require.NoError(t, o.Report(t.Context(), Report{Message: m.ID, State: Failed, Reason: ReasonOptedOut}))
	}
	assert.Empty(t, keys(t, campaigns.Key("optout", "*")), "nobody knows who that was")
	assert.Zero(t, rdb.ZCard(t.Context(), doubtedKey).Val())
}

// The opt-out comes with the refusal of an attempt that was under way when the
// person was forgotten.
func TestAnOptOutIsLearntFromARefusalAfterForgetting(t *testing.T) {
	rdb := connect(t, startRedis(t))
	release := make(chan error)
	p := &provider{}
	p.say(func(context.Context, Text) (string, error) { return "", <-release })
	o := newOutbox(t, rdb, p, guarded(t, rdb, home()))
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	sees(t, pending, Sending)
	_, err = o.Forget(t.Context(), caller)
	require.NoError(t, err)
	hand(t, release, &SendError{Verdict: Refused, Reason: ReasonOptedOut, Healthy: true})
	assert.Equal(t, []State{Failed}, states(t, pending))
	entry, err := o.opts.OptOuts.Get(t.Context(), caller)
	require.NoError(t, err)
	assert.Empty(t, entry.Number)
	assert.False(t, rdb.HExists(t.Context(), messageKey(pending.Message().ID), "person").Val())
}

// A text of a short validity does not take those of a long one out of the index
// of their number: what is kept must be found, to be forgotten.
func TestEachTextIsInTheIndexForAsLongAsItIsKept(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{}, guarded(t, rdb, home()), func(o *Options) { o.Retention = time.Hour })
	send := func(validity time.Duration) string {
		r := request()
		r.Campaign.Validity = campaigns.Duration(validity)
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		states(t, pending)
		return pending.Message().ID
	}
	long, key := send(72*time.Hour), numberKey(caller)
	at := time.Now().Add(-70 * time.Hour) // that is, as if that one had been sent so long ago
	for _, index := range []string{key, indexKey} {
		require.NoError(t, rdb.ZAdd(t.Context(), index, redis.Z{Score: float64(at.UnixMilli()), Member: long}).Err())
	}
	send(15 * time.Minute)
	assert.InDelta(t, (73 * time.Hour).Seconds(), rdb.PTTL(t.Context(), key).Val().Seconds(), 600)
	l := looper{Outbox: o}
	require.NoError(t, l.trim(t.Context(), time.Now(), time.Now()))
	for _, q := range []Query{{To: caller}, {}} {
		found, _, err := o.Search(t.Context(), q)
		require.NoError(t, err)
		require.Len(t, found, 2)
		assert.Equal(t, long, found[1].ID)
	}
	// What is older than any that is kept goes.
	at = at.Add(-4 * time.Hour)
	for _, index := range []string{key, indexKey} {
		require.NoError(t, rdb.ZAdd(t.Context(), index, redis.Z{Score: float64(at.UnixMilli()), Member: long}).Err())
	}
	send(15 * time.Minute)
	l.trimmed = time.Time{}
	require.NoError(t, l.trim(t.Context(), time.Now(), time.Now()))
	for _, index := range []string{key, indexKey} {
		assert.EqualValues(t, 2, rdb.ZCard(t.Context(), index).Val())
	}
}

// A text that was being sent when its person was forgotten, and did not go out,
// counts against no limit any more; nothing of it tells of the person.
func TestWhatDidNotGoOutAfterForgettingCountsNoMore(t *testing.T) {
	rdb := connect(t, startRedis(t))
	policy := home()
	policy.SegmentsPerDay, policy.PerPrefixPerHour = 1, 1
	release := make(chan error)
	p := &provider{}
	p.say(func(context.Context, Text) (string, error) { return "id", <-release })
	o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
	limit := 1
	send := func() *Pending {
		t.Helper()
		r := request()
		r.Campaign.Limits = &campaigns.Limits{PerDay: &limit}
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		sees(t, pending, Sending)
		return pending
	}
	for _, opted := range []bool{false, true} { // the latter leaves no pseudonym
		pending := send()
		if opted {
			optsOut(t, o, caller)
		}
		_, err := o.Forget(t.Context(), caller)
		require.NoError(t, err)
		hand(t, release, errLater)
		assert.Equal(t, []State{Queued, Cancelled}, states(t, pending))
		for _, field := range []string{"person", "prefix", "counted"} {
			assert.False(t, rdb.HExists(t.Context(), messageKey(pending.Message().ID), field).Val(), field)
		}
	}
	_, err := o.opts.OptOuts.Remove(t.Context(), caller)
	require.NoError(t, err)
	pending := send()
	hand(t, release, nil)
	states(t, pending)
}
