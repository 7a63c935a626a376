package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// TestCalls proves the outcomes that need nothing to be broken, all on one
// daemon, at the same time.
func TestCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	d := w.serve(t)
	t.Run("all", func(t *testing.T) {
		for name, group := range map[string]func(*testing.T, *world){
			"deflected": testDeflected, "hung up after the key": testHungUpAfterKey, "transferred": testTransferred,
			"declined": testDeclined, "passed": testPassed, "abandoned": testAbandoned, "prompts that fail": testPromptsFail,
			"links": testLinks, "admin": testAdmin,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				group(t, w)
			})
		}
	})
	w.audit(t, d, 0)
	testMetrics(t, w)
}

// testMetrics looks at what Prometheus gets after calls of every kind.
func testMetrics(t *testing.T, w *world) {
	text := request(t, http.MethodGet, w.admin+"/metrics", "").body
	for _, name := range []string{
		"calls_total", "calls_active", "call_decision_seconds_count", "call_answer_seconds_count",
		"messages_total", "message_submit_seconds_count", "message_delivery_seconds_count", "outbox_messages",
		"outbox_oldest_seconds", "link_opens_total", "asterisk_up", "asterisk_reconnects_total", "redis_up", "build_info",
	} {
		require.Contains(t, text, "\ndeflectd_"+name)
	}
	require.InDelta(t, 1, w.metric(t, `deflectd_asterisk_up{node="pbx"}`), 0)
	require.InDelta(t, 1, w.metric(t, "deflectd_redis_up"), 0)
	require.InDelta(t, w.sum(t, "deflectd_calls_total{"), w.metric(t, "deflectd_call_decision_seconds_count"), 0)
	for _, kind := range []string{"unknown", "dropped"} {
		require.Zero(t, w.sum(t, "deflectd_asterisk_events_"+kind), kind)
	}
	require.NotRegexp(t, `="[^"]*\d{7}`, text, "a label holds a number")
}

// presses is a caller who waits for a moment after the answer, presses keys
// (RFC 4733), and waits.
func presses(keys string) []lab.Step {
	return []lab.Step{lab.Answered(), lab.Pause(500 * time.Millisecond), lab.Press(keys), lab.AwaitBye()}
}

// short makes an offer that waits for a key for a second only.
func short(c *campaigns.Campaign) { c.Offer.Timeout = campaigns.Duration(time.Second) }

func testDeflected(t *testing.T, w *world) {
	minute := func(c *campaigns.Campaign) { c.Offer.Prompt = lab.SoundMinute }
	inSendMode := func(c *campaigns.Campaign) { c.Offer = campaigns.Offer{Mode: campaigns.ModeSend} }
	taken := []string{"text queued", "text sending", "text accepted"}
	tests := map[string]struct {
		change func(*campaigns.Campaign)
		steps  []lab.Step
		// What happened before the text, where that is certain, and after it.
		before, after []string
	}{
		"key during the prompt": {nil, presses("1"), []string{"prompt offer", "key accept"}, nil},
		"key after the prompt": {
			nil,
			[]lab.Step{lab.Answered(), lab.Pause(1800 * time.Millisecond), lab.Press("1"), lab.AwaitBye()},
			[]string{"prompt offer", "key accept"},
			nil,
		},
		"key during a prompt of a minute":     {minute, presses("1"), []string{"prompt offer", "key accept"}, nil},
		"key at once, by RFC 4733":            {minute, []lab.Step{lab.Answered(), lab.Press("1"), lab.AwaitBye()}, nil, nil},
		"key at once, by INFO":                {minute, []lab.Step{lab.Answered(), lab.PressInfo("1"), lab.AwaitBye()}, nil, nil},
		"key by INFO":                         {nil, []lab.Step{lab.Answered(), lab.Pause(500 * time.Millisecond), lab.PressInfo("1"), lab.AwaitBye()}, []string{"prompt offer", "key accept"}, nil},
		"keys that mean nothing are ignored":  {minute, presses("5*1"), []string{"prompt offer", "key accept"}, nil},
		"another key":                         {func(c *campaigns.Campaign) { c.Offer.Accept = "#" }, presses("1#"), []string{"prompt offer", "key accept"}, nil},
		"released as soon as it is queued":    {func(c *campaigns.Campaign) { c.Release.WaitFor = campaigns.WaitQueued }, presses("1"), []string{"prompt offer", "key accept"}, nil},
		"with a word after the text":          {func(c *campaigns.Campaign) { c.Prompts.Sent = lab.SoundSecond }, presses("1"), []string{"prompt offer", "key accept"}, []string{"prompt sent"}},
		"without asking":                      {inSendMode, nil, []string{}, nil},
		"without asking, with a word with it": {func(c *campaigns.Campaign) { inSendMode(c); c.Offer.Prompt = lab.SoundSecond }, nil, []string{}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := test.change
			if change == nil {
				change = func(*campaigns.Campaign) {}
			}
			c, caller := w.campaign(t, change), w.number()
			r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: test.steps})
			w.released(t, r)
			require.Less(t, r.Setup(), allowed)
			require.Less(t, r.Talk(), 12*time.Second, "the caller waited")
			record := w.ended(t, c, report.Deflected, report.Released)
			require.Equal(t, c.DNIS[0], record.DNIS)
			require.Equal(t, caller, record.ANI)
			m := w.message(t, record.Message, message.Accepted)
			w.sent(t, c, caller, m)
			require.Equal(t, record.ID, m.Call)

			what := steps(record)
			require.Equal(t, []string{"intercepted", "answered"}, what[:2])
			require.Equal(t, "released", what[len(what)-1])
			if test.before != nil {
				require.Equal(t, append(append([]string{"intercepted", "answered"}, test.before...), "text queued"), what[:len(test.before)+3])
			}
			if c.Release.WaitFor == campaigns.WaitAccepted {
				require.Subset(t, what, taken)
			}
			require.Subset(t, what, test.after)
		})
	}
	t.Run("key in a later attempt", func(t *testing.T) {
		t.Parallel()
		c, caller := w.campaign(t, func(c *campaigns.Campaign) { short(c); c.Offer.Attempts = 5 }), w.number()
		w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: []lab.Step{
			lab.Answered(), lab.Pause(4500 * time.Millisecond), lab.Press("1"), lab.AwaitBye(),
		}}))
		record := w.ended(t, c, report.Deflected, report.Released)
		require.Greater(t, count(record, "prompt offer"), 1)
		w.sent(t, c, caller, w.message(t, record.Message, message.Accepted))
	})
	t.Run("in another alphabet", func(t *testing.T) {
		t.Parallel()
		c, caller := w.campaign(t, func(c *campaigns.Campaign) { c.Text = "Гараж: помощь здесь {link} 🚗"; inSendMode(c) }), w.number()
		w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller}))
		m := w.message(t, w.ended(t, c, report.Deflected, report.Released).Message, message.Accepted)
		w.sent(t, c, caller, m)
	})
	t.Run("of a campaign that says everything", func(t *testing.T) {
		t.Parallel()
		c, caller := w.campaign(t, func(c *campaigns.Campaign) {
			c.Originator, c.Validity = "Billing", campaigns.Duration(90*time.Second)
			inSendMode(c)
		}), w.number()
		w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, DisplayName: `Zoë "Z" O'Hara, Ltd; <dnis=1>`}))
		m := w.message(t, w.ended(t, c, report.Deflected, report.Released).Message, message.Accepted)
		w.sent(t, c, caller, m)
	})
}

// sent asserts that the provider got the one text of a campaign to a caller as
// the message says, with all that belongs to it.
func (w *world) sent(t *testing.T, c campaigns.Campaign, caller string, m message.Message) {
	t.Helper()
	text := w.text(t, caller)
	originator := c.Originator
	if originator == "" {
		originator = "Acme"
	}
	coding := map[string]string{message.GSM7: "plain", message.UCS2: "unicode"}[m.Encoding]
	validity := time.Duration(c.Validity)
	require.Equal(t, []string{caller[1:]}, text.Recipients)
	require.Equal(t, originator, text.Originator)
	require.Equal(t, message.Compose(&c, m.URL, nil), text.Body)
	require.Equal(t, w.public+"/"+m.Link, m.URL)
	require.Len(t, m.Link, 11)
	require.Contains(t, text.Body, m.URL)
	require.NotContains(t, m.URL, caller[1:])
	require.Equal(t, m.ID, text.Reference)
	require.Equal(t, coding, text.DataCoding)
	require.LessOrEqual(t, text.Validity, int(validity.Seconds()))
	require.Greater(t, text.Validity, int(validity.Seconds())-10)
	require.Contains(t, text.ReportURL, w.public+"/webhooks/messagebird/report/")
	require.Equal(t, text.ID, m.ProviderID)
	require.Equal(t, "messagebird", m.Provider)
	require.Equal(t, caller, m.To)
	require.Equal(t, c.ID, m.Campaign)
	w.counted(t, 1, `deflectd_messages_total{campaign="`+c.ID+`",state="accepted"}`)
}

// Who presses the key has asked for the text, whenever they hang up, and gets
// it once.
func testHungUpAfterKey(t *testing.T, w *world) {
	t.Run("during a word after the text", func(t *testing.T) {
		t.Parallel()
		c, caller := w.campaign(t, func(c *campaigns.Campaign) { c.Prompts.Sent = lab.SoundMinute }), w.number()
		r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: []lab.Step{
			lab.Answered(), lab.Press("1"), lab.Pause(time.Second), lab.Hangup(),
		}})
		require.Equal(t, lab.ByCaller, r.HungUpBy)
		w.nowhere(t, r)
		record := w.ended(t, c, report.Deflected, report.CallerHungUp)
		w.sent(t, c, caller, w.message(t, record.Message, message.Accepted))
	})
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		c, caller := w.campaign(t), w.number()
		r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: []lab.Step{
			lab.Answered(), lab.Pause(100 * time.Millisecond), lab.Press("1"), lab.Hangup(),
		}})
		w.nowhere(t, r)
		// Which of the key, the text and the BYE was first is a matter of
		// milliseconds; a key that arrived is a text, and only then.
		record := w.record(t, url.Values{"campaign": {c.ID}})
		if count(record, "key accept") == 0 {
			require.Equal(t, report.Abandoned, record.Outcome)
			w.noText(t, caller)
			return
		}
		require.Equal(t, report.Deflected, record.Outcome)
		w.sent(t, c, caller, w.message(t, record.Message, message.Accepted))
	})
}

func testTransferred(t *testing.T, w *world) {
	to := func(transfer campaigns.Transfer) func(*campaigns.Campaign) {
		return func(c *campaigns.Campaign) {
			c.Release.Action, c.Release.Transfer = campaigns.ActionTransfer, transfer
		}
	}
	tests := map[string]struct {
		change    func(*campaigns.Campaign)
		context   string
		target    string
		through   []string
		extension string
	}{
		"to a place that exists":           {to(campaigns.Transfer{Context: "agents", Extension: "7001"}), "agents", "agents,7001,1", nil, "7001"},
		"nowhere special":                  {to(campaigns.Transfer{}), "ivr", "", nil, ""},
		"to a context that does not exist": {to(campaigns.Transfer{Context: "nonesuch", Extension: "7001", Priority: 1}), "ivr", "nonesuch,7001,1", nil, ""},
		"to a priority that does not exist": {
			to(campaigns.Transfer{Context: "agents", Extension: "7001", Priority: 999}), "ivr", "agents,7001,999", nil, "",
		},
		"to a place that leads back":  {to(campaigns.Transfer{Context: "loop", Extension: "7001"}), "ivr", "loop,7001,1", []string{"loop"}, "7001"},
		"straight back into deflectd": {to(campaigns.Transfer{Context: "deflectd", Extension: "7001"}), "ivr", "deflectd,7001,1", nil, "7001"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, caller := w.campaign(t, test.change), w.number()
			r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: presses("1")})
			record := w.ended(t, c, report.Texted, report.ToTransfer)
			extension := test.extension
			if extension == "" {
				extension = c.DNIS[0]
			}
			a := w.letGo(t, r, record, test.context, test.target, test.through...)
			require.Equal(t, extension, a.Extension)
			require.Equal(t, "Up", a.State)
			w.sent(t, c, caller, w.message(t, record.Message, message.Accepted))
			require.Equal(t, "let go", steps(record)[len(record.Steps)-1])
		})
	}
}

// letGo asserts that a call came out in a context, through no other than those
// named, with the variables that its record asks for.
func (w *world) letGo(t *testing.T, r lab.Result, record report.Call, context, transfer string, through ...string) lab.Arrival {
	t.Helper()
	var last lab.Arrival
	var passed []string
	eventually(t, func() error {
		arrivals, err := w.asterisk.Arrivals()
		require.NoError(t, err)
		passed = nil
		for _, a := range arrivals {
			if a.CallID == r.CallID {
				last, passed = a, append(passed, a.Context)
			}
		}
		if len(passed) <= len(through) {
			return errNotYet
		}
		return nil
	})
	require.Equal(t, append(through, context), passed)
	require.Equal(t, 200, r.Status)
	require.Equal(t, lab.BySwitch, r.HungUpBy)
	require.Equal(t, map[string]int{"ivr": lab.CauseIVR, "agents": lab.CauseAgents}[context], r.Cause)
	require.Equal(t, "SUCCESS", last.StasisStatus)
	want := map[string]string{
		"DEFLECTD_DNIS": last.Variables["DEFLECTD_DNIS"],
		"DEFLECTD_CALL": record.ID, "DEFLECTD_CAMPAIGN": record.Campaign, "DEFLECTD_OUTCOME": string(record.Outcome),
		"DEFLECTD_REASON": string(record.Reason), "DEFLECTD_MESSAGE": record.Message, "DEFLECTD_TRANSFER": transfer,
	}
	require.Equal(t, want, last.Variables)
	require.Equal(t, last.Channel, record.Channel)
	var again report.Call
	w.api(t, http.MethodGet, "/v1/calls/"+record.ID, nil).into(t, http.StatusOK, &again)
	require.Equal(t, record, again)
	return last
}
