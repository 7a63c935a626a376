package guard

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

func ptr[T any](v T) *T { return &v }

// Each guard refuses a call before it is answered, and a text, for its reason;
// and Look says the same.
func TestEachGuardHasItsReason(t *testing.T) {
	own := campaign("billing", &campaigns.Limits{PerCallerPerDay: ptr(2), PerDay: ptr(2)})
	for name, test := range map[string]struct {
		policy   Policy
		campaign *campaigns.Campaign
		before   func(t *testing.T, g *Guards, c *campaigns.Campaign)
		want     Refusal // RetryAfter: at most
	}{
		"opted out": {
			Policy{}, campaign("a", nil), func(t *testing.T, g *Guards, _ *campaigns.Campaign) {
				l := optout.New(optout.Options{Redis: g.o.Redis, Secret: g.o.Secret, StoreTimeout: patience})
				_, err := l.Add(t.Context(), optout.Entry{Number: us(1).E164, Source: optout.API})
				require.NoError(t, err)
			}, Refusal{Reason: OptedOut},
		},
		"suppressed": {
			Policy{}, campaign("a", nil), func(t *testing.T, g *Guards, _ *campaigns.Campaign) {
				suppress(t, g, us(1), time.Hour)
			}, Refusal{Reason: Suppressed, RetryAfter: time.Hour},
		},
		"surge": {
			Policy{SurgeCalls: 5}, campaign("a", nil), func(t *testing.T, g *Guards, c *campaigns.Campaign) {
				for range 5 {
					_, err := g.Check(t.Context(), c, us(1), 1)
					require.NoError(t, err)
				}
			}, Refusal{Reason: ANIUntrusted, Limit: LimitSurge, RetryAfter: 10 * time.Minute},
		},
		"cooldown": {
			Policy{Cooldown: time.Hour}, campaign("a", nil), func(t *testing.T, g *Guards, c *campaigns.Campaign) {
				assert.True(t, send(t, g, time.Time{}, c, us(1), "m1", 1, NotExempt).None())
			}, Refusal{Reason: Cooldown, RetryAfter: time.Hour},
		},
		"per caller and day": {
			Policy{PerCallerPerDay: 2}, campaign("a", nil), func(t *testing.T, g *Guards, c *campaigns.Campaign) {
				assert.True(t, send(t, g, time.Time{}, c, us(1), "m1", 1, NotExempt).None())
				assert.True(t, send(t, g, time.Time{}, campaign("b", nil), us(1), "m2", 1, NotExempt).None())
			}, Refusal{Reason: Capped, Limit: LimitCaller, RetryAfter: 24 * time.Hour},
		},
		"per caller and day of a campaign": {
			Policy{PerCallerPerDay: 3}, own, func(t *testing.T, g *Guards, c *campaigns.Campaign) {
				assert.True(t, send(t, g, time.Time{}, c, us(1), "m1", 1, NotExempt).None())
				assert.True(t, send(t, g, time.Time{}, c, us(1), "m2", 1, NotExempt).None())
			}, Refusal{Reason: Capped, Limit: LimitCampaignCaller, RetryAfter: 24 * time.Hour},
		},
		"per prefix and hour": {
			Policy{PerPrefixPerHour: 2}, campaign("a", nil), func(t *testing.T, g *Guards, c *campaigns.Campaign) {
				assert.True(t, send(t, g, time.Time{}, c, us(8), "m1", 1, NotExempt).None())
				assert.True(t, send(t, g, time.Time{}, campaign("b", nil), us(9), "m2", 1, NotExempt).None())
			}, Refusal{Reason: Capped, Limit: LimitPrefix, RetryAfter: time.Hour},
		},
		"per campaign and day": {
			Policy{}, own, func(t *testing.T, g *Guards, c *campaigns.Campaign) {
				assert.True(t, send(t, g, time.Time{}, c, us(8), "m1", 1, NotExempt).None())
				assert.True(t, send(t, g, time.Time{}, c, us(9), "m2", 3, NotExempt).None())
			}, Refusal{Reason: Capped, Limit: LimitCampaign, RetryAfter: 24 * time.Hour},
		},
		"segments of the day": {
			Policy{SegmentsPerDay: 4}, campaign("a", nil), func(t *testing.T, g *Guards, c *campaigns.Campaign) {
				assert.True(t, send(t, g, time.Time{}, c, us(8), "m1", 3, NotExempt).None())
				assert.Equal(t, LimitSegments, send(t, g, time.Time{}, c, us(8), "m2", 2, NotExempt).Limit)
				assert.True(t, send(t, g, time.Time{}, campaign("b", nil), us(9), "m2", 1, NotExempt).None())
			}, Refusal{Reason: Capped, Limit: LimitSegments, RetryAfter: 24 * time.Hour},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuards(t, connect(t), test.policy)
			c := test.campaign
			for _, ask := range []func(context.Context, *campaigns.Campaign, phone.Number, int) (Refusal, error){first(g), g.Check} {
				r, err := ask(t.Context(), c, us(1), 1)
				require.NoError(t, err)
				require.True(t, r.None(), "%v", r)
			}
			test.before(t, g, c)
			isRefused := func(r Refusal) {
				t.Helper()
				assert.Equal(t, test.want.Reason, r.Reason)
				assert.Equal(t, test.want.Limit, r.Limit)
				assert.LessOrEqual(t, r.RetryAfter, test.want.RetryAfter)
				assert.Equal(t, test.want.RetryAfter > 0, r.RetryAfter > 0)
			}
			r, err := first(g)(t.Context(), c, us(1), 1)
			require.NoError(t, err)
			isRefused(r)
			r, err = g.Check(t.Context(), c, us(1), 1)
			require.NoError(t, err)
			isRefused(r)
			isRefused(send(t, g, time.Time{}, c, us(1), "m9", 1, NotExempt))

			// Another person, of another campaign and range, may be texted, but
			// where it is the service's limit.
			r, err = first(g)(t.Context(), campaign("other", nil), phone.Number{E164: "+12125550132", Region: "US"}, 1)
			require.NoError(t, err)
			assert.Equal(t, test.want.Limit != LimitSegments, r.None(), "%v", r)
		})
	}
}

func suppress(t testing.TB, g *Guards, n phone.Number, d time.Duration) {
	t.Helper()
	err := suppressScript.Run(t.Context(), g.o.Redis, anyKey, person(n), d.Milliseconds()).Err()
	if err != nil {
		require.ErrorIs(t, err, redis.Nil)
	}
}

// A test text obeys opt-outs alone and counts nowhere.
func TestExemptTexts(t *testing.T) {
	policy := Policy{Cooldown: time.Hour, PerCallerPerDay: 1, PerPrefixPerHour: 1, SegmentsPerDay: 1, SurgeCalls: 1}
	g := newGuards(t, connect(t), policy)
	c := campaign("a", &campaigns.Limits{PerCallerPerDay: ptr(1), PerDay: ptr(1)})
	for range 3 {
		assert.True(t, send(t, g, time.Time{}, c, us(1), "m", 1, Test).None())
	}
	assert.Empty(t, keys(t))

	suppress(t, g, us(1), time.Hour)
	assert.True(t, send(t, g, time.Time{}, c, us(1), "m", 1, Test).None())
	l := optout.New(optout.Options{Redis: g.o.Redis, Secret: g.o.Secret, StoreTimeout: patience})
	_, err := l.Add(t.Context(), optout.Entry{Number: us(1).E164, Source: optout.Inbound})
	require.NoError(t, err)
	assert.Equal(t, Refusal{Reason: OptedOut}, send(t, g, time.Time{}, c, us(1), "m", 1, Test))
	assert.True(t, send(t, g, time.Time{}, nil, us(1), "r", 1, Reply).None(), "the confirmation of an opt-out")
}

// A reply obeys, and counts for, the limits of prefixes and of segments alone.
func TestRepliesCostMoneyLikeAnyText(t *testing.T) {
	at := time.Now()
	for limit, policy := range map[string]Policy{
		LimitPrefix:   {PerPrefixPerHour: 2, SegmentsPerDay: 99},
		LimitSegments: {SegmentsPerDay: 4},
	} {
		policy.Cooldown, policy.PerCallerPerDay = time.Hour, 1
		g := newGuards(t, connect(t), policy)
		for _, id := range []string{"r1", "r2"} {
			assert.True(t, send(t, g, at, nil, us(1), id, 2, Reply).None())
		}
		assert.Equal(t, limit, send(t, g, at, nil, us(2), "r3", 1, Reply).Limit)
		assert.Equal(t, limit, send(t, g, at, campaign("a", nil), us(3), "m1", 1, NotExempt).Limit)
		uncount(t, g, at, "", us(1), "r1", 2)
		assert.True(t, send(t, g, at, campaign("a", nil), us(1), "m1", 1, NotExempt).None(), "of other limits it is free")
		assert.Equal(t, limit, send(t, g, at, nil, us(1), "r4", 2, Reply).Limit)
	}
}

func TestNothingIsWrittenForALimitThatDoesNotExist(t *testing.T) {
	g := newGuards(t, connect(t), Policy{})
	for i := range 20 {
		r, err := g.Check(t.Context(), campaign("a", nil), us(1), 1)
		require.NoError(t, err)
		require.True(t, r.None())
		require.True(t, send(t, g, time.Time{}, campaign("a", nil), us(1), strconv.Itoa(i), 5, NotExempt).None())
	}
	suppress(t, g, us(1), 0)
	uncount(t, g, time.Now(), "a", us(1), "1", 5)
	assert.Empty(t, keys(t))
}

func uncount(t testing.TB, g *Guards, at time.Time, campaign string, n phone.Number, id string, segments int) {
	t.Helper()
	err := uncountScript.Run(t.Context(), g.o.Redis, anyKey,
		person(n), campaigns.Pseudonym(secret, prefix(n.E164)), campaign, at.UnixMilli(), id, segments).Err()
	require.ErrorIs(t, err, redis.Nil)
}

func TestNoKeyHoldsANumberAndNothingIsLeftOfAForgottenPerson(t *testing.T) {
	policy := Policy{Cooldown: time.Hour, PerCallerPerDay: 9, PerPrefixPerHour: 9, SegmentsPerDay: 9, SurgeCalls: 9}
	g := newGuards(t, connect(t), policy)
	c := campaign("a", &campaigns.Limits{PerCallerPerDay: ptr(9), PerDay: ptr(9)})
	for _, n := range []phone.Number{us(1), us(2)} {
		_, err := g.Check(t.Context(), c, n, 1)
		require.NoError(t, err)
		require.True(t, send(t, g, time.Time{}, c, n, "m"+n.E164[8:], 1, NotExempt).None())
		suppress(t, g, n, time.Hour)
	}
	mine := func() (n int) {
		for _, key := range keys(t) {
			assert.NotContains(t, key, "415555")
			if len(key) > 22 && key[len(key)-22:] == person(us(1)) {
				n++
			}
		}
		return n
	}
	assert.Equal(t, 4, mine())
	before := len(keys(t))
	require.NoError(t, g.Forget(t.Context(), us(1).E164))
	assert.Zero(t, mine())
	assert.Len(t, keys(t), before-4, "others are not forgotten")
	require.NoError(t, g.Forget(t.Context(), us(1).E164))
	r, err := first(g)(t.Context(), c, us(1), 1)
	require.NoError(t, err)
	assert.True(t, r.None())
}

func TestASuppressionEndsByItselfOrByHand(t *testing.T) {
	g := newGuards(t, connect(t), Policy{})
	refused := func() bool {
		r, err := first(g)(t.Context(), campaign("a", nil), us(1), 1)
		require.NoError(t, err)
		return r.Reason == Suppressed
	}
	suppress(t, g, us(1), time.Hour)
	assert.True(t, refused())
	was, err := g.Unsuppress(t.Context(), us(1).E164)
	require.NoError(t, err)
	assert.True(t, was)
	assert.False(t, refused())
	was, err = g.Unsuppress(t.Context(), us(1).E164)
	require.NoError(t, err)
	assert.False(t, was)

	suppress(t, g, us(1), 20*time.Millisecond)
	require.Eventually(t, func() bool { return !refused() }, time.Minute, 5*time.Millisecond)
}

// counter counts the round trips.
type counter struct{ n atomic.Int64 }

func (*counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}

func TestACheckIsOneRoundTrip(t *testing.T) {
	rdb := connect(t)
	hook := &counter{}
	rdb.AddHook(hook)
	g := newGuards(t, rdb, Policy{Cooldown: time.Hour, PerCallerPerDay: 3, PerPrefixPerHour: 20, SegmentsPerDay: 99, SurgeCalls: 10})
	c := campaign("a", &campaigns.Limits{PerCallerPerDay: ptr(2), PerDay: ptr(9)})
	_, err := g.Check(t.Context(), c, us(1), 1) // Redis may not know the script yet
	require.NoError(t, err)
	before := hook.n.Load()
	for range 5 {
		_, err := g.Check(t.Context(), c, us(1), 1)
		require.NoError(t, err)
	}
	assert.Equal(t, before+5, hook.n.Load())
}

// A Redis that hangs keeps nobody waiting: whatever the client would put up
// with, Timeout is all it gets.
func TestACheckEndsWithItsTimeWhenRedisHangs(t *testing.T) {
	r, err := lab.StartRedis(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Stop() })
	g := newGuards(t, labtest.Dial(t, r, patience), Policy{SurgeCalls: 10}, func(o *Options) { o.Timeout = 0 })
	assert.Equal(t, 200*time.Millisecond, g.Timeout())
	answers := func() bool { // a busy machine may take longer than that
		_, err := first(g)(t.Context(), campaign("a", nil), us(1), 1)
		return err == nil
	}
	require.Eventually(t, answers, time.Minute, 10*time.Millisecond)

	require.NoError(t, r.Freeze())
	var wg sync.WaitGroup
	for range 50 { // more than the client has connections to it
		wg.Go(func() {
			_, err := g.Check(t.Context(), campaign("a", nil), us(1), 1)
			assert.ErrorIs(t, err, ErrStore)
			// The deadline is the connection's too, and whichever is noticed first
			// says so.
			assert.True(t, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
			assert.NotContains(t, err.Error(), "415555")
		})
	}
	wg.Wait()
	require.NoError(t, r.Thaw())
	require.Eventually(t, answers, time.Minute, 10*time.Millisecond)

	require.NoError(t, r.Kill())
	_, err = g.Check(t.Context(), campaign("a", nil), us(1), 1)
	require.ErrorIs(t, err, ErrStore)
	_, err = g.Unsuppress(t.Context(), us(1).E164)
	require.ErrorIs(t, err, ErrStore)
	require.ErrorIs(t, g.Forget(t.Context(), us(1).E164), ErrStore)
}

func TestNothingIsAllowedWhileTheSecretIsNotKnown(t *testing.T) {
	g := newGuards(t, connect(t), Policy{}, func(o *Options) { o.Secret = func() []byte { return nil } })
	_, err := g.Check(t.Context(), campaign("a", nil), us(1), 1)
	require.ErrorIs(t, err, ErrStore)
	_, err = g.Args(campaign("a", nil), us(1), NotExempt)
	require.ErrorIs(t, err, ErrStore)
	require.ErrorIs(t, g.Forget(t.Context(), us(1).E164), ErrStore)
}

// What comes at once is not more than what comes one after the other.
func TestNoTwoTextsSlipThroughALimitTogether(t *testing.T) {
	g := newGuards(t, connect(t), Policy{PerCallerPerDay: 3})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if send(t, g, time.Time{}, campaign("a", nil), us(1), strconv.Itoa(i), 1, NotExempt).None() {
				allowed.Add(1)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 3, allowed.Load())
}

// A call is counted once though the client repeats the request, because the
// connection broke before the answer.
func TestARepeatedCheckCountsOneCall(t *testing.T) {
	rdb := connect(t)
	g := newGuards(t, rdb, Policy{SurgeCalls: 2})
	rdb.AddHook(labtest.Twice{})
	r, err := g.Check(t.Context(), campaign("a", nil), us(1), 1)
	require.NoError(t, err)
	assert.True(t, r.None())
	r, err = g.Check(t.Context(), campaign("a", nil), us(1), 1)
	require.NoError(t, err)
	assert.Equal(t, ANIUntrusted, r.Reason)
}
