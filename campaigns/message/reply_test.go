package message

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
)

func answer() Reply {
	return Reply{To: request().To, Originator: "+14155550199", Text: "You will not be texted again.", Key: "inbound-1"}
}

// The confirmation of an opt-out goes to a number that has opted out: once,
// however often it is asked for.
func TestAReplyGoesOutOnceAlsoToWhoHasOptedOut(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	policy := home()
	policy.PerCallerPerDay = 1
	o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
	running(t, o)
	pending, err := o.Send(t.Context(), request())
	require.NoError(t, err)
	states(t, pending)
	optsOut(t, o, caller)
	for range 3 {
		require.NoError(t, o.Reply(t.Context(), answer()))
	}
	found, _, err := o.Search(t.Context(), Query{To: caller})
	require.NoError(t, err)
	require.Len(t, found, 2)
	reply := found[0].ID
	if reply == pending.Message().ID { // they were made in one millisecond
		reply = found[1].ID
	}
	m := wants(t, o, reply, Accepted)
	assert.Equal(t, "You will not be texted again.", m.Text)
	assert.Equal(t, "+14155550199", m.Originator)
	assert.Empty(t, m.Campaign+m.Link+m.URL)
	assert.Equal(t, 1, m.Segments)
	assert.Equal(t, replyValidity, m.Expires.Sub(m.Created))
	assert.Len(t, p.texts(), 2)
	for _, key := range keys(t, campaigns.Key("link", "*")) {
		assert.Contains(t, key, pending.Message().Link)
	}
	assert.EqualValues(t, 1, rdb.ZCard(t.Context(), campaigns.Key("guard", "caller", campaigns.Pseudonym(secret, caller))).Val())

	other := answer()
	other.Text = "Something else"
	require.ErrorIs(t, o.Reply(t.Context(), other), ErrConflict)

	// The key of a request to the API is none of a reply.
	q := request()
	q.Key, q.Test = answer().Key, true
	_, err = o.Send(t.Context(), q)
	refusal(t, err)
}

func TestAReplyThatIsRefused(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p, guarded(t, rdb, home()))
	for name, c := range map[string]struct {
		change  func(*Reply)
		pointer string
		reason  guard.Reason
	}{
		"country":    {change: func(r *Reply) { r.To = to("+442079460000", "GB") }, reason: guard.CountryNotAllowed},
		"own":        {change: func(r *Reply) { r.To = to("+18005550100", "US") }, reason: guard.ANIOwnNumber},
		"to":         {change: func(r *Reply) { r.To.E164 = "911" }, pointer: "/to"},
		"originator": {change: func(r *Reply) { r.Originator = "" }, pointer: "/originator"},
		"empty":      {change: func(r *Reply) { r.Text = " " }, pointer: "/text"},
		"long":       {change: func(r *Reply) { r.Text = strings.Repeat("x", 2000) }, pointer: "/text"},
	} {
		t.Run(name, func(t *testing.T) {
			r := answer()
			c.change(&r)
			err := o.Reply(t.Context(), r)
			if c.reason != "" {
				assert.Equal(t, c.reason, refusal(t, err).Reason)
				return
			}
			var invalid campaigns.Invalid
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, c.pointer, invalid[0].Pointer)
		})
	}
	r := answer()
	r.Key = ""
	require.Error(t, o.Reply(t.Context(), r))
	require.NoError(t, campaigns.NewStore(rdb).SetService(t.Context(), false))
	require.ErrorIs(t, o.Reply(t.Context(), answer()), ErrServiceOff)
	assert.Empty(t, p.texts())
	assert.Equal(t, []string{campaigns.ServiceKey}, keys(t, "*"))
}

// Replies cost money like any text: they count for the prefix and in the
// segments of the day, and but for those that must go out these limits hold for
// them. One that did not go out does not count.
func TestRepliesCount(t *testing.T) {
	for limit, set := range map[string]func(*guard.Policy){
		guard.LimitPrefix:   func(p *guard.Policy) { p.PerPrefixPerHour = 2 },
		guard.LimitSegments: func(p *guard.Policy) { p.SegmentsPerDay = 2 },
	} {
		t.Run(limit, func(t *testing.T) {
			rdb := connect(t, startRedis(t))
			p := &provider{}
			policy := home()
			policy.PerCallerPerDay, policy.Cooldown = 1, time.Hour // of these a reply is free
			set(&policy)
			o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
			running(t, o)
			texts := 0
			reply := func(limited bool) error {
				texts++
				r := answer()
				r.Key, r.Limited = strconv.Itoa(texts), limited
				return o.Reply(t.Context(), r)
			}
			p.say(fails(*errRefused))
			require.NoError(t, reply(true))
			require.Eventually(t, func() bool {
				found, _, err := o.Search(t.Context(), Query{To: caller, State: Failed})
				return err == nil && len(found) == 1
			}, time.Minute, time.Millisecond)
			p.say(nil)
			require.NoError(t, reply(true))
			require.NoError(t, reply(false))
			got := refusal(t, reply(true))
			assert.Equal(t, guard.Capped, got.Reason)
			assert.Equal(t, limit, got.Limit)
			require.NoError(t, reply(false), "it must go out")
			pending, err := o.Send(t.Context(), request())
			assert.Nil(t, pending)
			assert.Equal(t, limit, refusal(t, err).Limit)
			require.Eventually(t, func() bool { return len(p.texts()) == 4 }, time.Minute, time.Millisecond)
		})
	}
}
