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

// send is a campaign that texts without asking and waits for the provider for
// so long.
func send(wait time.Duration, change ...func(*campaigns.Campaign)) func(*campaigns.Campaign) {
	return func(c *campaigns.Campaign) {
		c.Offer = campaigns.Offer{Mode: campaigns.ModeSend}
		c.Release.Wait = campaigns.Duration(wait)
		for _, f := range change {
			f(c)
		}
	}
}

// nextAnswers has the provider answer the next requests so, and those after
// them as it should.
func nextAnswers(w *world, next ...lab.Behaviour) {
	w.provider.Behave(lab.Behaviour{})
	w.provider.Then(next...)
}

// TestProviderTrouble proves what becomes of callers and texts when the
// provider does not do as it should: one thing after another, since each
// teaches deflectd about the provider.
func TestProviderTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	d := w.serve(t)
	t.Run("refuses", func(t *testing.T) { testProviderRefuses(t, w) })
	t.Run("is slow", func(t *testing.T) { testProviderSlow(t, w) })
	t.Run("has no time", func(t *testing.T) { testProviderBusy(t, w) })
	t.Run("hangs up", func(t *testing.T) { testProviderHangsUp(t, w) })
	w.audit(t, d, 0)
}

func testProviderRefuses(t *testing.T, w *world) {
	nextAnswers(w, lab.Rejects(9, "no (correct) recipients found", "recipients"))
	c, caller := w.campaign(t, send(5*time.Second, func(c *campaigns.Campaign) { c.Prompts.Failed = lab.SoundSecond })), w.number()
	r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller})
	record := w.ended(t, c, report.Failed, report.MessageRejected)
	a := w.letGo(t, r, record, "ivr", "")
	require.Equal(t, "Up", a.State)
	require.InDelta(t, 1, r.Heard.Seconds(), 0.5, "the caller was told")
	m := w.message(t, record.Message, message.Failed)
	require.Equal(t, "recipient_refused", m.Reason)
	require.Len(t, w.textsTo(caller), 1, "what is refused for good is not tried again")
	require.InDelta(t, 1, w.metric(t, `deflectd_message_errors_total{reason="recipient_refused",verdict="refused"}`), 0)
}

func testProviderSlow(t *testing.T, w *world) {
	t.Run("in time", func(t *testing.T) {
		nextAnswers(w, lab.Slow(time.Second))
		c, caller := w.campaign(t, send(15*time.Second)), w.number()
		w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller}))
		w.sent(t, c, caller, w.message(t, w.ended(t, c, report.Deflected, report.Released).Message, message.Accepted))
	})
	t.Run("too slow", func(t *testing.T) {
		nextAnswers(w, lab.Slow(2500*time.Millisecond))
		c, caller := w.campaign(t, send(time.Second)), w.number()
		r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller})
		record := w.ended(t, c, report.Failed, report.MessageTimeout)
		w.letGo(t, r, record, "ivr", "")
		// It was with the provider by then, so it comes all the same; once.
		w.sent(t, c, caller, w.message(t, record.Message, message.Accepted))
	})
	t.Run("too slow, and the campaign transfers then", func(t *testing.T) {
		nextAnswers(w, lab.Slow(2500*time.Millisecond))
		c, caller := w.campaign(t, send(time.Second, func(c *campaigns.Campaign) {
			c.Release.Transfer = campaigns.Transfer{Context: "agents", Extension: "7001"}
		})), w.number()
		r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller})
		w.letGo(t, r, w.ended(t, c, report.Failed, report.MessageTimeout), "agents", "agents,7001,1")
	})
	t.Run("silent", func(t *testing.T) {
		nextAnswers(w, lab.Silent())
		c, caller := w.campaign(t, send(time.Second)), w.number()
		r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller})
		record := w.ended(t, c, report.Failed, report.MessageTimeout)
		a := w.letGo(t, r, record, "ivr", "")
		require.Less(t, a.At.Sub(r.Answered), allowed)
		require.Len(t, w.textsTo(caller), 1)
	})
	t.Run("slow, and the caller does not wait", func(t *testing.T) {
		nextAnswers(w, lab.Slow(4*time.Second))
		c, caller := w.campaign(t), w.number()
		r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: []lab.Step{
			lab.Answered(), lab.Pause(200 * time.Millisecond), lab.Press("1"), lab.Pause(time.Second), lab.Hangup(),
		}})
		w.nowhere(t, r)
		record := w.ended(t, c, report.Deflected, report.CallerHungUp)
		w.sent(t, c, caller, w.message(t, record.Message, message.Accepted))
	})
}

// A text that still waits for its next try when the caller is let go is
// withdrawn: the caller who was told nothing gets nothing.
func testProviderBusy(t *testing.T, w *world) {
	nextAnswers(w, lab.TooMany(3))
	c, caller := w.campaign(t, send(time.Second)), w.number()
	r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller})
	record := w.ended(t, c, report.Failed, report.MessageTimeout)
	w.letGo(t, r, record, "ivr", "")
	w.message(t, record.Message, message.Cancelled)

	nextAnswers(w, lab.TooMany(1))
	patient, other := w.campaign(t, send(20*time.Second)), w.number()
	w.released(t, w.call(t, lab.Caller{DNIS: patient.DNIS[0], From: other}))
	m := w.message(t, w.ended(t, patient, report.Deflected, report.Released).Message, message.Accepted)
	require.Equal(t, 2, m.Attempts)
	require.Len(t, w.textsTo(other), 2)

	time.Sleep(time.Until(r.Answered.Add(4 * time.Second))) // when it would have been tried again
	require.Len(t, w.textsTo(caller), 1)
	w.message(t, record.Message, message.Cancelled)
}

// Nobody knows what became of a text whose request was written and not
// answered: it is not sent again, and a delivery report may settle it.
func testProviderHangsUp(t *testing.T, w *world) {
	nextAnswers(w, lab.HangsUp())
	c, caller := w.campaign(t, send(time.Second)), w.number()
	r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller})
	record := w.ended(t, c, report.Failed, report.MessageTimeout)
	w.letGo(t, r, record, "ivr", "")
	w.message(t, record.Message, message.Unknown)
	require.Len(t, w.textsTo(caller), 1)
	answered, err := w.provider.Report(t.Context(), w.textsTo(caller)[0], lab.DeliveryReport{Status: "delivered"})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answered)
	w.message(t, record.Message, message.Delivered)
}

// A provider that cannot be reached counts as down: then nobody is offered
// what they would not get.
func TestProviderDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	d := w.serve(t)
	c, waiting, passing := w.campaign(t), w.number(), w.number()
	require.NoError(t, w.provider.Refuse())

	// One caller waits for a text while others show that the provider is away.
	var r lab.Result
	var wg sync.WaitGroup
	waits := w.campaign(t, send(20*time.Second, func(c *campaigns.Campaign) { c.Prompts.Failed = lab.SoundSecond }))
	wg.Go(func() { r = w.call(t, lab.Caller{DNIS: waits.DNIS[0], From: waiting}) })
	eventually(t, func() error {
		if live := w.records(t, url.Values{"active": {"true"}}); len(live) != 1 || live[0].Message == "" {
			return errNotYet
		}
		return nil
	})
	var others []message.Message
	for range 12 {
		var m message.Message
		w.api(t, http.MethodPost, "/v1/campaigns/"+c.ID+"/messages", map[string]string{"to": w.number()}).into(t, http.StatusAccepted, &m)
		others = append(others, m)
	}
	eventually(t, func() error { return w.readyz(t, http.StatusOK, `"degraded"`) })
	passed := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: passing})
	record := w.ended(t, c, report.Failed, report.ProviderDown)
	require.Equal(t, "Ring", w.letGo(t, passed, record, "ivr", "").State)

	wg.Wait()
	record = w.ended(t, waits, report.Failed, report.ProviderDown)
	w.letGo(t, r, record, "ivr", "")
	w.message(t, record.Message, message.Cancelled)

	// It comes back: the texts that were promised arrive, the one that was
	// withdrawn does not.
	require.NoError(t, w.provider.Accept())
	for _, m := range others {
		eventuallyWithin(t, 40*time.Second, func() error { return w.messageIs(t, m.ID, message.Accepted) })
		w.text(t, m.To)
	}
	eventually(t, func() error { return w.readyz(t, http.StatusOK, `"ready"`) })
	w.noText(t, waiting)
	w.noText(t, passing)
	w.audit(t, d, 0)
}
