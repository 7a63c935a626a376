package intercept

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

var errLost = errors.New("switch lost")

// overflowError is the end of a call whose events were not taken in time.
type overflowError struct{}

func (overflowError) Error() string  { return "queue of events is full" }
func (overflowError) Overflow() bool { return true }

// TestFaults breaks the switch, the daemon or the call in every step: the call
// is out of our hands within five seconds, with one record that is true.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name  string
		setUp func(s *scene)
		want  outcome
	}{
		{
			"the answer hangs",
			func(s *scene) { s.on("answer", hang) },
			outcome{report.Failed, report.SwitchLost, says("answer", "set", "continue"), 0},
		},
		{
			"the answer is refused",
			func(s *scene) { s.on("answer", refuse) },
			outcome{report.Failed, report.SwitchLost, says("answer", "set", "continue"), 0},
		},
		{
			"every command hangs",
			func(s *scene) {
				for _, verb := range []string{"answer", "play", "stop", "set", "continue", "hangup"} {
					s.on(verb, hang)
				}
			},
			outcome{report.Failed, report.SwitchLost, says("answer", "set", "continue"), 0},
		},
		{
			"every command hangs from the prompt on",
			func(s *scene) {
				for _, verb := range []string{"play", "stop", "set", "continue", "hangup"} {
					s.on(verb, hang)
				}
			},
			outcome{report.Failed, report.SwitchLost, says("answer", offerPrompt, "stop", "set", "continue"), 4500 * time.Millisecond},
		},
		{
			"the connection breaks at the prompt",
			func(s *scene) { s.on("play", breaks) },
			outcome{report.Failed, report.SwitchLost, says("answer", offerPrompt, "stop", "set", "continue"), 0},
		},
		{
			"the offer does not play, and the way back breaks",
			func(s *scene) {
				s.instead["play"] = func(context.Context) error {
					s.finished("playback-1", "failed")
					s.after(100*time.Millisecond, func() { s.close(errLost) })
					return nil
				}
				s.on("set", func(ctx context.Context) error {
					time.Sleep(200 * time.Millisecond)
					return errBroken
				})
			},
			outcome{report.Failed, report.SwitchLost, says("answer", offerPrompt, "set", "continue"), 0},
		},
		{
			"the variables do not find the call",
			func(s *scene) {
				s.key("2")
				s.on("set", func(context.Context) error { return goneError{} })
			},
			outcome{report.Declined, report.KeypressDecline, says("answer", "set", "continue"), 0},
		},
		{
			"the call is gone, and the way back finds out",
			func(s *scene) {
				s.key("2")
				for _, verb := range []string{"set", "continue"} {
					s.on(verb, func(context.Context) error { return goneError{} })
				}
			},
			outcome{report.Declined, report.KeypressDecline, says("answer", "set", "continue"), goneLimit},
		},
		{
			"the variables are refused",
			func(s *scene) {
				s.key("2")
				s.on("set", refuse)
			},
			outcome{report.Declined, report.KeypressDecline, says("answer", "set", "continue"), 0},
		},
		{
			"the way back is refused once",
			func(s *scene) {
				s.key("2")
				s.instead["continue"] = func(context.Context) error {
					s.on("continue", nil)
					return refusedError{}
				}
			},
			outcome{report.Declined, report.KeypressDecline, says("answer", "set", "continue", "continue"), 0},
		},
		{
			"the way back is refused for good",
			func(s *scene) {
				s.key("2")
				s.on("continue", refuse)
			},
			outcome{report.Declined, report.KeypressDecline, says("answer", "set", "continue", "continue"), 0},
		},
		{
			"the prompt cannot be stopped at once",
			func(s *scene) {
				s.instead["stop"] = func(context.Context) error {
					s.on("stop", nil)
					return refusedError{}
				}
				s.campaign.Release.Action = campaigns.ActionTransfer
				s.after(time.Second, func() { s.key("1") })
			},
			outcome{report.Texted, report.ToTransfer, says("answer", offerPrompt, "stop", "stop", "set", "continue"), 1100 * time.Millisecond},
		},
		{
			"the hangup is refused once",
			func(s *scene) {
				s.key("1")
				s.instead["hangup"] = func(context.Context) error {
					s.on("hangup", nil)
					return refusedError{}
				}
			},
			outcome{report.Deflected, report.Released, says("answer", "hangup", "hangup"), 0},
		},
		{
			"the hangup is done and never answered",
			func(s *scene) {
				s.key("1")
				s.instead["hangup"] = func(ctx context.Context) error {
					s.hangUp()
					s.on("hangup", nil)
					return hang(ctx)
				}
			},
			outcome{report.Deflected, report.Released, says("answer", "hangup"), 0},
		},
		{
			"the hangup hangs",
			func(s *scene) {
				s.key("1")
				s.on("hangup", hang)
			},
			outcome{report.Failed, report.SwitchLost, says("answer", "hangup", "set", "continue"), 0},
		},
		{
			"the caller was first",
			func(s *scene) {
				s.key("1")
				s.instead["hangup"] = func(context.Context) error {
					s.hangUp()
					return goneError{}
				}
			},
			outcome{report.Deflected, report.CallerHungUp, says("answer", "hangup"), 0},
		},

		// The switch is lost.
		{
			"lost in the offer",
			func(s *scene) { s.after(time.Second, func() { s.close(errLost) }) },
			outcome{report.Failed, report.SwitchLost, says("answer", offerPrompt, "stop", "set", "continue"), 0},
		},
		{
			"lost, and nothing answers",
			func(s *scene) {
				s.after(time.Second, func() {
					s.close(errLost)
					for _, verb := range []string{"stop", "set", "continue"} {
						s.on(verb, hang)
					}
				})
			},
			outcome{report.Failed, report.SwitchLost, says("answer", offerPrompt, "stop", "set", "continue"), 4 * time.Second},
		},
		{
			"lost while the text is sent",
			func(s *scene) {
				s.key("1")
				s.box.states = nil
				s.after(time.Second, func() { s.close(errLost) })
			},
			outcome{report.Failed, report.SwitchLost, says("answer", "set", "continue"), time.Second},
		},
		{
			"lost in the last prompt",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:sent"
				s.after(time.Second, func() { s.close(errLost) })
			},
			outcome{report.Failed, report.SwitchLost, says("answer", "play sound:sent", "stop", "set", "continue"), time.Second},
		},
		{
			"lost before the answer",
			func(s *scene) { s.close(errLost) },
			outcome{report.Failed, report.SwitchLost, says("set", "continue"), 0},
		},
		{
			"too slow for the events",
			func(s *scene) { s.after(time.Second, func() { s.close(overflowError{}) }) },
			outcome{report.Failed, report.Internal, says("answer", offerPrompt, "stop", "set", "continue"), time.Second},
		},
		{
			"too slow for the events of a call that has its text",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:sent"
				s.after(time.Second, func() { s.close(overflowError{}) })
			},
			outcome{report.Failed, report.Internal, says("answer", "play sound:sent", "stop", "set", "continue"), time.Second},
		},

		// The dead man's switch, or an administrator, moves the call.
		{
			"taken back in the offer",
			func(s *scene) { s.after(time.Second, s.leave) },
			outcome{report.Failed, report.SwitchLost, says("answer", offerPrompt), time.Second},
		},
		{
			"taken back, and the prompt ends first",
			func(s *scene) {
				s.after(time.Second, func() {
					s.finished("playback-1", "failed")
					s.leave()
				})
			},
			outcome{report.Failed, report.SwitchLost, says("answer", offerPrompt, "set"), time.Second},
		},
		{
			"taken back, and a command finds out",
			func(s *scene) {
				s.instead["answer"] = func(context.Context) error {
					s.leave()
					return goneError{}
				}
			},
			outcome{report.Failed, report.SwitchLost, says("answer"), 0},
		},
		{
			"taken back while the text is queued",
			func(s *scene) {
				s.key("1")
				s.box.states = nil
				s.after(time.Second, s.leave)
			},
			outcome{report.Failed, report.MessageTimeout, says("answer"), time.Second},
		},
		{
			"taken back, and the text is taken",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:sent"
				s.after(time.Second, s.leave)
			},
			outcome{report.Texted, report.ToTransfer, says("answer", "play sound:sent"), time.Second},
		},

		{
			"taken back, and the provider has not taken the text that was promised",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:sent"
				s.campaign.Release.WaitFor = campaigns.WaitQueued
				s.box.states = nil
				s.after(time.Second, s.leave)
			},
			outcome{report.Failed, report.SwitchLost, says("answer", "play sound:sent"), time.Second},
		},
		{
			"taken back, and the provider has taken the text that was promised",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:sent"
				s.campaign.Release.WaitFor = campaigns.WaitQueued
				s.after(time.Second, s.leave)
			},
			outcome{report.Texted, report.ToTransfer, says("answer", "play sound:sent"), time.Second},
		},

		// The context ends.
		{
			"ended in the offer",
			func(s *scene) { s.cancelAfter(time.Second) },
			outcome{report.Passed, report.ShuttingDown, says("answer", offerPrompt, "stop", "set", "continue"), time.Second},
		},
		{
			"ended while waiting for a key",
			func(s *scene) { s.cancelAfter(3 * time.Second) },
			outcome{report.Passed, report.ShuttingDown, says("answer", offerPrompt, "set", "continue"), 3 * time.Second},
		},
		{
			"ended while the text is sent",
			func(s *scene) {
				s.key("1")
				s.box.states = nil
				s.cancelAfter(time.Second)
			},
			outcome{report.Failed, report.MessageTimeout, says("answer", "set", "continue"), time.Second},
		},
		{
			"ended in the last prompt",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:sent"
				s.cancelAfter(time.Second)
			},
			outcome{report.Deflected, report.Released, says("answer", "play sound:sent", "hangup"), time.Second},
		},
		{
			"ended in the last prompt before a transfer",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:sent"
				s.campaign.Release.Action = campaigns.ActionTransfer
				s.cancelAfter(time.Second)
			},
			outcome{report.Texted, report.ToTransfer, says("answer", "play sound:sent", "stop", "set", "continue"), time.Second},
		},

		// This program is at fault.
		{
			"a fault",
			func(s *scene) { s.on("answer", func(context.Context) error { panic("fault") }) },
			outcome{report.Failed, report.Internal, says("answer", "set", "continue"), 0},
		},
		{
			"a fault, and another on the way back",
			func(s *scene) {
				fault := func(context.Context) error { panic("fault") }
				s.on("answer", fault)
				s.on("set", fault)
			},
			outcome{report.Failed, report.Internal, says("answer", "set"), 0},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				test.setUp(s)
				call, took := s.play(t)
				require.Equal(t, test.want.outcome, call.Outcome)
				require.Equal(t, test.want.reason, call.Reason)
				require.Equal(t, test.want.said, strings.Join(s.said, ", "))
				if test.want.took != 0 {
					require.Equal(t, test.want.took, took)
				}
				require.LessOrEqual(t, took, 5*time.Second)
				time.Sleep(time.Minute)
			})
		})
	}
}

// cancelAfter ends the context of the call later.
func (s *scene) cancelAfter(d time.Duration) {
	ctx, cancel := context.WithCancel(s.ctx)
	s.ctx = ctx
	s.after(d, cancel)
}

// TestFailedPromptsAreCounted checks the counter of prompts.
func TestFailedPromptsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.key("1")
		s.campaign.Prompts.Sent = "sound:sent"
		s.on("play", refuse)
		s.play(t)
		require.InDelta(t, 1, testutil.ToFloat64(s.i.metrics.promptsFailed.WithLabelValues("sent")), 0)
		require.InDelta(t, 0, testutil.ToFloat64(s.i.metrics.promptsFailed.WithLabelValues("offer")), 0)
	})
}

// TestHangupWhileACommandHangs checks that a hangup in a command that takes
// its time is not taken for a fault of the switch.
func TestHangupWhileACommandHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.instead["answer"] = func(ctx context.Context) error {
			s.send(&arilib.ChannelHangupRequest{}, &arilib.StasisEnd{})
			return hang(ctx)
		}
		call, _ := s.play(t)
		require.Equal(t, report.Abandoned, call.Outcome)
	})
}

// TestStoreAwayAndHungUp checks that nobody is called deflected without a
// text.
func TestStoreAwayAndHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.box.err = message.ErrStore
		s.after(time.Second, func() {
			s.key("1")
			s.hangUp()
		})
		call, _ := s.play(t)
		require.Equal(t, report.StoreDown, call.Reason)
	})
}

// TestOrphaned checks the record of a call that nobody handled.
func TestOrphaned(t *testing.T) {
	s := newScene(t)
	s.start().Orphaned(t.Context(), Arrival{
		Channel: arrival.Channel, Node: "pbx1", Args: []string{"pres=allowed"},
		Extension: dialled, CallerNumber: mobile, Created: arrival.Created,
	})
	require.Len(t, s.ledger.records, 1)
	got := s.ledger.records[0]
	require.Equal(t, report.Orphaned, got.Reason)
	require.Equal(t, report.Failed, got.Outcome)
	require.Equal(t, report.CallID([]byte("secret"), "pbx1", arrival.Channel, arrival.Created), got.ID)
	require.Equal(t, "billing", got.Campaign)
	require.Equal(t, arrival.Created, got.Started)
	require.Equal(t, mobile, got.ANI)

	stopped := arrival
	stopped.Stopping = true
	s.i.Orphaned(t.Context(), stopped)
	got = s.ledger.records[1]
	require.Equal(t, report.Passed, got.Outcome)
	require.Equal(t, report.ShuttingDown, got.Reason)
}
