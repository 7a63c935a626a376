package message

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

// secret is the service secret of the tests.
var secret = []byte("a secret of thirty-two bytes ....")

// caller is whom request texts.
const caller = "+14155550132"

// home is a policy that limits nothing at home.
func home() guard.Policy { return guard.Policy{Countries: []string{"US"}} }

// guarded guards an outbox by a policy; one number is our own.
func guarded(t testing.TB, rdb redis.UniversalClient, p guard.Policy) func(*Options) {
	t.Helper()
	known := func() []byte { return secret }
	own := func(e164 string) bool { return e164 == "+18005550100" }
	guards, err := guard.New(guard.Options{Redis: rdb, Policy: p, Secret: known, Own: own, Timeout: patience, StoreTimeout: patience})
	require.NoError(t, err)
	list := optout.New(optout.Options{Redis: rdb, Secret: known, StoreTimeout: patience})
	return func(o *Options) { o.Guards, o.OptOuts, o.Secret = guards, list, known }
}

func optsOut(t testing.TB, o *Outbox, e164 string) {
	t.Helper()
	added, err := o.opts.OptOuts.Add(t.Context(), optout.Entry{Number: e164, Source: optout.Inbound})
	require.NoError(t, err)
	require.True(t, added)
}

func refusal(t testing.TB, err error) guard.Refusal {
	t.Helper()
	var refused *guard.Refused
	require.ErrorAs(t, err, &refused)
	return refused.Refusal
}

func to(e164, region string) phone.Number { return phone.Number{E164: e164, Region: region} }

func TestWhatIsRefusedIsNotMade(t *testing.T) {
	of := func(n int) *int { return &n }
	for name, c := range map[string]struct {
		policy  func(*guard.Policy)
		request func(*Request)
		before  int // texts that go out first
		want    guard.Refusal
	}{
		"own number": {request: func(r *Request) { r.To = to("+18005550100", "US") }, want: guard.Refusal{Reason: guard.ANIOwnNumber}},
		"country":    {request: func(r *Request) { r.To = to("+442079460000", "GB") }, want: guard.Refusal{Reason: guard.CountryNotAllowed}},
		"line": {
			request: func(r *Request) { r.Campaign.LineTypes = []string{campaigns.LineMobile} },
			want:    guard.Refusal{Reason: guard.NotMobile},
		},
		"cooldown": {policy: func(p *guard.Policy) { p.Cooldown = time.Hour }, before: 1, want: guard.Refusal{Reason: guard.Cooldown}},
		"caller": {
			policy: func(p *guard.Policy) { p.PerCallerPerDay = 2 }, before: 2,
			want: guard.Refusal{Reason: guard.Capped, Limit: guard.LimitCaller},
		},
		"prefix": {
			policy: func(p *guard.Policy) { p.PerPrefixPerHour = 1 }, before: 1,
			want: guard.Refusal{Reason: guard.Capped, Limit: guard.LimitPrefix},
		},
		"segments": {
			policy: func(p *guard.Policy) { p.SegmentsPerDay = 3 }, before: 3,
			want: guard.Refusal{Reason: guard.Capped, Limit: guard.LimitSegments},
		},
		"campaign": {
			request: func(r *Request) { r.Campaign.Limits = &campaigns.Limits{PerDay: of(1)} }, before: 1,
			want: guard.Refusal{Reason: guard.Capped, Limit: guard.LimitCampaign},
		},
		"caller of the campaign": {
			request: func(r *Request) { r.Campaign.Limits = &campaigns.Limits{PerCallerPerDay: of(1)} }, before: 1,
			want: guard.Refusal{Reason: guard.Capped, Limit: guard.LimitCampaignCaller},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := connect(t, startRedis(t))
			policy := home()
			if c.policy != nil {
				c.policy(&policy)
			}
			p := &provider{}
			o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
			r := request()
			if c.request != nil {
				c.request(&r)
			}
			for range c.before {
				pending, err := o.Send(t.Context(), r)
				require.NoError(t, err)
				states(t, pending)
			}
			before := keys(t, "*")
			_, err := o.Send(t.Context(), r)
			got := refusal(t, err)
			assert.Equal(t, c.before > 0, got.RetryAfter > 0)
			got.RetryAfter = 0
			assert.Equal(t, c.want, got)
			assert.ElementsMatch(t, before, keys(t, "*"), "nothing is written")
			assert.Len(t, p.texts(), c.before)
		})
	}
}

func TestAnOptOutIsPartOfTheSameStep(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p, guarded(t, rdb, home()))
	optsOut(t, o, caller)
	for _, test := range []bool{false, true} { // a text for a try obeys it as well
		r := request()
		r.Test = test
		_, err := o.Send(t.Context(), r)
		assert.Equal(t, guard.Refusal{Reason: guard.OptedOut}, refusal(t, err))
	}
	assert.Empty(t, p.texts())
}

// However many ask at the same time, a cap is a cap.
func TestNoTwoTextsSlipThroughALimitTogether(t *testing.T) {
	r := startRedis(t)
	p := &provider{}
	policy := home()
	policy.PerCallerPerDay = 3
	var wg sync.WaitGroup
	for range 4 {
		rdb := connect(t, r)
		o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
		for range 10 {
			wg.Go(func() {
				pending, err := o.Send(t.Context(), request())
				if err == nil {
					states(t, pending)
					return
				}
				var refused *guard.Refused
				assert.ErrorAs(t, err, &refused)
			})
		}
	}
	wg.Wait()
	assert.Len(t, p.texts(), 3)
}

// What certainly did not go out does not count; what went out does, or may have
// done so. Also where every script runs twice.
func TestWhatDidNotGoOutCountsAgainstNoLimit(t *testing.T) {
	for _, twice := range []bool{false, true} {
		rdb := connect(t, startRedis(t))
		if twice {
			rdb.AddHook(&meddler{around: func(_ string, run func() error) error {
				if err := run(); err != nil {
					return err
				}
				return run()
			}})
		}
		policy := home()
		policy.PerCallerPerDay, policy.SegmentsPerDay, policy.PerPrefixPerHour, policy.Cooldown = 1, 1, 1, time.Hour
		p := &provider{}
		o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
		running(t, o)
		later := SendError{Verdict: NotProcessed, Reason: "unavailable", RetryAfter: time.Hour}
		for name, c := range map[string]struct {
			says  func(context.Context, Text) (string, error)
			then  func(id string)
			state State
		}{
			"refused":   {says: fails(SendError{Verdict: Refused, Reason: "rejected"}), state: Failed},
			"expired":   {says: fails(later), state: Expired, then: func(id string) { timeIsOver(t, rdb, id) }},
			"cancelled": {says: fails(later), state: Cancelled, then: func(id string) { _, _ = o.Cancel(t.Context(), id) }},
		} {
			p.say(c.says)
			pending, err := o.Send(t.Context(), request())
			require.NoError(t, err, name)
			if c.then != nil {
				sees(t, pending, Sending, Queued)
				c.then(pending.Message().ID)
			}
			wants(t, o, pending.Message().ID, c.state)
		}
		for _, says := range []func(context.Context, Text) (string, error){fails(SendError{Verdict: Ambiguous, Reason: "no_answer"}), nil} {
			p.say(says)
			pending, err := o.Send(t.Context(), request())
			require.NoError(t, err)
			states(t, pending)
			_, err = o.Send(t.Context(), request())
			assert.Equal(t, guard.Cooldown, refusal(t, err).Reason)
			require.NoError(t, server.Flush(t.Context()))
		}
	}
}

func TestATestCountsNowhere(t *testing.T) {
	rdb := connect(t, startRedis(t))
	policy := home()
	policy.PerCallerPerDay, policy.Cooldown, policy.SegmentsPerDay = 1, time.Hour, 1
	p := &provider{}
	o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
	send := func(test bool) error {
		r := request()
		r.Test = test
		pending, err := o.Send(t.Context(), r)
		if err == nil {
			states(t, pending)
		}
		return err
	}
	for _, test := range []bool{true, true, false, true} {
		require.NoError(t, send(test))
	}
	// What did not count is not taken back either.
	p.say(fails(*errRefused))
	require.NoError(t, send(true))
	require.NoError(t, o.opts.Guards.Forget(t.Context(), caller))
	assert.Equal(t, guard.LimitSegments, refusal(t, send(false)).Limit)
}

// A request that is repeated is answered as it was the first time, whatever has
// happened since.
func TestARepeatedRequestIsAnsweredBeforeAnyGuard(t *testing.T) {
	rdb := connect(t, startRedis(t))
	policy := home()
	policy.PerCallerPerDay = 1
	p := &provider{}
	o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
	r := request()
	r.Key = "key"
	first, err := o.Send(t.Context(), r)
	require.NoError(t, err)
	states(t, first)
	optsOut(t, o, caller)

	abroad := newOutbox(t, rdb, p, guarded(t, rdb, guard.Policy{Countries: []string{"DE"}}))
	without := newOutbox(t, rdb, p, guarded(t, rdb, policy), func(o *Options) { o.Originator = "" })
	for name, o := range map[string]*Outbox{"opted out and capped": o, "country": abroad, "no sender": without} {
		again, err := o.Send(t.Context(), r)
		require.NoError(t, err, name)
		assert.Equal(t, first.Message().ID, again.Message().ID)
		assert.Equal(t, Accepted, again.Message().State)
		other := r
		other.Call = "another"
		_, err = o.Send(t.Context(), other)
		require.ErrorIs(t, err, ErrConflict, name)
	}
	r.Key = "another"
	_, err = abroad.Send(t.Context(), r)
	assert.Equal(t, guard.CountryNotAllowed, refusal(t, err).Reason)
	_, err = without.Send(t.Context(), r)
	require.ErrorIs(t, err, ErrNoSender)
	assert.Len(t, p.texts(), 1)
}

// A digest of a request is kept with its key; nobody can guess the number from
// it who lacks the secret.
func TestWithoutTheSecretNothingIsMade(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{}, func(o *Options) { o.Secret = func() []byte { return nil } })
	r := request()
	r.Key = "key"
	_, err := o.Send(t.Context(), r)
	require.ErrorIs(t, err, ErrStore)
	require.ErrorIs(t, o.Reply(t.Context(), Reply{To: r.To, Originator: "Acme", Text: "hello", Key: "key"}), ErrStore)
	assert.Empty(t, keys(t, "*"))
}
