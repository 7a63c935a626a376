package guard

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

// Near the end of the day's segments a caller is offered only a text that still
// goes out then.
func TestTheSegmentsOfTheTextAreLookedAt(t *testing.T) {
	g := newGuards(t, connect(t), Policy{SegmentsPerDay: 10})
	c := campaign("a", nil)
	require.True(t, send(t, g, time.Time{}, c, us(8), "m1", 9, NotExempt).None())
	for segments, want := range map[int]string{1: "", 2: LimitSegments, 3: LimitSegments} {
		for _, ask := range []func(context.Context, *campaigns.Campaign, phone.Number, int) (Refusal, error){first(g), g.Check} {
			r, err := ask(t.Context(), c, us(1), segments)
			require.NoError(t, err)
			assert.Equal(t, want, r.Limit, "%d segments", segments)
		}
	}
	assert.Equal(t, LimitSegments, send(t, g, time.Time{}, c, us(1), "m2", 3, NotExempt).Limit)
	assert.True(t, send(t, g, time.Time{}, c, us(1), "m3", 1, NotExempt).None())
}

// unwritten are numbers whose opt-outs wait to be written.
type unwritten map[string]bool

func (u unwritten) Waiting(e164 string) bool { return u[e164] }

// An opt-out that could not be written yet counts as if it were.
func TestAnOptOutThatWaitsCounts(t *testing.T) {
	wait := unwritten{us(1).E164: true}
	g := newGuards(t, connect(t), Policy{Cooldown: time.Hour}, func(o *Options) { o.OptOuts = wait })
	c := campaign("a", nil)
	for _, ask := range []func(context.Context, *campaigns.Campaign, phone.Number, int) (Refusal, error){first(g), g.Check} {
		r, err := ask(t.Context(), c, us(1), 1)
		require.NoError(t, err)
		assert.Equal(t, Refusal{Reason: OptedOut}, r)
		r, err = ask(t.Context(), c, us(2), 1)
		require.NoError(t, err)
		assert.True(t, r.None(), "another person")
	}
	delete(wait, us(1).E164)
	r, err := g.Check(t.Context(), c, us(1), 1)
	require.NoError(t, err)
	assert.True(t, r.None(), "it is written, or taken back: the list has the say")

	away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = away.Close() }()
	wait[us(1).E164] = true
	g = newGuards(t, away, Policy{}, func(o *Options) { o.OptOuts = wait })
	r, err = g.Check(t.Context(), c, us(1), 1)
	require.NoError(t, err, "it waits because Redis is away")
	assert.Equal(t, OptedOut, r.Reason)
}
