package main

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// errNotYet has eventually wait on.
var errNotYet = errors.New("what is waited for has not happened")

func testDeclined(t *testing.T, w *world) {
	tests := map[string]struct {
		change  func(*campaigns.Campaign)
		steps   []lab.Step
		reason  report.Reason
		prompts int
	}{
		"by its key":            {nil, presses("2"), report.KeypressDecline, 1},
		"out of a long prompt":  {func(c *campaigns.Campaign) { c.Offer.Prompt = lab.SoundMinute }, presses("2"), report.KeypressDecline, 1},
		"by another key":        {func(c *campaigns.Campaign) { c.Offer.Decline = "7" }, presses("27"), report.KeypressDecline, 1},
		"0 reaches a person":    {nil, presses("0"), report.KeypressDecline, 1},
		"first decline, then 1": {nil, presses("21"), report.KeypressDecline, 1},
		"no key, two attempts":  {short, nil, report.NoKeypress, 2},
		"no key, one attempt":   {func(c *campaigns.Campaign) { short(c); c.Offer.Attempts = 1 }, nil, report.NoKeypress, 1},
		"keys that mean nothing": {
			func(c *campaigns.Campaign) { short(c); c.Offer.Attempts = 3 }, presses("9"), report.NoKeypress, 3,
		},
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
			record := w.ended(t, c, report.Declined, test.reason)
			a := w.letGo(t, r, record, "ivr", "")
			require.Equal(t, c.DNIS[0], a.Extension)
			require.Equal(t, "Up", a.State)
			require.Equal(t, test.prompts, count(record, "prompt offer"))
			if test.reason == report.NoKeypress {
				require.InDelta(t, test.prompts, r.Heard.Seconds(), 0.5, "each attempt was heard whole")
			}
			require.Empty(t, record.Message)
			w.noText(t, caller)
		})
	}
}

// A call that is passed is let go before it is answered.
func testPassed(t *testing.T, w *world) {
	other := w.campaign(t)
	tests := map[string]struct {
		change func(*campaigns.Campaign)
		caller lab.Caller
		reason report.Reason
	}{
		"campaign is off":                {func(c *campaigns.Campaign) { c.Enabled = new(bool) }, lab.Caller{}, report.CampaignDisabled},
		"anonymous":                      {nil, lab.Caller{From: "anonymous", DisplayName: "Anonymous"}, report.ANIWithheld},
		"withheld on the keypad":         {nil, lab.Caller{From: "+266696687"}, report.ANIWithheld},
		"zeros":                          {nil, lab.Caller{From: "0000000000"}, report.ANIWithheld},
		"number with a wish for privacy": {nil, lab.Caller{From: "anonymous", PAI: "+19075550111", Privacy: "id"}, report.ANIWithheld},
		"plain number with a wish for privacy": {
			nil, lab.Caller{From: "+19075550111", PAI: "+19075550111", Privacy: "id"}, report.ANIWithheld,
		},
		"extension as the caller":    {nil, lab.Caller{From: "1001"}, report.ANIInvalid},
		"name as the caller":         {nil, lab.Caller{From: "alice"}, report.ANIInvalid},
		"number that does not exist": {nil, lab.Caller{From: "+19995550123"}, report.ANIInvalid},
		"one of our own":             {nil, lab.Caller{From: ownNumber}, report.ANIOwnNumber},
		"one of ours, without +1":    {nil, lab.Caller{From: ownNumber[2:]}, report.ANIOwnNumber},
		"number of a campaign":       {nil, lab.Caller{From: other.DNIS[0]}, report.ANIOwnNumber},
		"forwarded":                  {nil, lab.Caller{Diversion: "+19075550112"}, report.ANIForwarded},
		"forwarded and withheld":     {nil, lab.Caller{From: "anonymous", Diversion: "+19075550112"}, report.ANIForwarded},
		"from abroad":                {nil, lab.Caller{From: "+442071838750"}, report.CountryNotAllowed},
		"same code, another country": {nil, lab.Caller{From: "+14165550123"}, report.CountryNotAllowed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := test.change
			if change == nil {
				change = func(*campaigns.Campaign) {}
			}
			c := w.campaign(t, change)
			test.caller.DNIS = c.DNIS[0]
			if test.caller.From == "" {
				test.caller.From = w.number()
			}
			r := w.call(t, test.caller)
			record := w.ended(t, c, report.Passed, test.reason)
			a := w.letGo(t, r, record, "ivr", "")
			require.Equal(t, "Ring", a.State, "it was answered")
			want := []string{"let go"}
			if test.reason == report.ANIOwnNumber || test.reason == report.CountryNotAllowed {
				want = []string{"refused " + string(test.reason), "let go"}
			}
			require.Equal(t, want, steps(record))
			w.noText(t, test.caller.From)
			w.noText(t, test.caller.PAI)
			if test.reason == report.ANIWithheld {
				require.Empty(t, record.ANI, "a number that was withheld is not kept")
			}
		})
	}
	t.Run("no campaign", func(t *testing.T) {
		t.Parallel()
		caller := w.number()
		r := w.call(t, lab.Caller{DNIS: w.dnis(), From: caller})
		record := w.record(t, url.Values{"ani": {caller}})
		require.Equal(t, []any{report.Passed, report.NoCampaign, ""}, []any{record.Outcome, record.Reason, record.Campaign})
		a := w.letGo(t, r, record, "ivr", "")
		require.Equal(t, "Ring", a.State)
		w.noText(t, caller)
		eventually(t, func() error {
			if w.metric(t, `deflectd_calls_total{campaign="",outcome="passed",reason="no_campaign"}`) == 0 {
				return errNotYet
			}
			return nil
		})
	})
	t.Run("number from the trunk, not from the phone", func(t *testing.T) {
		t.Parallel()
		c, caller := w.campaign(t), w.number()
		w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: "1001", PAI: caller, Steps: presses("1")}))
		record := w.ended(t, c, report.Deflected, report.Released)
		w.sent(t, c, caller, w.message(t, record.Message, message.Accepted))
	})
}

func testAbandoned(t *testing.T, w *world) {
	for name, pause := range map[string]time.Duration{"in the prompt": 700 * time.Millisecond, "at once": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, caller := w.campaign(t, func(c *campaigns.Campaign) { c.Offer.Prompt = lab.SoundMinute }), w.number()
			steps := []lab.Step{lab.Answered()}
			if pause > 0 {
				steps = append(steps, lab.Pause(pause))
			}
			r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: append(steps, lab.Hangup())})
			require.Equal(t, lab.ByCaller, r.HungUpBy)
			record := w.ended(t, c, report.Abandoned, report.CallerHungUp)
			require.Less(t, record.Ended.Sub(record.Started), allowed)
			w.nowhere(t, r)
			w.noText(t, caller)
		})
	}
}

// A prompt that cannot be played costs the offer, and nothing else.
func testPromptsFail(t *testing.T, w *world) {
	const missing = "sound:deflectd/nonesuch"
	t.Run("the offer", func(t *testing.T) {
		t.Parallel()
		c, caller := w.campaign(t, func(c *campaigns.Campaign) { c.Offer.Prompt = missing }), w.number()
		r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller})
		record := w.ended(t, c, report.Failed, report.PromptFailed)
		a := w.letGo(t, r, record, "ivr", "")
		require.Less(t, a.At.Sub(r.Invited), allowed)
		w.noText(t, caller)
	})
	t.Run("a word after the text", func(t *testing.T) {
		t.Parallel()
		c, caller := w.campaign(t, func(c *campaigns.Campaign) { c.Prompts.Sent = missing }), w.number()
		w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: presses("1")}))
		record := w.ended(t, c, report.Deflected, report.Released)
		require.Equal(t, 1, count(record, "prompt failed sent: not played"))
		w.sent(t, c, caller, w.message(t, record.Message, message.Accepted))
		require.Positive(t, w.metric(t, `deflectd_prompts_failed_total{prompt="sent"}`))
	})
	t.Run("a word with the text", func(t *testing.T) {
		t.Parallel()
		c, caller := w.campaign(t, func(c *campaigns.Campaign) { c.Offer = campaigns.Offer{Mode: campaigns.ModeSend, Prompt: missing} }), w.number()
		w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller}))
		record := w.ended(t, c, report.Deflected, report.Released)
		w.sent(t, c, caller, w.message(t, record.Message, message.Accepted))
	})
}
