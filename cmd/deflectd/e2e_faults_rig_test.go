package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// The tests of e2e_faults_* break something on purpose, one file for each
// thing that breaks, and prove what is promised of the callers, the texts and
// the records. What they measured is in their log (go test -v -run Fault).

// Whatever breaks, a caller is out within five seconds. Tests allow for the
// noise of a busy machine: the alternative is a prompt or a wait of a minute.
const (
	promised = 5 * time.Second
	allowed  = promised + 3*time.Second
)

// ongoing is a call under way.
type ongoing struct {
	w        *world
	campaign campaigns.Campaign
	caller   string
	done     chan struct{}
	result   lab.Result
	err      error
}

// place begins a call to a campaign, from a number of its own where the caller
// has none.
func (w *world) place(t *testing.T, c campaigns.Campaign, caller lab.Caller) *ongoing {
	t.Helper()
	if caller.From == "" {
		caller.From = w.number()
	}
	if caller.DNIS == "" {
		caller.DNIS = c.DNIS[0]
	}
	o := &ongoing{w: w, campaign: c, caller: caller.From, done: make(chan struct{})}
	ctx := t.Context()
	go func() {
		defer close(o.done)
		o.result, o.err = w.asterisk.Call(ctx, caller)
	}()
	t.Cleanup(func() {
		<-o.done
		if t.Failed() {
			t.Logf("what the caller of %s saw:\n%s", c.ID, o.result.Trace)
		}
	})
	return o
}

// over waits until the call is, and returns what the caller saw.
func (o *ongoing) over(t *testing.T) lab.Result {
	t.Helper()
	select {
	case <-o.done:
	case <-time.After(90 * time.Second):
		require.Fail(t, "the call does not end")
	}
	require.NoError(t, o.err)
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	if !slices.Contains(o.w.placed, o.result.CallID) {
		o.w.placed = append(o.w.placed, o.result.CallID)
	}
	return o.result
}

// at waits until the call is where something has happened to it.
func (o *ongoing) at(t *testing.T, step string) *ongoing {
	t.Helper()
	eventually(t, func() error {
		live := o.w.records(t, url.Values{"active": {"true"}, "campaign": {o.campaign.ID}})
		for _, c := range live {
			if c.ANI == o.caller && slices.Contains(steps(c), step) {
				return nil
			}
		}
		return fmt.Errorf("the call of %s is not at %q: %v", o.campaign.ID, step, live)
	})
	return o
}

// inIVR asserts that the call came out in the dialplan soon after something
// broke, and logs how soon.
func (o *ongoing) inIVR(t *testing.T, what string, broken time.Time) lab.Arrival {
	t.Helper()
	return o.inIVRWithin(t, what, broken, allowed)
}

func (o *ongoing) inIVRWithin(t *testing.T, what string, broken time.Time, limit time.Duration) lab.Arrival {
	t.Helper()
	r := o.over(t)
	require.False(t, r.Stuck, "%s: the caller was left waiting", what)
	a := o.w.arrival(t, r, "ivr")
	took := a.At.Sub(broken)
	t.Logf("measured: %s: in the ivr after %.1f s", what, took.Seconds())
	require.Less(t, took, limit, what)
	return a
}

// hungUp asserts that deflectd hung the call up soon after something broke.
func (o *ongoing) hungUp(t *testing.T, what string, broken time.Time) {
	t.Helper()
	r := o.over(t)
	require.False(t, r.Stuck, "%s: the caller was left waiting", what)
	o.w.released(t, r)
	took := r.Ended.Sub(broken)
	t.Logf("measured: %s: hung up after %.1f s", what, took.Seconds())
	require.Less(t, took, allowed, what)
}

// recorded waits for the one record of the call, however it was counted.
func (o *ongoing) recorded(t *testing.T, outcome report.Outcome, reason report.Reason) report.Call {
	t.Helper()
	record := o.w.recordOf(t, o)
	require.Equal(t, []any{outcome, reason}, []any{record.Outcome, record.Reason}, "%+v", record)
	return record
}

// Campaigns whose calls stay where they are for long enough to be broken.
var (
	// prompting asks with a prompt of a minute.
	prompting = func(c *campaigns.Campaign) { c.Offer.Prompt = lab.SoundMinute }
	// listening waits half a minute for a key, after a prompt of a second.
	listening = func(c *campaigns.Campaign) {
		c.Offer.Timeout = campaigns.Duration(25 * time.Second)
		c.Offer.Attempts = 1
	}
	// telling has a prompt of a minute after the text.
	telling = func(c *campaigns.Campaign) {
		c.Offer = campaigns.Offer{Mode: campaigns.ModeSend}
		c.Prompts.Sent = lab.SoundMinute
	}
	// waiting waits for the provider.
	waiting = send(25 * time.Second)
)

// givesUp is a caller who hangs up after a while, whatever happens.
func givesUp(after time.Duration, before ...lab.Step) []lab.Step {
	return append(append([]lab.Step{lab.Answered()}, before...), lab.Pause(after), lab.Hangup())
}

// pressesAfter is a caller who presses keys after a while and waits.
func pressesAfter(pause time.Duration, keys string) []lab.Step {
	return []lab.Step{lab.Answered(), lab.Pause(pause), lab.Press(keys), lab.AwaitBye()}
}

// serves asserts that calls are served again: asked, texted, hung up.
func (w *world) serves(t *testing.T) {
	t.Helper()
	c := w.campaign(t)
	o := w.place(t, c, lab.Caller{Steps: presses("1")})
	r := o.over(t)
	w.released(t, r)
	o.recorded(t, report.Deflected, report.Released)
	w.text(t, o.caller)
}

// onceEach asserts that no number was texted twice, and none of those to whom
// nothing may be sent; every number in must was.
func (w *world) onceEach(t *testing.T, must, mustNot []string) {
	t.Helper()
	for _, number := range must {
		w.text(t, number)
	}
	for _, number := range mustNot {
		w.noText(t, number)
	}
	sent := map[string]bool{}
	for _, text := range w.provider.Texts() {
		to := strings.Join(text.Recipients, " ")
		require.False(t, sent[to], "a number was texted twice")
		sent[to] = true
	}
}

// empty waits until Asterisk has no channel any more.
func (w *world) empty(t *testing.T) {
	t.Helper()
	eventually(t, func() error {
		out, err := w.asterisk.CLI(t.Context(), "core show channels count")
		if err != nil || !strings.Contains(out, "0 active channels") {
			return fmt.Errorf("Asterisk has %s (%w)", out, err)
		}
		return nil
	})
}

// recordOf is the one record of the call.
func (w *world) recordOf(t *testing.T, o *ongoing) report.Call {
	t.Helper()
	return w.record(t, url.Values{"campaign": {o.campaign.ID}})
}
