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
			require.Equal(t, Sending, <-pending.States())
			require.Equal(t, Queued, <-pending.States())
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

	require.Eventually(t, func() bool { return len(p.texts()) == 6 }, patience, time.Millisecond, "three are with the provider")

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
	n := 0
	for key, value := range everything(t, rdb) {
		for _, trace := range []string{caller[1:], campaigns.Pseudonym(secret, caller), "You will not be texted"} {
			if strings.Contains(key, ":guard:") {
				continue // that is guard.Guards.Forget
			}
			assert.NotContains(t, key, trace)
			assert.NotContains(t, value, trace, key)
		}
		if strings.Contains(value, other.To.E164) {
			n++
		}
	}
	assert.Positive(t, n, "others are not forgotten")
	require.NoError(t, o.Report(t.Context(), Report{Message: made[Unknown].ID, State: Failed, Reason: ReasonOptedOut, Permanent: true}))
	assert.Empty(t, keys(t, campaigns.Key("optout", "*")), "nobody knows who that was")
	assert.Zero(t, rdb.ZCard(t.Context(), doubtedKey).Val())
}
