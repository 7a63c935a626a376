package intercept

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/report"
)

// asked is the question about the call of a scene.
func (s *scene) asked() report.Question {
	id := s.arrival.identity()
	return report.Question{DNIS: id.dnis, ANI: id.ani, Presentation: id.presentation, RDNIS: id.rdnis}
}

// explain asks about the call of the scene, and checks what holds of every answer:
// all rules are in it, in order, the first that refuses decides, and nothing was
// done.
func (s *scene) explain(t require.TestingT) report.Decision {
	i := s.start()
	looks, credit, active := s.door.looks, i.gate.credit, i.gate.active.Load()
	d, err := i.Explain(s.ctx, s.asked())
	require.NoError(t, err)
	require.Equal(t, looks, s.door.looks, "the call was counted")
	require.Empty(t, s.door.refused, "the refusal was counted")
	require.Empty(t, s.said, "the switch was asked")
	require.Empty(t, s.box.sent)
	require.Empty(t, s.ledger.records)
	require.Equal(t, credit, i.gate.credit, "it took a call's turn")
	require.Equal(t, active, i.gate.active.Load())

	var names []report.StepName
	first := -1
	for n, step := range d.Steps {
		names = append(names, step.Name)
		require.NotEmpty(t, step.Detail, step.Name)
		require.NotContains(t, step.Detail, "4155550", "whose number it is, is known to whoever asks")
		refuses := step.Result == report.StepRefuses
		require.Equal(t, refuses, step.Reason != "", step)
		if refuses && first < 0 {
			first = n
		}
		require.Equal(t, refuses && first == n, step.Decides, step)
	}
	require.Equal(t, report.StepNames, names)
	require.Equal(t, d.Offered, first < 0, d)
	if first >= 0 {
		require.Equal(t, d.Steps[first].Reason, d.Reason)
		require.Contains(t, report.Reasons[d.Outcome], d.Reason)
	} else {
		require.Empty(t, string(d.Outcome)+string(d.Reason))
	}
	return d
}

// judged is what is decided of the scene's call when it comes.
func (s *scene) judged() verdict {
	c := s.i.enter(s.ctx, s, &s.arrival)
	defer s.i.leave(c)
	if end := c.judge(); end != nil {
		return verdict{end.outcome, end.reason}
	}
	return intercepted
}

// Whatever is known of a call, what is said of it beforehand is what becomes of it.
func TestExplainSaysWhatIsDecided(t *testing.T) {
	history := []guard.Refusal{
		{Reason: guard.OptedOut},
		{Reason: guard.Suppressed, RetryAfter: time.Hour},
		{Reason: guard.ANIUntrusted, Limit: guard.LimitSurge},
		{Reason: guard.Cooldown, RetryAfter: time.Minute},
		{Reason: guard.Capped, Limit: guard.LimitCaller},
		{Reason: guard.Capped, Limit: guard.LimitCampaignCaller},
		{Reason: guard.Capped, Limit: guard.LimitPrefix},
		{Reason: guard.Capped, Limit: guard.LimitCampaign},
		{Reason: guard.Capped, Limit: guard.LimitSegments},
	}
	rapid.Check(t, func(r *rapid.T) {
		seldom := func(what string) bool { return rapid.IntRange(0, 7).Draw(r, what) == 0 }
		one := func(what string, usual string, others ...string) string {
			if seldom(what) {
				return rapid.SampledFrom(others).Draw(r, "which "+what)
			}
			return usual
		}
		s := newScene(t)
		s.book.away, s.book.off = seldom("campaigns not read"), seldom("service off")
		if seldom("no campaign") || s.book.away {
			s.book.campaign = nil
		}
		enabled := !seldom("disabled")
		s.campaign.Enabled = &enabled
		s.campaign.Kind = one("kind", campaigns.KindService, campaigns.KindMarketing)
		s.campaign.Release.WaitFor = one("wait for", campaigns.WaitAccepted, campaigns.WaitQueued)
		s.arrival.Args = []string{
			"dnis=" + dialled,
			"ani=" + one("caller", mobile, dialled, "+4915112345678", "12", "anonymous", "", "+80012345678"),
			"pres=" + one("presentation", "allowed", "prohib_not_screened", "unavailable"),
			"rdnis=" + one("forwarded", "", "4155550199"),
		}
		s.door.landlines, s.door.night = seldom("landline"), seldom("night")
		for _, refusal := range history {
			switch {
			case !seldom(refusedBy(refusal)):
			case s.door.refusal.None():
				s.door.refusal = refusal
			default:
				s.door.later = append(s.door.later, refusal)
			}
		}
		if s.door.refusal.None() && seldom("history silent") {
			s.door.err = fmt.Errorf("%w: broken", guard.ErrStore)
		}
		up := !seldom("Redis away")
		s.options.StoreUp = func() bool { return up }
		s.options.Senders = senders(!seldom("no sender"))
		s.box.down = seldom("provider down")
		s.start()
		s.i.draining = seldom("draining")
		if seldom("overload") {
			s.i.gate.max = 1
			s.i.gate.active.Store(1)
		}

		if seldom("switch slow") {
			s.i.gate.latency = func() time.Duration { return latencyBusy }
			s.i.gate.setting.Store(int64(setupFew) - rapid.Int64Range(0, 1).Draw(r, "room in set-up"))
		}

		d := s.explain(r)
		want := s.judged()
		require.Equal(r, want, verdict{d.Outcome, d.Reason})
		require.Equal(r, want == intercepted, d.Offered)
		campaign := ""
		if s.book.campaign != nil {
			campaign = s.campaign.ID
		}
		require.Equal(r, campaign, d.Campaign)
	})
}

// results finds rules of a decision.
func results(d report.Decision, result report.StepResult) (names []string) {
	for _, step := range d.Steps {
		if step.Result == result {
			names = append(names, string(step.Name))
		}
	}
	return names
}

func TestExplainTellsAllThatSpeaksAgainstACall(t *testing.T) {
	s := newScene(t)
	d := s.explain(t)
	require.True(t, d.Offered)
	require.Equal(t, "billing", d.Campaign)
	require.Len(t, results(d, report.StepOK), len(report.StepNames))

	// Everything at once: each is told of, the first decides.
	s = newScene(t)
	s.book.off, s.box.down, s.door.landlines, s.door.night = true, true, true, true
	s.campaign.Enabled = new(bool)
	s.campaign.Kind = campaigns.KindMarketing
	s.arrival.Args = []string{"dnis=" + dialled, "ani=" + dialled, "pres=allowed", "rdnis=4155550199"}
	s.options.Senders, s.options.StoreUp = senders(false), func() bool { return false }
	s.door.refusal = guard.Refusal{Reason: guard.OptedOut}
	s.door.later = []guard.Refusal{{Reason: guard.Cooldown, RetryAfter: 90 * time.Minute}, {Reason: guard.Capped, Limit: guard.LimitPrefix}}
	s.start().draining = true
	d = s.explain(t)
	require.Equal(t, verdict{report.Passed, report.CampaignDisabled}, verdict{d.Outcome, d.Reason})
	require.Equal(t, strings.Fields(`enabled forwarded own_number line_type marketing_hours service sender shutting_down
		store provider opt_out cooldown per_prefix_per_hour`), results(d, report.StepRefuses))
	require.Empty(t, results(d, report.StepUnknown))
	for _, step := range d.Steps {
		if step.Name == report.StepCooldown {
			require.Contains(t, step.Detail, "90m")
		}
	}
}

// What cannot be looked at is unknown, neither good nor bad.
func TestExplainSaysWhatItDoesNotKnow(t *testing.T) {
	ofTheNumber := strings.Fields("own_number country line_type marketing_hours history opt_out suppression surge cooldown " +
		"per_caller_per_day campaign.per_caller_per_day per_prefix_per_hour campaign.per_day segments_per_day")
	s := newScene(t)
	s.arrival.Args = []string{"dnis=" + dialled, "ani=anonymous", "pres=allowed"}
	d := s.explain(t)
	require.Equal(t, report.ANIWithheld, d.Reason)
	require.Equal(t, append([]string{"caller_number"}, ofTheNumber...), results(d, report.StepUnknown))

	s = newScene(t)
	s.arrival.Args = []string{"dnis=" + dialled, "ani=12", "pres=allowed"}
	d = s.explain(t)
	require.Equal(t, report.ANIInvalid, d.Reason)
	require.Equal(t, ofTheNumber, results(d, report.StepUnknown))

	s = newScene(t)
	s.book.campaign = nil
	d = s.explain(t)
	require.Equal(t, report.NoCampaign, d.Reason)
	require.Equal(t, append(strings.Fields("enabled line_type marketing_hours sender provider"), ofTheNumber[4:]...), results(d, report.StepUnknown))

	// Redis is silent: that decides, and what it would have said is not known.
	s = newScene(t)
	s.door.err = guard.ErrStore
	d = s.explain(t)
	require.Equal(t, verdict{report.Failed, report.StoreDown}, verdict{d.Outcome, d.Reason})
	require.Equal(t, []string{"history"}, results(d, report.StepRefuses))
	require.Equal(t, ofTheNumber[5:], results(d, report.StepUnknown))

	// An opt-out that waits to be written is known all the same.
	s = newScene(t)
	s.door.refusal, s.door.err = guard.Refusal{Reason: guard.OptedOut}, guard.ErrStore
	d = s.explain(t)
	require.Equal(t, report.OptedOut, d.Reason)
	require.Equal(t, []string{"opt_out"}, results(d, report.StepRefuses))

	// A switch that is busy lets some calls go, and nobody knows which.
	s = newScene(t)
	s.options.Latency = func() time.Duration { return (latencyFine + latencyBusy) / 2 }
	s.start().gate.setting.Store(setupFew + 1)
	d = s.explain(t)
	require.True(t, d.Offered)
	require.Equal(t, []string{"load"}, results(d, report.StepUnknown))
	require.Contains(t, d.Steps[len(d.Steps)-1].Detail, "50 in a hundred")
}

// What is asked is hostile input, and whoever asks may go away.
func TestExplainHeedsWhoeverAsks(t *testing.T) {
	s := newScene(t)
	for _, hostile := range []string{"", "\x00", "<script>", strings.Repeat("9", 10_000), "\u202e+14155550123", "+1415555😀"} {
		for _, q := range []report.Question{{DNIS: hostile}, {DNIS: dialled, ANI: hostile}, {DNIS: dialled, ANI: mobile, Presentation: hostile}, {DNIS: dialled, ANI: mobile, RDNIS: hostile}} {
			d, err := s.start().Explain(t.Context(), q)
			require.NoError(t, err)
			require.Len(t, d.Steps, len(report.StepNames))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.start().Explain(ctx, s.asked())
	require.ErrorIs(t, err, context.Canceled)
}

// The words of the API are those of the code.
func TestTheNamesOfTheRulesAreDocumented(t *testing.T) {
	field, _ := reflect.TypeFor[report.DecisionStep]().FieldByName("Name")
	var names []string
	for _, name := range report.StepNames {
		names = append(names, string(name))
	}
	require.Equal(t, strings.Join(names, ","), field.Tag.Get("enum"))
}
