package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// A provider that does not take a text keeps no caller for longer than the
// campaign says, and what was withdrawn is not sent when it is back.
func TestFaultProvider(t *testing.T) {
	t.Parallel()
	const wait = 2 * time.Second
	for name, test := range map[string]struct {
		breaks func(*testing.T, *lab.Provider)
		// What is known of the text when the provider is back.
		state message.State
		asked bool // the provider has seen the text
	}{
		"refuses connections": {func(t *testing.T, p *lab.Provider) { require.NoError(t, p.Refuse()) }, message.Cancelled, false},
		"answers 503":         {func(_ *testing.T, p *lab.Provider) { p.Behave(lab.Breaks(http.StatusServiceUnavailable)) }, message.Cancelled, true},
		"never answers":       {func(_ *testing.T, p *lab.Provider) { p.Behave(lab.Silent()) }, message.Unknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{})
			d := w.serve(t)
			test.breaks(t, w.provider)
			var calls []*ongoing
			for _, change := range []func(*campaigns.Campaign){
				send(wait),
				func(c *campaigns.Campaign) {
					c.Release.Wait = campaigns.Duration(wait)
					c.Offer.Prompt = lab.SoundMinute
				},
				// Nothing to wait for: what is said meanwhile does not count.
				func(c *campaigns.Campaign) { send(wait)(c); c.Offer.Prompt = lab.SoundMinute },
			} {
				calls = append(calls, w.place(t, w.campaign(t, change), lab.Caller{Steps: presses("1")}))
			}
			for _, c := range calls {
				a := c.inIVR(t, "the provider "+name+", and the caller waits for 2 s", c.over(t).Answered)
				require.Contains(t, []string{string(report.MessageTimeout), string(report.ProviderDown)}, a.Variables["DEFLECTD_REASON"])
				require.Equal(t, a.Variables["DEFLECTD_REASON"], string(w.recordOf(t, c).Reason))
			}
			seen := len(w.provider.Requests())
			w.provider.Behave(lab.Behaviour{})
			require.NoError(t, w.provider.Accept())
			for _, c := range calls {
				eventuallyWithin(t, 20*time.Second, func() error { return w.messageIs(t, w.recordOf(t, c).Message, test.state) })
			}
			time.Sleep(2 * time.Second) // when a retry would have been due
			for _, text := range w.provider.Requests()[seen:] {
				require.Fail(t, "a text was sent after it was withdrawn or lost", "%d", text.Status)
			}
			require.Equal(t, test.asked, seen > 0)
			eventually(t, func() error { return w.readyz(t, http.StatusOK, `"ready"`) })
			w.serves(t)
			w.audit(t, d, 0)
		})
	}
}

// A text that is with the provider when its caller has waited long enough
// cannot be withdrawn yet. If it then turns out that it did not go out, it is
// not tried again: the caller is with a person by now.
func TestFaultProviderRefusesTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	d := w.serve(t)
	late := lab.Breaks(http.StatusServiceUnavailable)
	late.Delay = 2 * time.Second
	w.provider.Then(late)
	call := w.place(t, w.campaign(t, send(time.Second)), lab.Caller{})
	call.inIVR(t, "the provider answers 503 after 2 s, and the caller waits for 1 s", call.over(t).Answered)
	record := call.recorded(t, report.Failed, report.MessageTimeout)
	w.message(t, record.Message, message.Cancelled)
	time.Sleep(2 * time.Second) // when a retry would have been due
	require.Len(t, w.textsTo(call.caller), 1)
	require.Empty(t, w.provider.Texts())
	w.audit(t, d, 0)
}
