package main

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// TestLimits proves what holds for all calls of a daemon: one thing after
// another.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{environ: []string{"DEFLECTD_CALLS_MAX=1"}})
	d := w.serve(t)
	t.Run("one call too many", func(t *testing.T) { testOverload(t, w) })
	t.Run("service off", func(t *testing.T) { testServiceOff(t, w) })
	w.audit(t, d, 0)
}

func testOverload(t *testing.T, w *world) {
	held := w.campaign(t, func(c *campaigns.Campaign) { c.Offer.Prompt = lab.SoundMinute })
	c, caller := w.campaign(t), w.number()
	var wg sync.WaitGroup
	wg.Go(func() {
		w.call(t, lab.Caller{DNIS: held.DNIS[0], From: w.number(), Steps: []lab.Step{
			lab.Answered(), lab.Pause(8 * time.Second), lab.Press("2"), lab.AwaitBye(),
		}})
	})
	eventually(t, func() error {
		if live := w.records(t, url.Values{"active": {"true"}}); len(live) != 1 || live[0].Campaign != held.ID || live[0].Outcome != "" {
			return errNotYet
		}
		return nil
	})
	require.InDelta(t, 1, w.metric(t, "deflectd_calls_active"), 0)
	r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: presses("1")})
	record := w.ended(t, c, report.Passed, report.Overload)
	a := w.letGo(t, r, record, "ivr", "")
	require.Equal(t, "Ring", a.State)
	w.noText(t, caller)
	wg.Wait()
	w.ended(t, held, report.Declined, report.KeypressDecline)

	free := w.campaign(t)
	w.released(t, w.call(t, lab.Caller{DNIS: free.DNIS[0], From: caller, Steps: presses("1")}))
	w.ended(t, free, report.Deflected, report.Released)
}

func testServiceOff(t *testing.T, w *world) {
	c, caller := w.campaign(t), w.number()
	turn := func(body string, reason report.Reason) {
		t.Helper()
		require.Equal(t, http.StatusOK, w.api(t, http.MethodPut, "/v1/service", body).status)
		w.decided(t, c.DNIS[0], reason)
	}
	turn(`{"enabled": false}`, report.ServiceOff)
	r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: presses("1")})
	record := w.ended(t, c, report.Passed, report.ServiceOff)
	a := w.letGo(t, r, record, "ivr", "")
	require.Equal(t, "Ring", a.State)
	w.noText(t, caller)
	refused := w.api(t, http.MethodPost, "/v1/campaigns/"+c.ID+"/messages", map[string]string{"to": caller})
	require.Equal(t, http.StatusConflict, refused.status, refused.body)
	require.Contains(t, refused.body, "switched off")
	turn(`{"enabled": true}`, "")

	// Switched off while the offer is heard: the text is refused all the same.
	during, other := w.campaign(t, func(c *campaigns.Campaign) { c.Offer.Prompt = lab.SoundMinute }), w.number()
	var wg sync.WaitGroup
	wg.Go(func() {
		r = w.call(t, lab.Caller{DNIS: during.DNIS[0], From: other, Steps: []lab.Step{
			lab.Answered(), lab.Pause(8 * time.Second), lab.Press("1"), lab.AwaitBye(),
		}})
	})
	eventually(t, func() error {
		if len(w.records(t, url.Values{"active": {"true"}})) != 1 {
			return errNotYet
		}
		return nil
	})
	turn(`{"enabled": false}`, report.ServiceOff)
	wg.Wait()
	record = w.ended(t, during, report.Passed, report.ServiceOff)
	w.letGo(t, r, record, "ivr", "")
	w.noText(t, other)
	turn(`{"enabled": true}`, "")
}

// TestSandbox tries deflectd out without an account: the text is kept, readable
// over the API, and reported as delivered.
func TestSandbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{environ: []string{"DEFLECTD_SMS_PROVIDER=sandbox"}})
	d := w.serve(t)
	c, caller := w.campaign(t), w.number()
	w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: presses("1")}))
	m := w.message(t, w.ended(t, c, report.Deflected, report.Released).Message, message.Delivered)
	require.Equal(t, caller, m.To)
	require.Equal(t, "sandbox", m.Provider)
	require.Equal(t, message.Compose(&c, m.URL, nil), m.Text)
	require.Equal(t, http.StatusFound, request(t, http.MethodGet, m.URL, "", phoneBrowser).status)
	w.noText(t, caller)
	w.audit(t, d, 0)
}

// TestCancelledBeforeAnswer has the caller give up while deflectd is frozen,
// which is the only time when a caller can: deflectd answers in milliseconds.
func TestCancelledBeforeAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	d := w.spawn(t)
	c, caller := w.campaign(t), w.number()
	require.NoError(t, d.Freeze())
	r := w.tryCall(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: []lab.Step{lab.Pause(time.Second), lab.Cancel()}})
	require.NoError(t, d.Thaw())
	require.Equal(t, 487, r.Status)
	require.Equal(t, lab.ByCaller, r.HungUpBy)
	record := w.ended(t, c, report.Abandoned, report.CallerHungUp)
	require.True(t, record.Answered.IsZero())
	w.nowhere(t, r)
	w.noText(t, caller)

	require.Equal(t, exitDone, d.terminate(t))
}
