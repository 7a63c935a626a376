package intercept

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

// outcome is how a scene ends.
type outcome struct {
	outcome report.Outcome
	reason  report.Reason
	said    string        // the commands
	took    time.Duration // exactly; not looked at when zero
}

// offerPrompt is the prompt of every campaign that asks.
const offerPrompt = "play sound:deflectd/offer"

func says(commands ...string) string { return strings.Join(commands, ", ") }

// TestScripts plays every way a call can go.
func TestScripts(t *testing.T) {
	ms := time.Millisecond
	for _, test := range []struct {
		name  string
		setUp func(s *scene)
		want  outcome
	}{
		// The decision lets the call go unanswered, with two requests.
		{
			"no campaign",
			func(s *scene) { s.book.campaign = nil },
			outcome{report.Passed, report.NoCampaign, says("set", "continue"), 0},
		},
		{
			"a campaign that is disabled",
			func(s *scene) { s.campaign.Enabled = new(bool) },
			outcome{report.Passed, report.CampaignDisabled, says("set", "continue"), 0},
		},
		{
			"the service is off",
			func(s *scene) { s.book.off = true },
			outcome{report.Passed, report.ServiceOff, says("set", "continue"), 0},
		},
		{
			"a withheld number",
			func(s *scene) { s.arrival.Args[1] = "ani=anonymous" },
			outcome{report.Passed, report.ANIWithheld, says("set", "continue"), 0},
		},
		{
			"a number not to be shown",
			func(s *scene) { s.arrival.Args[2] = "pres=prohib_passed_screen" },
			outcome{report.Passed, report.ANIWithheld, says("set", "continue"), 0},
		},
		{
			"what is no number",
			func(s *scene) { s.arrival.Args[1] = "ani=123" },
			outcome{report.Passed, report.ANIInvalid, says("set", "continue"), 0},
		},
		{
			"one of our numbers",
			func(s *scene) { s.arrival.Args[1] = "ani=" + dialled },
			outcome{report.Passed, report.ANIOwnNumber, says("set", "continue"), 0},
		},
		{
			"a forwarded call",
			func(s *scene) { s.arrival.Args[3] = "rdnis=4155550199" },
			outcome{report.Passed, report.ANIForwarded, says("set", "continue"), 0},
		},
		{
			"a country that is not allowed",
			func(s *scene) { s.arrival.Args[1] = "ani=+4915112345678" },
			outcome{report.Passed, report.CountryNotAllowed, says("set", "continue"), 0},
		},
		{
			"a kind of line that is not texted",
			func(s *scene) { s.door.landlines = true },
			outcome{report.Passed, report.NotMobile, says("set", "continue"), 0},
		},
		{
			"nothing that a text could come from",
			func(s *scene) { s.options.Senders = senders(false) },
			outcome{report.Passed, report.ServiceOff, says("set", "continue"), 0},
		},
		{
			"the switch is slow",
			func(s *scene) {
				s.options.Latency = func() time.Duration { return time.Second }
				s.start().gate.setting.Store(setupFine)
				s.instead["set"] = func(context.Context) error {
					s.i.gate.setting.Add(-setupFine)
					return nil
				}
			},
			outcome{report.Passed, report.Overload, says("set", "continue"), 0},
		},
		{
			"the daemon is being stopped",
			func(s *scene) { _ = s.start().Drain(s.ctx) },
			outcome{report.Passed, report.ShuttingDown, says("set", "continue"), 0},
		},
		{
			"the campaigns were never read",
			func(s *scene) { s.book.away, s.book.campaign = true, nil },
			outcome{report.Failed, report.StoreDown, says("set", "continue"), 0},
		},
		{
			"the provider is known to be down",
			func(s *scene) { s.box.down = true },
			outcome{report.Failed, report.ProviderDown, says("set", "continue"), 0},
		},

		// The offer.
		{
			"accepted after the prompt",
			func(s *scene) { s.after(4*time.Second, func() { s.key("1") }) },
			outcome{report.Deflected, report.Released, says("answer", offerPrompt, "hangup"), 4100 * ms},
		},
		{
			"accepted during the prompt",
			func(s *scene) { s.after(time.Second, func() { s.key("1") }) },
			outcome{report.Deflected, report.Released, says("answer", offerPrompt, "stop", "hangup"), 1100 * ms},
		},
		{
			"accepted before the prompt",
			func(s *scene) { s.key("1") },
			outcome{report.Deflected, report.Released, says("answer", "hangup"), 100 * ms},
		},
		{
			"declined during the prompt",
			func(s *scene) { s.after(time.Second, func() { s.key("2") }) },
			outcome{report.Declined, report.KeypressDecline, says("answer", offerPrompt, "stop", "set", "continue"), time.Second},
		},
		{
			"zero is a person",
			func(s *scene) { s.after(time.Second, func() { s.key("0") }) },
			outcome{report.Declined, report.KeypressDecline, says("answer", offerPrompt, "stop", "set", "continue"), time.Second},
		},
		{
			"zero that accepts",
			func(s *scene) {
				s.campaign.Offer.Accept = "0"
				s.after(time.Second, func() { s.key("0") })
			},
			outcome{report.Deflected, report.Released, says("answer", offerPrompt, "stop", "hangup"), 1100 * ms},
		},
		{
			"no key",
			func(*scene) {},
			outcome{report.Declined, report.NoKeypress, says("answer", offerPrompt, offerPrompt, "set", "continue"), 16 * time.Second},
		},
		{
			"wrong keys only",
			func(s *scene) {
				s.after(time.Second, func() { s.key("7") })
				s.after(7*time.Second, func() { s.key("#") })
			},
			outcome{report.Declined, report.NoKeypress, says("answer", offerPrompt, offerPrompt, "set", "continue"), 16 * time.Second},
		},
		{
			"accepted on the second attempt",
			func(s *scene) { s.after(9*time.Second, func() { s.key("1") }) },
			outcome{report.Deflected, report.Released, says("answer", offerPrompt, offerPrompt, "stop", "hangup"), 9100 * ms},
		},
		{
			"the first key that decides counts",
			func(s *scene) {
				s.key("5")
				s.key("2")
				s.key("1")
			},
			outcome{report.Declined, report.KeypressDecline, says("answer", "set", "continue"), 0},
		},
		{
			"several sounds",
			func(s *scene) {
				s.campaign.Offer.Prompt = "sound:hello,sound:deflectd/offer"
				s.after(time.Second, func() { s.key("2") })
			},
			outcome{report.Declined, report.KeypressDecline, says("answer", "play sound:hello&sound:deflectd/offer", "stop", "set", "continue"), 0},
		},
		{
			"the offer is refused",
			func(s *scene) { s.instead["play"] = refuse },
			outcome{report.Failed, report.PromptFailed, says("answer", offerPrompt, "stop", "set", "continue"), 0},
		},
		{
			"the offer does not exist",
			func(s *scene) {
				s.instead["play"] = func(context.Context) error {
					s.finished("playback-1", "failed")
					return nil
				}
			},
			outcome{report.Failed, report.PromptFailed, says("answer", offerPrompt, "set", "continue"), 0},
		},
		{
			"the end of the offer is never told",
			func(s *scene) { s.instead["play"] = func(context.Context) error { return nil } },
			outcome{report.Failed, report.PromptFailed, says("answer", offerPrompt, "stop", "set", "continue"), promptLimit},
		},

		// The caller hangs up.
		{
			"gone before the answer",
			func(s *scene) { s.hangUp() },
			outcome{report.Abandoned, report.CallerHungUp, "", 0},
		},
		{
			"gone at the answer",
			func(s *scene) {
				s.instead["answer"] = func(context.Context) error {
					s.hangUp()
					return goneError{}
				}
			},
			outcome{report.Abandoned, report.CallerHungUp, says("answer"), 0},
		},
		{
			"gone, and no event says so",
			func(s *scene) { s.instead["answer"] = func(context.Context) error { return goneError{} } },
			outcome{report.Abandoned, report.CallerHungUp, says("answer"), goneLimit},
		},
		{
			"gone in the offer",
			func(s *scene) { s.after(time.Second, s.hangUp) },
			outcome{report.Abandoned, report.CallerHungUp, says("answer", offerPrompt), time.Second},
		},
		{
			"gone while waiting for a key",
			func(s *scene) { s.after(3*time.Second, s.hangUp) },
			outcome{report.Abandoned, report.CallerHungUp, says("answer", offerPrompt), 3 * time.Second},
		},
		{
			"accepts and hangs up",
			func(s *scene) {
				s.after(time.Second, func() {
					s.key("1")
					s.hangUp()
				})
			},
			outcome{report.Deflected, report.CallerHungUp, says("answer", offerPrompt, "stop"), time.Second},
		},
		{
			"gone while the text is sent",
			func(s *scene) {
				s.key("1")
				s.box.every = time.Second
				s.after(1500*ms, s.hangUp)
			},
			outcome{report.Deflected, report.CallerHungUp, says("answer"), 1500 * ms},
		},
		{
			"gone in the last prompt",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:deflectd/sent"
				s.after(time.Second, s.hangUp)
			},
			outcome{report.Deflected, report.CallerHungUp, says("answer", "play sound:deflectd/sent"), time.Second},
		},

		// The text, and the release.
		{
			"the last prompt",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:deflectd/sent"
			},
			outcome{report.Deflected, report.Released, says("answer", "play sound:deflectd/sent", "hangup"), 2100 * ms},
		},
		{
			"the last prompt does not exist",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:deflectd/sent"
				s.instead["play"] = func(context.Context) error {
					s.finished("playback-1", "failed")
					return nil
				}
			},
			outcome{report.Deflected, report.Released, says("answer", "play sound:deflectd/sent", "hangup"), 100 * ms},
		},
		{
			"the last prompt is refused",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent = "sound:deflectd/sent"
				s.instead["play"] = refuse
			},
			outcome{report.Deflected, report.Released, says("answer", "play sound:deflectd/sent", "hangup"), 100 * ms},
		},
		{
			"not waiting for the provider",
			func(s *scene) {
				s.key("1")
				s.campaign.Release.WaitFor = campaigns.WaitQueued
				s.box.down = true
				s.box.states = nil
			},
			outcome{report.Deflected, report.Released, says("answer", "hangup"), 0},
		},
		{
			"delivered before it was accepted",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Delivered}
			},
			outcome{report.Deflected, report.Released, says("answer", "hangup"), 50 * ms},
		},
		{
			"transfer",
			func(s *scene) {
				s.key("1")
				s.campaign.Release.Action = campaigns.ActionTransfer
				s.campaign.Prompts.Sent = "sound:deflectd/sent"
			},
			outcome{report.Texted, report.ToTransfer, says("answer", "play sound:deflectd/sent", "set", "continue"), 2100 * ms},
		},
		{
			"gone at the transfer",
			func(s *scene) {
				s.key("1")
				s.campaign.Release.Action = campaigns.ActionTransfer
				s.instead["set"] = func(context.Context) error {
					s.hangUp()
					return goneError{}
				}
			},
			outcome{report.Deflected, report.CallerHungUp, says("answer", "set"), 100 * ms},
		},
		{
			"refused",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Sending, message.Failed}
			},
			outcome{report.Failed, report.MessageRejected, says("answer", "set", "continue"), 100 * ms},
		},
		{
			"refused, with a prompt",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Failed = "sound:deflectd/failed"
				s.box.states = []message.State{message.Failed}
			},
			outcome{report.Failed, report.MessageRejected, says("answer", "play sound:deflectd/failed", "set", "continue"), 2050 * ms},
		},
		{
			"refused, and the caller is gone",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Failed = "sound:deflectd/failed"
				s.box.states = []message.State{message.Failed}
				s.after(time.Second, s.hangUp)
			},
			outcome{report.Failed, report.MessageRejected, says("answer", "play sound:deflectd/failed"), time.Second},
		},
		{
			"cancelled by somebody else",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Cancelled}
			},
			outcome{report.Failed, report.MessageRejected, says("answer", "set", "continue"), 50 * ms},
		},
		{
			"unknown",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Sending, message.Unknown}
				s.box.cancelled = message.Unknown
			},
			outcome{report.Failed, report.MessageTimeout, says("answer", "set", "continue"), 100 * ms},
		},
		{
			"no more news",
			func(s *scene) {
				s.key("1")
				s.box.states, s.box.closes = nil, true
				s.box.cancelled = message.Sending
			},
			outcome{report.Failed, report.MessageTimeout, says("answer", "set", "continue"), 50 * ms},
		},
		{
			"expired",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Expired}
			},
			outcome{report.Failed, report.MessageTimeout, says("answer", "set", "continue"), 50 * ms},
		},
		{
			"it takes too long",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Sending}
				s.box.cancelled = message.Sending
			},
			outcome{report.Failed, report.MessageTimeout, says("answer", "set", "continue"), 5 * time.Second},
		},
		{
			"it takes too long, and is accepted in the last moment",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Sending}
				s.box.cancelled = message.Accepted
			},
			outcome{report.Deflected, report.Released, says("answer", "hangup"), 5 * time.Second},
		},
		{
			"it takes too long, and the store is away",
			func(s *scene) {
				s.key("1")
				s.box.states = nil
				s.box.cancelErr = message.ErrStore
			},
			outcome{report.Failed, report.MessageTimeout, says("answer", "set", "continue"), 5 * time.Second},
		},
		{
			"not processed, and tried again",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Sending, message.Queued, message.Sending, message.Accepted}
			},
			outcome{report.Deflected, report.Released, says("answer", "hangup"), 200 * ms},
		},
		{
			"not processed, and the provider is down",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Failed = "sound:deflectd/failed"
				s.box.states = []message.State{message.Sending, message.Queued}
				s.box.downAfter = true
			},
			outcome{report.Failed, report.ProviderDown, says("answer", "play sound:deflectd/failed", "set", "continue"), 2100 * ms},
		},
		{
			"the provider is down, and the text may be under way",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Failed = "sound:deflectd/failed"
				s.box.states = []message.State{message.Queued}
				s.box.downAfter = true
				s.box.cancelled = message.Sending
			},
			outcome{report.Failed, report.ProviderDown, says("answer", "set", "continue"), 50 * ms},
		},
		{
			"the provider was down, and took the text",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Queued}
				s.box.downAfter = true
				s.box.cancelled = message.Accepted
			},
			outcome{report.Deflected, report.Released, says("answer", "hangup"), 50 * ms},
		},
		{
			"the store is down",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Failed = "sound:deflectd/failed"
				s.box.err = message.ErrStore
			},
			outcome{report.Failed, report.StoreDown, says("answer", "play sound:deflectd/failed", "set", "continue"), 2 * time.Second},
		},
		{
			"the store hangs",
			func(s *scene) {
				s.key("1")
				s.box.slow = true
			},
			outcome{report.Failed, report.StoreDown, says("answer", "set", "continue"), sendLimit},
		},
		{
			"the service was switched off meanwhile",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Failed = "sound:deflectd/failed"
				s.box.err = message.ErrServiceOff
			},
			outcome{report.Passed, report.ServiceOff, says("answer", "play sound:deflectd/failed", "set", "continue"), 2 * time.Second},
		},
		{
			"the last sender was given back meanwhile",
			func(s *scene) {
				s.key("1")
				s.box.err = message.ErrNoSender
			},
			outcome{report.Passed, report.ServiceOff, says("answer", "set", "continue"), 0},
		},
		{
			"the outbox is stopping",
			func(s *scene) {
				s.key("1")
				s.box.err = message.ErrClosed
			},
			outcome{report.Passed, report.ShuttingDown, says("answer", "set", "continue"), 0},
		},
		{
			"a text that cannot be made",
			func(s *scene) {
				s.key("1")
				s.box.err = errors.New("segments")
			},
			outcome{report.Failed, report.Internal, says("answer", "set", "continue"), 0},
		},

		// Not asking.
		{
			"sent without asking",
			func(s *scene) {
				s.campaign.Offer.Mode, s.campaign.Offer.Prompt = campaigns.ModeSend, "sound:coming"
			},
			outcome{report.Deflected, report.Released, says("answer", "play sound:coming", "hangup"), 2 * time.Second},
		},
		{
			"sent without asking and without a word",
			func(s *scene) { s.campaign.Offer.Mode, s.campaign.Offer.Prompt = campaigns.ModeSend, "" },
			outcome{report.Deflected, report.Released, says("answer", "hangup"), 100 * ms},
		},
		{
			"sent without asking, and the prompt fails",
			func(s *scene) {
				s.campaign.Offer.Mode, s.campaign.Offer.Prompt = campaigns.ModeSend, "sound:coming"
				s.instead["play"] = refuse
			},
			outcome{report.Deflected, report.Released, says("answer", "play sound:coming", "stop", "hangup"), 100 * ms},
		},
		{
			"sent without asking, and refused in the prompt",
			func(s *scene) {
				s.campaign.Offer.Mode, s.campaign.Offer.Prompt = campaigns.ModeSend, "sound:coming"
				s.campaign.Prompts.Failed = "sound:failed"
				s.box.states = []message.State{message.Failed}
			},
			outcome{report.Failed, report.MessageRejected, says("answer", "play sound:coming", "stop", "play sound:failed", "set", "continue"), 2050 * ms},
		},
		{
			"sent without asking, and too slow for a long prompt",
			func(s *scene) {
				s.campaign.Offer.Mode, s.campaign.Offer.Prompt = campaigns.ModeSend, "sound:coming"
				s.length = time.Minute
				s.box.states = nil
			},
			outcome{report.Failed, report.MessageTimeout, says("answer", "play sound:coming", "stop", "set", "continue"), 5 * time.Second},
		},
		{
			"sent without asking, and the caller hangs up in the prompt",
			func(s *scene) {
				s.campaign.Offer.Mode, s.campaign.Offer.Prompt = campaigns.ModeSend, "sound:coming"
				s.after(time.Second, s.hangUp)
			},
			outcome{report.Deflected, report.CallerHungUp, says("answer", "play sound:coming"), time.Second},
		},
		{
			"not asking, and gone before the text",
			func(s *scene) {
				s.campaign.Offer.Mode, s.campaign.Offer.Prompt = campaigns.ModeSend, ""
				s.instead["answer"] = func(context.Context) error {
					s.hangUp()
					return nil
				}
			},
			outcome{report.Abandoned, report.CallerHungUp, says("answer"), 0},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.arrival.Args = append([]string(nil), arrival.Args...)
				test.setUp(s)
				call, took := s.play(t)
				require.Equal(t, test.want.outcome, call.Outcome)
				require.Equal(t, test.want.reason, call.Reason)
				require.Equal(t, test.want.said, strings.Join(s.said, ", "))
				if test.want.took != 0 {
					require.Equal(t, test.want.took, took)
				}
				require.Contains(t, report.Reasons[call.Outcome], call.Reason)
				require.LessOrEqual(t, len(s.box.sent), 1)
				time.Sleep(time.Minute) // what is still planned happens in vain
			})
		})
	}
}

// TestRecord looks at the whole record of a call, and at what the dialplan is
// told.
func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		began := time.Now()
		s.campaign.Release.Action = campaigns.ActionTransfer
		s.campaign.Release.Transfer = campaigns.Transfer{Context: "queues", Extension: "billing", Priority: 1}
		s.after(time.Second, func() { s.key("1") })
		call, _ := s.play(t)

		ms := func(n int) time.Time { return began.Add(time.Duration(n) * time.Millisecond) }
		id := report.CallID([]byte("secret"), "pbx1", arrival.Channel, arrival.Created)
		require.Empty(t, cmp.Diff(report.Call{
			ID: id, Node: "pbx1", Channel: arrival.Channel, DNIS: dialled, ANI: mobile, Presentation: "allowed",
			Campaign: "billing", Outcome: report.Texted, Reason: report.ToTransfer, Message: "message-1",
			Started: began, Answered: began, Ended: ms(1100),
			Steps: []report.Step{
				{At: began, Name: "intercepted"},
				{At: began, Name: "answered"},
				{At: began, Name: "prompt", Detail: "offer"},
				{At: ms(1000), Name: "key", Detail: "accept"},
				{At: ms(1000), Name: "text", Detail: "queued"},
				{At: ms(1050), Name: "text", Detail: "sending"},
				{At: ms(1100), Name: "text", Detail: "accepted"},
				{At: ms(1100), Name: "let go"},
			},
		}, call))
		require.Equal(t, map[string]string{
			"DEFLECTD_CALL": id, "DEFLECTD_CAMPAIGN": "billing", "DEFLECTD_OUTCOME": "texted",
			"DEFLECTD_REASON": "transfer", "DEFLECTD_MESSAGE": "message-1",
			"DEFLECTD_TRANSFER": "queues,billing,1",
		}, s.vars)
		require.Equal(t, message.Request{
			Campaign: s.campaign, To: s.box.sent[0].To, Call: id,
		}, s.box.sent[0])
		require.Equal(t, mobile, s.box.sent[0].To.E164)
	})
}

// TestTimeoutTransfers checks that a call whose text took too long goes where
// the campaign transfers calls to, and that other failures do not.
func TestTimeoutTransfers(t *testing.T) {
	for state, want := range map[message.State]string{message.Sending: "queues,s,1", message.Failed: ""} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.campaign.Release.Transfer = campaigns.Transfer{Context: "queues", Extension: "s", Priority: 1}
			s.box.states = []message.State{state}
			s.key("1")
			s.play(t)
			require.Equal(t, want, s.vars["DEFLECTD_TRANSFER"])
		})
	}
}

// TestActive looks at a call that is at hand.
func TestActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		i := s.start()
		s.after(time.Second, func() {
			live := i.Active()
			require.Len(t, live, 1)
			require.Equal(t, "billing", live[0].Campaign)
			require.Empty(t, live[0].Outcome)
			require.Equal(t, "prompt", live[0].Steps[2].Name)
			s.key("2")
		})
		s.play(t)
	})
}

// TestUnknownEvents checks that events that mean nothing here change nothing.
func TestUnknownEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.send(&arilib.ChannelVarset{}, nil, &arilib.PlaybackFinished{}, &arilib.ChannelDtmfReceived{})
		s.after(time.Second, func() { s.finished("playback-of-somebody-else", "failed") })
		s.after(1500*time.Millisecond, func() { s.key("2") })
		call, _ := s.play(t)
		require.Equal(t, report.KeypressDecline, call.Reason)
	})
}

// TestHeldCalls holds a thousand calls and weighs them.
func TestHeldCalls(t *testing.T) {
	const held, most = 1000, 50 << 10
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	s := newScene(t)
	i := s.start()
	before := memory()
	channels := make([]*channel, held)
	var calls sync.WaitGroup
	for n := range channels {
		channels[n] = newChannel()
		channels[n].length = time.Hour
		calls.Go(func() { i.Handle(t.Context(), channels[n], s.arrival) })
		for i.gate.active.Load() <= int64(n) || i.gate.setting.Load() > 0 {
			runtime.Gosched() // one after another: at once it would be an overload
		}
	}
	require.Equal(t, held, len(i.Active())) //nolint:testifylint // a thousand calls are nothing to print
	each := (memory() - before) / held
	t.Logf("%d bytes for each call", each)
	require.Less(t, each, uint64(most))
	for _, ch := range channels {
		ch.key("2")
	}
	calls.Wait()
}
