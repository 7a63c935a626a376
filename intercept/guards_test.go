package intercept

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/guard"
	"deflectd/campaigns/report"
)

var allRefusals = []guard.Refusal{
	{Reason: guard.OptedOut},
	{Reason: guard.Suppressed, RetryAfter: time.Hour},
	{Reason: guard.ANIUntrusted, Limit: guard.LimitSurge},
	{Reason: guard.Cooldown, RetryAfter: time.Minute},
	{Reason: guard.Capped, Limit: guard.LimitCaller},
	{Reason: guard.Capped, Limit: guard.LimitCampaignCaller},
	{Reason: guard.Capped, Limit: guard.LimitCampaign},
	{Reason: guard.Capped, Limit: guard.LimitPrefix},
	{Reason: guard.Capped, Limit: guard.LimitSegments},
	{Reason: guard.OutsideHours, Limit: guard.LimitMarketingHours, RetryAfter: time.Hour},
	{Reason: guard.NotMobile},
	{Reason: guard.CountryNotAllowed},
	{Reason: guard.ANIOwnNumber},
}

// step finds a step of a record.
func step(c report.Call, name string) string {
	for _, s := range c.Steps {
		if s.Name == name {
			return s.Detail
		}
	}
	return ""
}

// TestRefusedBeforeTheAnswer refuses a call for each reason: it is let go
// unanswered, and the record and the counter say what it was.
func TestRefusedBeforeTheAnswer(t *testing.T) {
	for _, refusal := range allRefusals {
		t.Run(refusedBy(refusal), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.door.refusal = refusal
				s.key("1")
				call, took := s.play(t)
				require.Equal(t, report.Passed, call.Outcome)
				require.Equal(t, report.Reason(refusal.Reason), call.Reason)
				require.Contains(t, report.Reasons[report.Passed], call.Reason)
				require.Equal(t, says("set", "continue"), strings.Join(s.said, ", "))
				require.Equal(t, refusedBy(refusal), step(call, "refused"))
				require.Equal(t, []string{"call " + string(refusal.Reason) + " " + refusal.Limit}, s.door.refused)
				require.Equal(t, 1, s.door.looks)
				require.Empty(t, s.box.sent)
				require.Zero(t, took)
			})
		})
	}
}

// TestForbiddenIsCountedOnce checks that a number which may not be texted at
// all is counted as that, and no history is looked at for it.
func TestForbiddenIsCountedOnce(t *testing.T) {
	for name, test := range map[string]struct {
		setUp func(*scene)
		want  []string
	}{
		"a landline": {func(s *scene) { s.door.landlines = true }, []string{"call not_mobile "}},
		"at night":   {func(s *scene) { s.door.night = true }, []string{"call outside_hours marketing_hours"}},
		"ours":       {func(s *scene) { s.arrival.Args = []string{"ani=" + dialled, "pres=allowed"} }, []string{"call ani_own_number "}},
		"abroad":     {func(s *scene) { s.arrival.Args = []string{"ani=+4915112345678", "pres=allowed"} }, []string{"call country_not_allowed "}},
		// The reason is another, so that is what counts.
		"a forwarded landline": {func(s *scene) {
			s.door.landlines = true
			s.arrival.Args = []string{"ani=" + mobile, "pres=allowed", "rdnis=4155550199"}
		}, nil},
		"withheld":    {func(s *scene) { s.arrival.Args = []string{"ani=" + mobile, "pres=prohib"} }, nil},
		"no campaign": {func(s *scene) { s.book.campaign, s.door.landlines = nil, true }, nil},
		// What asks nobody comes first, and no request is made for these.
		"the service is off": {func(s *scene) { s.book.off = true }, nil},
		"the store is down":  {func(s *scene) { s.options.StoreUp = func() bool { return false } }, nil},
		"the provider is down": {func(s *scene) {
			s.box.down = true
			s.door.refusal = guard.Refusal{Reason: guard.Cooldown}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.arrival.Extension = dialled
				test.setUp(s)
				call, _ := s.play(t)
				require.Contains(t, []report.Outcome{report.Passed, report.Failed}, call.Outcome)
				require.Zero(t, call.Answered)
				require.Zero(t, s.door.looks)
				require.Equal(t, test.want, s.door.refused)
			})
		})
	}
}

// TestHistoryIsAskedOnce checks that each call is counted once for the surge of
// its number: also one whose presentation was asked for, one that is refused,
// and one too many for the switch; and not one that is withheld after all.
func TestHistoryIsAskedOnce(t *testing.T) {
	unpresented := func(s *scene) { s.arrival.Args = []string{"dnis=" + dialled, "ani=" + mobile} }
	for name, test := range map[string]struct {
		setUp func(*scene)
		looks int
		want  report.Reason
	}{
		"presented":   {func(*scene) {}, 1, report.NoKeypress},
		"asked for":   {unpresented, 1, report.NoKeypress},
		"two refused": {func(s *scene) { s.door.refusal.Reason = guard.ANIUntrusted }, 1, report.ANIUntrusted},
		"withheld after all": {func(s *scene) {
			unpresented(s)
			s.variable = "prohib"
		}, 0, report.ANIWithheld},
		"overload": {func(s *scene) {
			s.options.MaxCalls = 1
			s.start().gate.active.Store(1)
			s.on("set", func(context.Context) error {
				s.i.gate.active.Add(-1)
				return nil
			})
		}, 1, report.Overload},
		"refused in an overload": {func(s *scene) {
			s.options.MaxCalls = 1
			s.start().gate.active.Store(1)
			s.door.refusal.Reason = guard.Cooldown
			s.on("set", func(context.Context) error {
				s.i.gate.active.Add(-1)
				return nil
			})
		}, 1, report.Cooldown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				test.setUp(s)
				call, _ := s.play(t)
				require.Equal(t, test.want, call.Reason)
				require.Equal(t, test.looks, s.door.looks)
			})
		})
	}
}

// TestHistoryThatDoesNotAnswer checks that a look at the history keeps nobody,
// and that nobody is texted without one.
func TestHistoryThatDoesNotAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		setUp func(*scene)
		want  verdict
		said  string
		took  time.Duration
	}{
		"an error": {
			func(s *scene) { s.door.err = guard.ErrStore },
			verdict{report.Failed, report.StoreDown},
			says("set", "continue"), 0,
		},
		"too slow": {
			func(s *scene) { s.door.takes = time.Hour },
			verdict{report.Failed, report.StoreDown},
			says("set", "continue"), lookLimit,
		},
		"slow": {
			func(s *scene) {
				s.door.takes = lookLimit / 2
				s.key("2")
			},
			verdict{report.Declined, report.KeypressDecline},
			says("answer", "set", "continue"), lookLimit / 2,
		},
		"slow, where there is time": {
			func(s *scene) {
				s.door.timeout, s.door.takes = time.Second, 900*time.Millisecond
				s.key("2")
			},
			verdict{report.Declined, report.KeypressDecline},
			says("answer", "set", "continue"), 900 * time.Millisecond,
		},
		"too slow, where there is time": {
			func(s *scene) { s.door.timeout, s.door.takes = time.Second, time.Hour },
			verdict{report.Failed, report.StoreDown},
			says("set", "continue"), time.Second,
		},
		"too slow, where there is little": {
			func(s *scene) { s.door.timeout, s.door.takes = 20*time.Millisecond, lookLimit/2 },
			verdict{report.Failed, report.StoreDown},
			says("set", "continue"), 20 * time.Millisecond,
		},
		"slow, and refused": {
			func(s *scene) {
				s.door.takes = lookLimit / 2
				s.door.refusal.Reason = guard.OptedOut
			},
			verdict{report.Passed, report.OptedOut},
			says("set", "continue"), lookLimit / 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				test.setUp(s)
				call, took := s.play(t)
				require.Equal(t, test.want, verdict{call.Outcome, call.Reason})
				require.Equal(t, test.said, strings.Join(s.said, ", "))
				require.Equal(t, test.took, took)
				require.Empty(t, s.box.sent)
			})
		})
	}
}

// TestInterruptedWhileAsking has something befall the call while the history is
// looked at.
func TestInterruptedWhileAsking(t *testing.T) {
	refused := func(s *scene) { s.door.refusal.Reason = guard.Cooldown }
	broken := func(s *scene) { s.door.err = guard.ErrStore }
	busy := func(s *scene) {
		s.options.MaxCalls = 1
		s.start().gate.active.Store(1)
		s.after(time.Minute, func() { s.i.gate.active.Store(0) })
	}
	hangUp := func(s *scene) { s.hangUp() }
	takeBack := func(s *scene) { s.leave() }
	lose := func(s *scene) { s.close(errLost) }
	for name, test := range map[string]struct {
		befalls func(*scene)
		besides func(*scene)
		want    verdict
		said    string
	}{
		"hung up":                      {hangUp, nil, verdict{report.Abandoned, report.CallerHungUp}, ""},
		"hung up, and not answered":    {hangUp, broken, verdict{report.Abandoned, report.CallerHungUp}, ""},
		"hung up, and refused":         {hangUp, refused, verdict{report.Passed, report.Cooldown}, ""},
		"hung up in an overload":       {hangUp, busy, verdict{report.Abandoned, report.CallerHungUp}, ""},
		"taken back":                   {takeBack, nil, verdict{report.Failed, report.SwitchLost}, ""},
		"taken back, and not answered": {takeBack, broken, verdict{report.Failed, report.SwitchLost}, ""},
		"taken back, and refused":      {takeBack, refused, verdict{report.Passed, report.Cooldown}, ""},
		"lost":                         {lose, nil, verdict{report.Failed, report.SwitchLost}, says("set", "continue")},
		"lost, and refused":            {lose, refused, verdict{report.Passed, report.Cooldown}, says("set", "continue")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				if test.besides != nil {
					test.besides(s)
				}
				s.door.takes = lookLimit / 2
				s.door.during = func() { test.befalls(s) }
				s.start().Handle(s.ctx, s, s.arrival)
				call := s.ledger.records[0]
				require.Equal(t, test.want, verdict{call.Outcome, call.Reason})
				require.Equal(t, test.said, strings.Join(s.said, ", "))
				require.Zero(t, call.Answered)
				time.Sleep(time.Hour)
			})
		})
	}
}

// TestStoppedWhileAsking checks that a call is let go for the reason that the
// daemon stops, when it is cut short during a look that fails.
func TestStoppedWhileAsking(t *testing.T) {
	for _, err := range []error{nil, guard.ErrStore} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.door.err = err
			ctx, cancel := context.WithCancel(s.ctx)
			s.ctx, s.door.during = ctx, cancel
			call, _ := s.play(t)
			require.Equal(t, report.ShuttingDown, call.Reason)
			require.Zero(t, call.Answered)
		})
	}
}

// TestRefusedAfterTheOffer refuses the text that a caller has asked for: the
// caller is told and let go, and it is recorded as a rule, not as a failure.
func TestRefusedAfterTheOffer(t *testing.T) {
	for _, refusal := range allRefusals {
		t.Run(refusedBy(refusal), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.campaign.Prompts.Failed = "sound:failed"
				s.box.err = errors.Join(errors.New("make the text durable"), &guard.Refused{Refusal: refusal})
				s.after(time.Second, func() { s.key("1") })
				call, _ := s.play(t)
				require.Equal(t, report.Passed, call.Outcome)
				require.Equal(t, report.Reason(refusal.Reason), call.Reason)
				require.Equal(t, says("answer", offerPrompt, "stop", "play sound:failed", "set", "continue"), strings.Join(s.said, ", "))
				require.Equal(t, refusedBy(refusal), step(call, "refused"))
				require.Empty(t, call.Message)
				require.Empty(t, s.door.refused, "the outbox counts what it refuses")
			})
		})
	}
}

// TestRefusedAndHungUp checks that nobody is called deflected without a text.
func TestRefusedAndHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.campaign.Prompts.Failed = "sound:failed"
		s.box.err = &guard.Refused{Refusal: guard.Refusal{Reason: guard.Cooldown}}
		s.after(time.Second, func() {
			s.key("1")
			s.hangUp()
		})
		call, _ := s.play(t)
		require.Equal(t, report.Passed, call.Outcome)
		require.Equal(t, report.Cooldown, call.Reason)
	})
}

// TestForwardedNumberIsCanonical checks that the number which forwarded a call
// is kept in the form by which it can be forgotten.
func TestForwardedNumberIsCanonical(t *testing.T) {
	for given, want := range map[string]string{
		"4155550199": "+14155550199", "+49 1511 2345678": "+4915112345678", "100": "100",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.arrival.Args = []string{"dnis=" + dialled, "ani=" + mobile, "pres=allowed", "rdnis=" + given}
			call, _ := s.play(t)
			require.Equal(t, report.ANIForwarded, call.Reason)
			require.Equal(t, want, call.Diverted)
		})
	}
}
