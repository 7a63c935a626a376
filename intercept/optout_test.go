package intercept

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/report"
)

// wish is how a scene with an opt-out ends.
type wish struct {
	outcome report.Outcome
	reason  report.Reason
	said    string
	written bool // at once; else it is left to the list, which tries on
	took    time.Duration
}

// keyAnd is a key, after which the channel leaves before anything is done about
// the key.
func (ch *channel) keyAnd(digit string, before ...arilib.Event) {
	events := append([]arilib.Event{&arilib.ChannelDtmfReceived{Digit: digit}}, before...)
	ch.send(append(events, &arilib.StasisEnd{})...)
	ch.close(nil)
}

// TestOptOut presses the key that asks never to be texted again, at any time
// and whatever else happens: the wish is heeded, once.
func TestOptOut(t *testing.T) {
	const confirm = "play sound:deflectd/opted-out"
	confirmed := func(took time.Duration, commands ...string) wish {
		return wish{report.Declined, report.KeypressOptOut, says(commands...), true, took}
	}
	for _, test := range []struct {
		name  string
		setUp func(s *scene)
		want  wish
	}{
		{
			"before the prompt",
			func(s *scene) { s.key("9") },
			confirmed(2*time.Second, "answer", confirm, "set", "continue"),
		},
		{
			"during the prompt",
			func(s *scene) { s.after(time.Second, func() { s.key("9") }) },
			confirmed(3*time.Second, "answer", offerPrompt, "stop", confirm, "set", "continue"),
		},
		{
			"after the prompt",
			func(s *scene) { s.after(4*time.Second, func() { s.key("9") }) },
			confirmed(6*time.Second, "answer", offerPrompt, confirm, "set", "continue"),
		},
		{
			"in the second attempt",
			func(s *scene) { s.after(9*time.Second, func() { s.key("9") }) },
			confirmed(11*time.Second, "answer", offerPrompt, offerPrompt, "stop", confirm, "set", "continue"),
		},
		{
			"after keys that mean nothing",
			func(s *scene) {
				s.key("7")
				s.key("#")
				s.key("9")
				s.key("1") // the first that decides counts
			},
			confirmed(2*time.Second, "answer", confirm, "set", "continue"),
		},
		{
			"with the key for a person",
			func(s *scene) {
				s.campaign.Offer.OptOut = "0"
				s.key("0")
			},
			confirmed(2*time.Second, "answer", confirm, "set", "continue"),
		},
		{
			"without a word",
			func(s *scene) {
				s.campaign.Prompts.OptedOut = ""
				s.key("9")
			},
			confirmed(0, "answer", "set", "continue"),
		},
		{
			"and it cannot be said",
			func(s *scene) {
				s.on("play", refuse)
				s.key("9")
			},
			confirmed(0, "answer", confirm, "stop", "set", "continue"),
		},
		{
			"and what is said never ends",
			func(s *scene) {
				s.on("play", func(context.Context) error { return nil })
				s.key("9")
			},
			confirmed(partingLimit, "answer", confirm, "stop", "set", "continue"),
		},
		{
			"in an offer that cannot be played",
			func(s *scene) {
				s.campaign.Prompts.OptedOut = ""
				s.on("play", func(context.Context) error {
					s.key("9")
					return refusedError{}
				})
			},
			confirmed(0, "answer", offerPrompt, "stop", "set", "continue"),
		},

		// The caller hangs up.
		{
			"and hung up",
			func(s *scene) {
				s.after(time.Second, func() {
					s.keyAnd("9", &arilib.ChannelHangupRequest{})
				})
			},
			wish{report.Abandoned, report.CallerHungUp, says("answer", offerPrompt, "stop"), true, time.Second},
		},
		{
			"before the answer, and hung up at it",
			func(s *scene) {
				s.key("9")
				s.on("answer", func(context.Context) error {
					s.hangUp()
					return nil
				})
			},
			wish{report.Abandoned, report.CallerHungUp, says("answer"), true, 0},
		},
		{
			"and hung up while that is said",
			func(s *scene) {
				s.key("9")
				s.after(time.Second, s.hangUp)
			},
			wish{report.Abandoned, report.CallerHungUp, says("answer", confirm), true, time.Second},
		},
		{
			"and hung up, and the store is away",
			func(s *scene) {
				s.wishes.err = optout.ErrStore
				s.after(time.Second, func() {
					s.keyAnd("9", &arilib.ChannelHangupRequest{})
				})
			},
			wish{report.Abandoned, report.CallerHungUp, says("answer", offerPrompt, "stop"), false, time.Second},
		},
		{
			"and hung up while the store is silent",
			func(s *scene) {
				s.wishes.slow = true
				s.key("9")
				s.after(optOutLimit/2, s.hangUp)
			},
			wish{report.Abandoned, report.CallerHungUp, says("answer"), false, optOutLimit},
		},

		// The store is away.
		{
			"and the store is away",
			func(s *scene) {
				s.wishes.err = optout.ErrStore
				s.campaign.Prompts.Failed = "sound:failed"
				s.key("9")
			},
			wish{report.Failed, report.StoreDown, says("answer", "set", "continue"), false, 0},
		},
		{
			"and the store is silent",
			func(s *scene) {
				s.wishes.slow = true
				s.after(time.Second, func() { s.key("9") })
			},
			wish{report.Failed, report.StoreDown, says("answer", offerPrompt, "stop", "set", "continue"), false, time.Second + optOutLimit},
		},

		// Something befalls the call.
		{
			"and the switch is lost",
			func(s *scene) {
				s.after(time.Second, func() {
					s.key("9")
					s.close(errLost)
				})
			},
			wish{report.Failed, report.SwitchLost, says("answer", offerPrompt, "stop", "stop", "set", "continue"), true, time.Second},
		},
		{
			"and the dialplan takes the call back",
			func(s *scene) {
				s.after(time.Second, func() {
					s.keyAnd("9")
				})
			},
			wish{report.Declined, report.KeypressOptOut, says("answer", offerPrompt, "stop"), true, time.Second},
		},
		{
			"and the dialplan takes the call back while that is said",
			func(s *scene) {
				s.key("9")
				s.after(time.Second, s.leave)
			},
			wish{report.Declined, report.KeypressOptOut, says("answer", confirm), true, time.Second},
		},
		{
			"and the daemon is stopped",
			func(s *scene) {
				s.key("9")
				s.cancelAfter(time.Second)
			},
			confirmed(time.Second, "answer", confirm, "stop", "set", "continue"),
		},
		{
			"and the switch does not answer",
			func(s *scene) {
				s.length = 1500 * time.Millisecond // the prompt ends while its stop hangs
				s.after(time.Second, func() {
					s.on("stop", hang)
					s.on("play", hang)
					s.key("9")
				})
			},
			confirmed(time.Second+letGoLimit, "answer", offerPrompt, "stop", "set", "continue"),
		},
		{
			"as the call ends already",
			func(s *scene) {
				s.on("set", func(context.Context) error {
					s.key("9")
					return refusedError{}
				})
			},
			wish{report.Declined, report.NoKeypress, says("answer", offerPrompt, offerPrompt, "set", "continue"), false, 16 * time.Second},
		},
		{
			"and a fault",
			func(s *scene) {
				s.after(time.Second, func() {
					s.on("stop", func(context.Context) error {
						s.on("stop", nil)
						panic("fault")
					})
					s.key("9")
				})
			},
			wish{report.Failed, report.Internal, says("answer", offerPrompt, "stop", "stop", "set", "continue"), false, time.Second},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.campaign.Offer.OptOut, s.campaign.Prompts.OptedOut = "9", "sound:deflectd/opted-out"
				test.setUp(s)
				call, took := s.play(t)
				require.Equal(t, test.want.outcome, call.Outcome)
				require.Equal(t, test.want.reason, call.Reason)
				require.Equal(t, test.want.said, strings.Join(s.said, ", "))
				require.Equal(t, test.want.took, took)
				entry := []optout.Entry{{Number: mobile, Source: optout.Keypress}}
				if test.want.written {
					require.Equal(t, entry, s.wishes.added)
					require.Empty(t, s.wishes.later)
				} else {
					require.Empty(t, s.wishes.added)
					require.Equal(t, entry, s.wishes.later)
				}
				require.NotEmpty(t, step(call, "opt-out"))
				require.Empty(t, s.box.sent)
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestOptOutIsWrittenBeforeItIsSaid checks that nothing is promised that is not
// done.
func TestOptOutIsWrittenBeforeItIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.campaign.Offer.OptOut, s.campaign.Prompts.OptedOut = "9", "sound:deflectd/opted-out"
		written := 0
		s.on("play", func(context.Context) error {
			s.wishes.mu.Lock()
			defer s.wishes.mu.Unlock()
			written = len(s.wishes.added)
			s.finished("playback-1", "done")
			return nil
		})
		s.key("9")
		call, _ := s.play(t)
		require.Equal(t, report.KeypressOptOut, call.Reason)
		require.Equal(t, 1, written)
	})
}

// TestNoOptOut checks that no key opts out that does not mean it: where the
// campaign has none, when another was first, and before there was an offer.
func TestNoOptOut(t *testing.T) {
	for name, test := range map[string]struct {
		setUp func(*scene)
		want  report.Reason
	}{
		"no such key":        {func(s *scene) { s.campaign.Offer.OptOut = "" }, report.NoKeypress},
		"declined first":     {func(s *scene) { s.key("2") }, report.KeypressDecline},
		"accepted first":     {func(s *scene) { s.key("1") }, report.Released},
		"the service is off": {func(s *scene) { s.book.off = true }, report.ServiceOff},
		"refused":            {func(s *scene) { s.door.refusal.Reason = "cooldown" }, report.Cooldown},
		"never answered":     {func(s *scene) { s.on("answer", refuse) }, report.SwitchLost},
		"hung up before":     {func(s *scene) { s.door.during = s.hangUp }, report.CallerHungUp},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.campaign.Offer.OptOut = "9"
				test.setUp(s)
				s.key("9")
				call, _ := s.play(t)
				require.Equal(t, test.want, call.Reason)
				require.Empty(t, s.wishes.added)
				require.Empty(t, s.wishes.later)
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestOptedOutPromptIsCounted checks that a confirmation which cannot be played
// is counted, as any prompt is.
func TestOptedOutPromptIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.campaign.Offer.OptOut, s.campaign.Prompts.OptedOut = "9", "sound:not-there"
		s.on("play", refuse)
		s.key("9")
		call, _ := s.play(t)
		require.Equal(t, report.KeypressOptOut, call.Reason)
		require.InDelta(t, 1, testutil.ToFloat64(s.i.metrics.promptsFailed.WithLabelValues("opted_out")), 0)
	})
}

// TestOptOutAfterTheTextIsNone checks that a text which a caller asked for is
// not lost by what the caller types on.
func TestOptOutAfterTheTextIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.campaign.Offer.OptOut, s.campaign.Offer.Mode = "9", campaigns.ModeAsk
		s.box.states, s.box.every = []message.State{message.Accepted}, time.Second
		s.key("1")
		s.after(time.Second/2, func() { s.key("9") })
		call, _ := s.play(t)
		require.Equal(t, report.Deflected, call.Outcome)
		require.Empty(t, s.wishes.added)
	})
}
