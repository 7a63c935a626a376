package main

import (
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// deflectd is told to stop with a call in each step: every caller is hung up
// by decision or let go, nothing is left behind, and it says that all is well.
func TestFaultToldToStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{redis: durable})
	l := w.withLine(t)
	d := w.spawn(t)
	prompt, listen, silent := w.campaign(t, prompting), w.campaign(t, listening), w.campaign(t, waiting)
	told, unanswered, late := w.campaign(t, telling), w.campaign(t, prompting), w.campaign(t)

	w.provider.Then(lab.Silent())
	unsure := w.place(t, silent, lab.Caller{}).at(t, "text sending")
	texted := w.place(t, told, lab.Caller{}).at(t, "prompt sent")
	heard := w.place(t, prompt, lab.Caller{}).at(t, "prompt offer")
	asked := w.place(t, listen, lab.Caller{}).at(t, "prompt offer")
	time.Sleep(1200 * time.Millisecond) // until that prompt is over
	l.hang("/answer")
	ringing := w.place(t, unanswered, lab.Caller{}).at(t, "intercepted")
	stopping := time.Now()
	require.NoError(t, syscall.Kill(d.PID(), syscall.SIGTERM))
	eventually(t, func() error { return w.readyz(t, 503, "deflectd is stopping") })
	l.restore()
	came := w.place(t, late, lab.Caller{})

	a := came.inIVR(t, "told to stop: a new call", stopping)
	require.Equal(t, []string{"Ring", string(report.ShuttingDown)}, []string{a.State, a.Variables["DEFLECTD_REASON"]})
	ringing.inIVR(t, "told to stop: before the answer", stopping)
	heard.inIVR(t, "told to stop: in a prompt of a minute", stopping)
	asked.inIVR(t, "told to stop: waiting for a key", stopping)
	unsure.inIVR(t, "told to stop: waiting for the provider", stopping)
	texted.hungUp(t, "told to stop: in the prompt after the text", stopping)
	require.Equal(t, exitDone, d.exitCode(t))
	t.Logf("measured: told to stop: ended after %.1f s", time.Since(stopping).Seconds())
	w.empty(t)
	placed := time.Now()
	past := w.place(t, late, lab.Caller{})
	require.Equal(t, "FAILED", past.inIVR(t, "a new call after the end", placed).StasisStatus)

	w.spawn(t)
	for _, c := range []*ongoing{heard, asked, ringing, came} {
		c.recorded(t, report.Passed, report.ShuttingDown)
	}
	texted.recorded(t, report.Deflected, report.Released)
	record := unsure.recorded(t, report.Failed, report.MessageTimeout)
	w.message(t, record.Message, message.Unknown)
	require.Len(t, w.records(t, nil), 6, "one record a call, and none of the one that came too late")
	require.Len(t, w.textsTo(unsure.caller), 1, "what may have been sent is not sent again")
	w.onceEach(t, []string{texted.caller}, []string{heard.caller, asked.caller, ringing.caller, came.caller, past.caller})
	w.serves(t)
}

// deflectd is killed: new calls pass at once, and those under way are let go
// as soon as another is there, with what became of their texts.
func TestFaultKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{redis: durable})
	d := w.spawn(t)
	prompt, listen, told := w.campaign(t, prompting), w.campaign(t, listening), w.campaign(t, telling)
	silent, retried := w.campaign(t, waiting), w.campaign(t, waiting)

	w.provider.Then(lab.Silent(), lab.TooMany(3))
	unsure := w.place(t, silent, lab.Caller{}).at(t, "text sending")
	queued := w.place(t, retried, lab.Caller{}).at(t, "text sending")
	texted := w.place(t, told, lab.Caller{}).at(t, "prompt sent")
	heard := w.place(t, prompt, lab.Caller{}).at(t, "prompt offer")
	asked := w.place(t, listen, lab.Caller{}).at(t, "prompt offer")
	time.Sleep(1200 * time.Millisecond) // until that prompt is over
	require.NoError(t, d.Kill())
	killed := time.Now()
	past := w.place(t, prompt, lab.Caller{})
	require.Equal(t, "FAILED", past.inIVR(t, "killed: a new call", killed).StasisStatus)

	started := time.Now()
	w.spawn(t)
	for where, c := range map[string]*ongoing{
		"in a prompt of a minute": heard, "waiting for a key": asked, "in the prompt after the text": texted,
		"waiting for the provider": unsure, "waiting for a retry": queued,
	} {
		a := c.inIVR(t, "killed, and there again: "+where, started)
		require.Equal(t, string(report.Orphaned), a.Variables["DEFLECTD_REASON"])
		c.recorded(t, report.Failed, report.Orphaned)
		w.counted(t, 1, `deflectd_calls_total{campaign="`+c.campaign.ID+`",`)
	}
	require.Len(t, w.records(t, nil), 5)
	w.empty(t)
	w.serves(t)

	// The text that waited is sent, the one that was being sent is not.
	eventuallyWithin(t, 20*time.Second, func() error {
		if len(w.textsTo(queued.caller)) < 2 {
			return errNotYet
		}
		return nil
	})
	eventuallyWithin(t, 50*time.Second, func() error { return w.textOf(t, unsure, message.Unknown) })
	t.Logf("measured: killed: a text that was being sent is unknown after %.1f s", time.Since(killed).Seconds())
	require.Len(t, w.textsTo(unsure.caller), 1)
	require.Len(t, w.textsTo(queued.caller), 2, "one refusal for now, and one text")
	w.onceEach(t, []string{texted.caller}, []string{heard.caller, asked.caller, past.caller})
}

// textOf complains unless the one message to the caller has the state.
func (w *world) textOf(t *testing.T, o *ongoing, state message.State) error {
	t.Helper()
	var page struct {
		Items []message.Message `json:"items"`
	}
	w.api(t, "GET", "/v1/messages?"+url.Values{"to": {o.caller}}.Encode(), nil).into(t, 200, &page)
	require.Len(t, page.Items, 1)
	if page.Items[0].State != state {
		return errNotYet
	}
	return nil
}

// patience is the dead man's switch of the tests that wait for it.
const patience = 6 * time.Second

// deflectd is killed and never comes back: Asterisk takes its calls back by
// itself, out of any prompt.
func TestFaultKilledForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{asterisk: lab.AsteriskOptions{Patience: patience}})
	d := w.spawn(t)
	prompt, listen, told := w.campaign(t, prompting), w.campaign(t, listening), w.campaign(t, telling)
	calls := []*ongoing{w.place(t, prompt, lab.Caller{}), w.place(t, listen, lab.Caller{}), w.place(t, told, lab.Caller{})}
	for i, step := range []string{"prompt offer", "prompt offer", "prompt sent"} {
		calls[i].at(t, step)
	}
	require.NoError(t, d.Kill())
	for i, where := range []string{"in a prompt of a minute", "waiting for a key", "in the prompt after the text"} {
		invited := calls[i].over(t).Invited
		a := calls[i].inIVRWithin(t, "killed for good (a switch of 6 s), "+where, invited, patience+3*time.Second)
		require.Equal(t, "Up", a.State)
	}
	placed := time.Now()
	past := w.place(t, prompt, lab.Caller{})
	require.Less(t, past.inIVR(t, "killed for good: a new call", placed).At.Sub(placed), patience-time.Second)
	w.empty(t)
	w.onceEach(t, []string{calls[2].caller}, []string{calls[0].caller, calls[1].caller, past.caller})
}
