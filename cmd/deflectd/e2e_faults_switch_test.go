package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// Asterisk is killed with calls in it: they are lost with it, each has its
// record before Asterisk is back, the text that was promised is sent, and
// calls are taken again as soon as there are any.
func TestFaultAsteriskRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	d := w.serve(t)
	w.provider.Then(lab.Silent(), lab.Breaks(http.StatusServiceUnavailable))
	prompt, listen := w.campaign(t, prompting), w.campaign(t, listening)
	silent, queued := w.campaign(t, waiting), w.campaign(t, waiting)
	lasting := givesUp(12 * time.Second)
	calls := []*ongoing{
		w.place(t, prompt, lab.Caller{Steps: lasting}), w.place(t, listen, lab.Caller{Steps: lasting}),
		w.place(t, silent, lab.Caller{Steps: lasting}),
	}
	for i, step := range []string{"prompt offer", "prompt offer", "text sending"} {
		calls[i].at(t, step)
	}
	calls = append(calls, w.place(t, queued, lab.Caller{Steps: lasting}).at(t, "text sending"))
	require.NoError(t, w.asterisk.Kill())
	broken := time.Now()
	for _, c := range calls {
		c.recorded(t, report.Failed, report.SwitchLost)
	}
	t.Logf("measured: Asterisk is killed: all calls recorded after %.1f s", time.Since(broken).Seconds())
	require.Less(t, time.Since(broken), allowed)
	eventually(t, func() error { return w.readyz(t, http.StatusServiceUnavailable, "no Asterisk node is connected") })
	// Who asked for a text gets it, once, also when the switch is lost.
	w.message(t, w.recordOf(t, calls[3]).Message, message.Accepted)

	require.NoError(t, w.asterisk.Restart(t.Context()))
	back := time.Now()
	eventually(t, func() error { return w.readyz(t, http.StatusOK, `"ready"`) })
	t.Logf("measured: Asterisk is back: calls are taken after %.1f s", time.Since(back).Seconds())
	require.Less(t, time.Since(back), allowed)
	w.serves(t)
	for _, c := range calls {
		c.over(t)
	}
	require.LessOrEqual(t, len(w.textsTo(calls[2].caller)), 1)
	w.noText(t, calls[0].caller)
	w.noText(t, calls[1].caller)
	w.audit(t, d, 0)
}

// An Asterisk that is frozen for a while lets its callers wait, as it must;
// once it goes on, each is let go or goes on, and has one record.
func TestFaultAsteriskFrozen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	d := w.serve(t)
	prompt, listen, told := w.campaign(t, prompting), w.campaign(t, listening), w.campaign(t, telling)
	calls := []*ongoing{
		w.place(t, prompt, lab.Caller{}).at(t, "prompt offer"),
		w.place(t, listen, lab.Caller{}).at(t, "prompt offer"),
		w.place(t, told, lab.Caller{}).at(t, "prompt sent"),
	}
	require.NoError(t, w.asterisk.Freeze())
	eventually(t, func() error { return w.readyz(t, http.StatusServiceUnavailable, "no Asterisk node is connected") })
	for _, c := range calls {
		c.recorded(t, report.Failed, report.SwitchLost)
	}
	require.NoError(t, w.asterisk.Thaw())
	thawed := time.Now()
	for _, c := range calls {
		c.inIVR(t, "Asterisk was frozen, and goes on", thawed)
	}
	eventually(t, func() error { return w.readyz(t, http.StatusOK, `"ready"`) })
	w.serves(t)
	w.onceEach(t, []string{calls[2].caller}, []string{calls[0].caller, calls[1].caller})
	w.audit(t, d, 0)
}

// Asterisk is stopped in good order, which hangs up its calls, and started.
func TestFaultAsteriskStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	d := w.serve(t)
	prompt, told := w.campaign(t, prompting), w.campaign(t, telling)
	asked := w.place(t, prompt, lab.Caller{}).at(t, "prompt offer")
	texted := w.place(t, told, lab.Caller{}).at(t, "prompt sent")
	require.NoError(t, w.asterisk.Restart(t.Context()))
	back := time.Now()
	for _, c := range []*ongoing{asked, texted} {
		r := c.over(t)
		require.Equal(t, lab.BySwitch, r.HungUpBy)
		w.nowhere(t, r)
	}
	// Asterisk's farewell says of each call that it was hung up, and by whom.
	require.Equal(t, report.SwitchLost, w.recordOf(t, asked).Reason)
	require.Equal(t, report.SwitchLost, w.recordOf(t, texted).Reason)
	eventually(t, func() error { return w.readyz(t, http.StatusOK, `"ready"`) })
	t.Logf("measured: Asterisk is restarted in good order: calls are taken after %.1f s", time.Since(back).Seconds())
	w.serves(t)
	w.onceEach(t, []string{texted.caller}, []string{asked.caller})
	w.audit(t, d, 0)
}

// Everything is away when deflectd starts, and still is when it is told to stop.
func TestFaultEverythingAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	require.NoError(t, w.redis.Freeze())
	require.NoError(t, w.asterisk.Freeze())
	require.NoError(t, w.provider.Refuse())
	d := w.begin(t)
	time.Sleep(2 * time.Second)
	require.NoError(t, w.readyz(t, http.StatusServiceUnavailable, "no Asterisk node is connected"))
	stopping := time.Now()
	require.NoError(t, d.end())
	t.Logf("measured: everything is away, and told to stop: ended after %.1f s", time.Since(stopping).Seconds())
	require.Less(t, time.Since(stopping), allowed)
}
