package intercept

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/ari/aritest"
	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/report"
)

// TestSwitchGuards takes calls through a simulated Asterisk and the real guards,
// opt-outs and outbox on a real Redis.
func TestSwitchGuards(t *testing.T) {
	const offer, long, thanks = "sound:deflectd/offer", "sound:deflectd/long", "sound:deflectd/opted-out"
	unanswered := func(x *exchange, call *aritest.Call, want verdict) {
		x.t.Helper()
		answers := x.pbx.Requests(aritest.VerbAnswer)
		x.ended(call, aritest.InDialplan, want.outcome, want.reason)
		require.Equal(x.t, answers, x.pbx.Requests(aritest.VerbAnswer))
	}
	for _, test := range []struct {
		name string
		play func(x *exchange)
	}{
		{"texted a short while ago", func(x *exchange) {
			x.limit(time.Hour)
			call := x.call()
			x.playing(call, offer)
			call.Press("1")
			x.ended(call, aritest.Gone, report.Deflected, report.Released)
			unanswered(x, x.call(), verdict{report.Passed, report.Cooldown})
			require.EqualValues(x.t, 1, x.gateway.taken.Load())
		}},
		{"two calls at once", func(x *exchange) {
			x.limit(time.Hour)
			first, second := x.call(), x.call()
			x.playing(first, offer)
			x.playing(second, offer)
			first.Press("1")
			x.ended(first, aritest.Gone, report.Deflected, report.Released)
			second.Press("1")
			x.ended(second, aritest.InDialplan, report.Passed, report.Cooldown)
			require.EqualValues(x.t, 1, x.gateway.taken.Load())
		}},
		{"opted out by a key", func(x *exchange) {
			x.pbx.AddSound("deflectd/opted-out", 100*time.Millisecond)
			x.campaign.Offer.OptOut, x.campaign.Prompts.OptedOut = "9", thanks
			call := x.call()
			x.playing(call, offer)
			call.Press("9")
			got := x.ended(call, aritest.InDialplan, report.Declined, report.KeypressOptOut)
			require.Equal(x.t, "written", step(got, "opt-out"))
			require.True(x.t, heard(call.State(), thanks))
			entry, err := x.optOuts.Get(x.t.Context(), mobile)
			require.NoError(x.t, err)
			require.Equal(x.t, optout.Keypress, entry.Source)
			unanswered(x, x.call(), verdict{report.Passed, report.OptedOut})
		}},
		{"opted out and hung up", func(x *exchange) {
			x.campaign.Offer.OptOut, x.campaign.Offer.Prompt = "9", long
			call := x.call()
			x.playing(call, long)
			call.Press("9")
			call.Hangup()
			require.Equal(x.t, aritest.Gone, x.out(call).Where)
			// Which of the two is noticed first is for the machine to say.
			require.Contains(x.t, []report.Reason{report.CallerHungUp, report.KeypressOptOut}, x.record(call.ID()).Reason)
			require.Eventually(x.t, func() bool {
				_, err := x.optOuts.Get(x.t.Context(), mobile)
				return err == nil
			}, patience, 50*time.Millisecond)
		}},
		{"opted out while the caller listens", func(x *exchange) {
			call := x.call()
			x.playing(call, offer)
			_, err := x.optOuts.Add(x.t.Context(), optout.Entry{Number: mobile, Source: optout.API})
			require.NoError(x.t, err)
			call.Press("1")
			x.ended(call, aritest.InDialplan, report.Passed, report.OptedOut)
			require.Zero(x.t, x.gateway.taken.Load())
		}},
		{"the store is frozen before the call", func(x *exchange) {
			require.NoError(x.t, x.redis.Freeze())
			unanswered(x, x.call(), verdict{report.Failed, report.StoreDown})
			require.NoError(x.t, x.redis.Thaw())
			x.recovers()
		}},
		{"the store is gone before the call", func(x *exchange) {
			require.NoError(x.t, x.redis.Kill())
			unanswered(x, x.call(), verdict{report.Failed, report.StoreDown})
		}},
		{"opted out while the store is frozen", func(x *exchange) {
			x.campaign.Offer.OptOut, x.campaign.Prompts.OptedOut = "9", thanks
			call := x.call()
			x.playing(call, offer)
			require.NoError(x.t, x.redis.Freeze())
			call.Press("9")
			x.ended(call, aritest.InDialplan, report.Failed, report.StoreDown)
			require.False(x.t, heard(call.State(), thanks), "nothing is promised that is not done")
			require.NoError(x.t, x.redis.Thaw())
			require.Eventually(x.t, func() bool {
				_, err := x.optOuts.Get(x.t.Context(), mobile)
				return err == nil
			}, patience, 50*time.Millisecond, "it is written once that can be done")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			test.play(newExchange(t))
		})
	}
}

// TestSwitchNearTheLastSegment checks that no caller is offered a text for which
// the segments that are left are too few.
func TestSwitchNearTheLastSegment(t *testing.T) {
	t.Parallel()
	x := newExchange(t, func(p *guard.Policy) { p.SegmentsPerDay = 4 })
	x.campaign.Text = "Pay here {link} " + strings.Repeat("x", 300) // three segments
	call := x.call()
	x.playing(call, "sound:deflectd/offer")
	call.Press("1")
	x.ended(call, aritest.Gone, report.Deflected, report.Released)

	answers := x.pbx.Requests(aritest.VerbAnswer)
	got := x.ended(x.call(), aritest.InDialplan, report.Passed, report.Capped)
	require.Equal(t, guard.LimitSegments, step(got, "refused"))
	require.Equal(t, answers, x.pbx.Requests(aritest.VerbAnswer))
	require.EqualValues(t, 1, x.gateway.taken.Load())
}

// limit makes the campaign text nobody twice within some time.
func (x *exchange) limit(cooldown time.Duration) {
	pause := campaigns.Pause(cooldown)
	x.campaign.Limits = &campaigns.Limits{Cooldown: &pause}
}
