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
	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

// TestPromptsOfCallsThatEndAreNotCounted checks that a prompt which ends because
// the call does is not counted as one that could not be played, whichever is
// told first.
func TestPromptsOfCallsThatEndAreNotCounted(t *testing.T) {
	for name, end := range map[string]func(*scene){
		"taken back":                func(s *scene) { s.leave() },
		"hung up":                   func(s *scene) { s.hangUp() },
		"lost":                      func(s *scene) { s.close(errLost) },
		"hung up a little later":    func(s *scene) { s.after(10*time.Millisecond, s.hangUp) },
		"taken back a moment later": func(s *scene) { s.after(10*time.Millisecond, s.leave) },
		"nothing: it did not exist": func(*scene) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.on("set", func(context.Context) error { // as long as it takes for the rest to be told
					time.Sleep(100 * time.Millisecond)
					return nil
				})
				s.after(time.Second, func() {
					s.finished("playback-1", "failed")
					end(s)
				})
				call, _ := s.play(t)
				want := 0.0
				if strings.HasPrefix(name, "nothing") {
					want = 1
				}
				require.Equal(t, want == 1, call.Reason == report.PromptFailed, call.Reason)
				require.InDelta(t, want, testutil.ToFloat64(s.i.metrics.promptsFailed.WithLabelValues("offer")), 0)
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestAsteriskThatShutsDownIsNoCaller checks that the hangups of an Asterisk
// that ends in good order are not taken for those of callers.
func TestAsteriskThatShutsDownIsNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.after(time.Second, func() {
			s.send(&arilib.ChannelHangupRequest{Soft: true, Cause: softShutdown})
			s.leave()
		})
		call, _ := s.play(t)
		require.Equal(t, report.Failed, call.Outcome)
		require.Equal(t, report.SwitchLost, call.Reason)
	})
}

// TestTextIsNotWithdrawnOncePromised checks what becomes of a text that is
// queued when the dialplan takes the call back.
func TestTextIsNotWithdrawnOncePromised(t *testing.T) {
	for waitFor, cancels := range map[string]int{campaigns.WaitQueued: 0, campaigns.WaitAccepted: 1} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.key("1")
			s.campaign.Prompts.Sent = "sound:sent"
			s.campaign.Release.WaitFor = waitFor
			s.box.states = nil
			s.after(time.Second, s.leave)
			call, _ := s.play(t)
			require.Equal(t, report.Failed, call.Outcome)
			require.Equal(t, cancels, s.box.cancels)
		})
	}
}

// TestTransferAlwaysWaits checks that no call is called texted before the
// provider has taken the text, whatever a campaign of old says.
func TestTransferAlwaysWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.key("1")
		s.campaign.Release.Action, s.campaign.Release.WaitFor = campaigns.ActionTransfer, campaigns.WaitQueued
		s.box.states = nil
		call, took := s.play(t)
		require.Equal(t, report.MessageTimeout, call.Reason)
		require.Equal(t, 5*time.Second, took)
	})
}

// TestGateIsAskedLast checks that calls which are passed on anyway do not spend
// the share that an overloaded switch leaves.
func TestGateIsAskedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.options.Latency = func() time.Duration { return (latencyFine + latencyBusy) / 2 }
		i := s.start()
		i.gate.setting.Store(setupFew + 1)
		taken := 0
		for n := range 20 {
			s.channel, s.book.off = newChannel(), n%2 == 1
			s.key("2")
			i.Handle(t.Context(), s, s.arrival)
			switch call := s.ledger.records[n]; call.Reason {
			case report.KeypressDecline:
				taken++
			case report.ServiceOff:
				require.True(t, s.book.off)
			default:
				require.Equal(t, report.Overload, call.Reason)
			}
		}
		require.Equal(t, 5, taken, "half of the ten that could be")
	})
}

// TestStoreKnownToBeDown checks that nobody is offered a text that cannot be
// made durable, and that a call that nobody wants needs no store.
func TestStoreKnownToBeDown(t *testing.T) {
	for _, test := range []struct {
		book  func(*phoneBook)
		up    bool
		wants report.Reason
	}{
		{func(*phoneBook) {}, false, report.StoreDown},
		{func(*phoneBook) {}, true, report.KeypressDecline},
		{func(b *phoneBook) { b.campaign = nil }, false, report.NoCampaign},
		{func(b *phoneBook) { b.off = true }, false, report.ServiceOff},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.options.StoreUp = func() bool { return test.up }
			test.book(s.book)
			s.key("2")
			call, _ := s.play(t)
			require.Equal(t, test.wants, call.Reason)
			require.Equal(t, test.up, call.Answered.After(time.Time{}))
		})
	}
}

// TestSilentSwitch has the switch stop to answer, in every kind of call before
// every command: within five seconds the call is out of our hands.
func TestSilentSwitch(t *testing.T) {
	for name, setUp := range map[string]func(*scene){
		"asked for its presentation": func(s *scene) { s.arrival.Args = []string{"dnis=" + dialled, "ani=" + mobile} },
		"no key":                     func(*scene) {},
		"declined in the prompt":     func(s *scene) { s.after(time.Second, func() { s.key("2") }) },
		"accepted in the prompt": func(s *scene) {
			s.campaign.Prompts.Sent = "sound:sent"
			s.after(time.Second, func() { s.key("1") })
		},
		"accepted, and the provider is silent": func(s *scene) {
			s.box.states = nil
			s.after(time.Second, func() { s.key("1") })
		},
		"accepted, and the provider is slow": func(s *scene) {
			s.campaign.Prompts.Sent = "sound:sent"
			s.box.every = 900 * time.Millisecond
			s.after(time.Second, func() { s.key("1") })
		},
		"accepted, and the store is silent": func(s *scene) {
			s.campaign.Prompts.Failed = "sound:failed"
			s.box.slow = true
			s.after(time.Second, func() { s.key("1") })
		},
		"accepted, and the provider refuses": func(s *scene) {
			s.campaign.Prompts.Failed = "sound:failed"
			s.box.states = []message.State{message.Failed}
			s.after(time.Second, func() { s.key("1") })
		},
		"transferred": func(s *scene) {
			s.campaign.Prompts.Sent = "sound:sent"
			s.campaign.Release.Action = campaigns.ActionTransfer
			s.after(time.Second, func() { s.key("1") })
		},
		"not asked": func(s *scene) {
			s.campaign.Offer.Mode, s.campaign.Offer.Prompt = campaigns.ModeSend, "sound:coming"
			s.campaign.Prompts.Sent = "sound:sent"
		},
		"not asked, and the provider refuses": func(s *scene) {
			s.campaign.Offer.Mode, s.campaign.Offer.Prompt = campaigns.ModeSend, "sound:coming"
			s.campaign.Prompts.Failed = "sound:failed"
			s.box.states = []message.State{message.Failed}
		},
		"opted out in the prompt": func(s *scene) {
			s.campaign.Offer.OptOut, s.campaign.Prompts.OptedOut = "9", "sound:opted-out"
			s.after(time.Second, func() { s.key("9") })
		},
		"opted out, and the store is silent": func(s *scene) {
			s.campaign.Offer.OptOut, s.campaign.Prompts.OptedOut = "9", "sound:opted-out"
			s.wishes.slow = true
			s.after(time.Second, func() { s.key("9") })
		},
		"refused after the offer": func(s *scene) {
			s.campaign.Prompts.Failed = "sound:failed"
			s.box.err = &guard.Refused{Refusal: guard.Refusal{Reason: guard.Cooldown}}
			s.after(time.Second, func() { s.key("1") })
		},
		"the history is slow": func(s *scene) {
			s.arrival.Args = []string{"dnis=" + dialled, "ani=" + mobile}
			s.door.takes = lookLimit / 2
		},
		"the history is slow, where there is time": func(s *scene) {
			s.arrival.Args = []string{"dnis=" + dialled, "ani=" + mobile}
			s.door.timeout, s.door.takes = time.Second, 900*time.Millisecond
		},
		"stopped in a prompt": func(s *scene) {
			s.length = time.Minute
			s.cancelAfter(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for n, more := 0, true; more; n++ {
				synctest.Test(t, func(t *testing.T) {
					s := newScene(t)
					s.arrival.Args = append([]string(nil), arrival.Args...)
					setUp(s)
					s.silentFrom = n
					call, _ := s.play(t)
					more = !s.silentSince.IsZero()
					if more {
						took := time.Since(s.silentSince)
						require.LessOrEqual(t, took, within, "%d: %v", n, s.said)
						require.Equal(t, "continue", s.said[len(s.said)-1], "it is tried to the last")
						t.Logf("%d: %v, %s: %v", n, took, call.Reason, s.said)
					}
					time.Sleep(time.Minute)
				})
			}
		})
	}
}
