package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// TestGuards proves on real calls that nobody is texted who should not be: each
// rule lets the call go unanswered, and no text leaves.
func TestGuards(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{environ: []string{
		"DEFLECTD_LIMITS_COOLDOWN=1h", "DEFLECTD_LIMITS_PER_CALLER_PER_DAY=2", "DEFLECTD_NUMBERS_COUNTRIES=US,GB",
		"DEFLECTD_LIMITS_MARKETING_HOURS=" + hoursWithout(t, "Europe/London"),
	}})
	d := w.serve(t)
	t.Run("all", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *world){
			"cooldown": testCooldown, "cap of the caller": testCallerCap, "cap of the campaign": testCampaignCap,
			"landline": testLandline, "opted out by a key": testKeypressOptOut, "opted out by a text": testStop,
			"suppressed": testSuppressed, "forgotten": testForgotten, "outside of the hours": testOutsideHours,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, w)
			})
		}
	})
	w.audit(t, d, 0)
}

// calmed makes a campaign that texts without asking, so that a call is short.
func (w *world) calmed(t *testing.T, change ...func(*campaigns.Campaign)) campaigns.Campaign {
	t.Helper()
	return w.campaign(t, send(5*time.Second, change...))
}

// deflects places a call that is deflected.
func (w *world) deflects(t *testing.T, c campaigns.Campaign, caller string) {
	t.Helper()
	w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller}))
}

// passes places a call that must be let go unanswered, for that reason.
func (w *world) passes(t *testing.T, c campaigns.Campaign, caller string, reason report.Reason) {
	t.Helper()
	before := len(w.textsTo(caller))
	r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller})
	a := w.arrival(t, r, "ivr")
	require.Equal(t, "Ring", a.State, "it was answered")
	var found []report.Call
	eventually(t, func() error {
		found = w.records(t, url.Values{"campaign": {c.ID}, "ani": {caller}, "outcome": {string(report.Passed)}})
		if len(found) == 0 {
			return errNotYet
		}
		return nil
	})
	require.Equal(t, reason, found[0].Reason)
	require.Len(t, w.textsTo(caller), before, "a text left all the same")
}

func testCooldown(t *testing.T, w *world) {
	c, other, caller := w.calmed(t), w.calmed(t), w.number()
	w.deflects(t, c, caller)
	w.passes(t, c, caller, report.Cooldown)
	w.deflects(t, other, caller) // another campaign has nothing against it
}

func testCallerCap(t *testing.T, w *world) {
	none := campaigns.Pause(0)
	c, caller := w.calmed(t, func(c *campaigns.Campaign) { c.Limits = &campaigns.Limits{Cooldown: &none} }), w.number()
	w.deflects(t, c, caller)
	w.deflects(t, c, caller)
	w.passes(t, c, caller, report.Capped)
	w.passes(t, w.calmed(t), caller, report.Capped)
}

func testCampaignCap(t *testing.T, w *world) {
	one := 1
	c := w.calmed(t, func(c *campaigns.Campaign) { c.Limits = &campaigns.Limits{PerDay: &one} })
	w.deflects(t, c, w.number())
	w.passes(t, c, w.number(), report.Capped)
}

func testLandline(t *testing.T, w *world) {
	c := w.calmed(t)
	w.passes(t, c, "+442079460123", report.NotMobile)
	anyLine := w.calmed(t, func(c *campaigns.Campaign) { c.LineTypes = []string{"mobile", "fixed"} })
	w.deflects(t, anyLine, "+442079460124")
}

// hoursWithout is a part of the day that it is hours away from in a time zone.
func hoursWithout(t *testing.T, zone string) string {
	t.Helper()
	at, err := time.LoadLocation(zone)
	require.NoError(t, err)
	from := (time.Now().In(at).Hour() + 11) % 24
	return fmt.Sprintf("%02d:00-%02d:59", from, from)
}

func testOutsideHours(t *testing.T, w *world) {
	c := w.calmed(t, func(c *campaigns.Campaign) { c.Kind = campaigns.KindMarketing })
	w.passes(t, c, "+447400123456", report.OutsideHours)
	w.deflects(t, w.calmed(t), "+447400123456") // what was asked for is sent at any hour
}

func testKeypressOptOut(t *testing.T, w *world) {
	c, caller := w.campaign(t, func(c *campaigns.Campaign) {
		c.Offer.Prompt, c.Offer.OptOut = lab.SoundMinute, "9"
		c.Prompts.OptedOut = lab.SoundSecond
	}), w.number()
	r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller, Steps: presses("9")})
	record := w.ended(t, c, report.Declined, report.KeypressOptOut)
	w.letGo(t, r, record, "ivr", "")
	require.Subset(t, steps(record), []string{"prompt offer", "prompt opted_out"})
	var entry optout.Entry
	w.api(t, http.MethodGet, "/v1/opt-outs/"+url.PathEscape(caller), nil).into(t, http.StatusOK, &entry)
	require.Equal(t, optout.Keypress, entry.Source)
	w.passes(t, w.calmed(t), caller, report.OptedOut)
	refused := w.api(t, http.MethodPost, "/v1/campaigns/"+c.ID+"/messages", map[string]string{"to": caller})
	require.Equal(t, http.StatusConflict, refused.status, refused.body)
	require.Contains(t, refused.body, `"opted_out"`)
	w.noText(t, caller)
}

// inbound is a text that somebody sends to one of our numbers, signed as
// MessageBird signs it.
func (w *world) inbound(t *testing.T, from, body string) {
	t.Helper()
	var senders struct {
		InboundURL string `json:"inbound_url"`
	}
	w.api(t, http.MethodGet, "/v1/senders", nil).into(t, http.StatusOK, &senders)
	require.Contains(t, senders.InboundURL, w.public)
	form := url.Values{
		"id": {rand.Text()}, "recipient": {"18885550100"}, "originator": {strings.TrimPrefix(from, "+")},
		// With fractions of a second, for the tests text faster than people do.
		"body": {body}, "createdDatetime": {time.Now().UTC().Format(time.RFC3339Nano)},
	}.Encode()
	header := func(key string) []string {
		hash := func(s string) string {
			sum := sha256.Sum256([]byte(s))
			return hex.EncodeToString(sum[:])
		}
		signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"iss": "MessageBird", "jti": rand.Text(), "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			"url_hash": hash(senders.InboundURL), "payload_hash": hash(form),
		}).SignedString([]byte(key))
		require.NoError(t, err)
		return []string{"Content-Type: application/x-www-form-urlencoded", "MessageBird-Signature-JWT: " + signed}
	}
	a := request(t, http.MethodPost, senders.InboundURL, form, header("another key")...)
	require.Equal(t, http.StatusUnauthorized, a.status, a.body)
	a = request(t, http.MethodPost, senders.InboundURL, form, header(signingKey)...)
	require.Equal(t, http.StatusOK, a.status, a.body)
}

func testStop(t *testing.T, w *world) {
	c, other, caller := w.calmed(t), w.calmed(t), w.number()
	w.deflects(t, c, caller)
	w.inbound(t, caller, "Stop texting me!")
	w.inbound(t, caller, "STOP")
	confirmed := func(n int) {
		t.Helper()
		eventually(t, func() error {
			if len(w.textsTo(caller)) < n {
				return errNotYet
			}
			return nil
		})
		texts := w.textsTo(caller)
		require.Len(t, texts, n)
		require.Equal(t, "18885550100", texts[n-1].Originator)
	}
	confirmed(2) // the text, and one confirmation
	w.passes(t, other, caller, report.OptedOut)
	w.inbound(t, caller, "start")
	confirmed(3)
	w.deflects(t, other, caller)
}

func testSuppressed(t *testing.T, w *world) {
	c, caller := w.calmed(t), w.number()
	w.deflects(t, c, caller)
	text := w.text(t, caller)
	status, err := w.provider.Report(t.Context(), text, lab.DeliveryReport{
		Status: "delivery_failed", StatusReason: "unknown subscriber", ErrorCode: 1,
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	w.message(t, text.Reference, message.Failed)
	w.passes(t, w.calmed(t), caller, report.Suppressed)
}

func testForgotten(t *testing.T, w *world) {
	c, caller := w.calmed(t), w.number()
	w.deflects(t, c, caller)
	record := w.ended(t, c, report.Deflected, report.Released)
	m := w.message(t, record.Message, message.Accepted)
	var forgot struct{ Messages, Calls int }
	w.api(t, http.MethodDelete, "/v1/people/"+url.PathEscape(caller), nil).into(t, http.StatusOK, &forgot)
	require.Equal(t, 1, forgot.Messages)
	require.Equal(t, 1, forgot.Calls)
	record = w.record(t, url.Values{"campaign": {c.ID}})
	require.Empty(t, record.ANI)
	require.Empty(t, w.message(t, m.ID, message.Accepted).To)
	require.Equal(t, http.StatusGone, request(t, http.MethodGet, m.URL, "", phoneBrowser).status)
}

// TestPumping proves what stands between forged caller numbers and a bill.
func TestPumping(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{environ: []string{
		"DEFLECTD_LIMITS_PER_PREFIX_PER_HOUR=2", "DEFLECTD_LIMITS_SURGE_CALLS=3", "DEFLECTD_LIMITS_SEGMENTS_PER_DAY=4",
	}})
	d := w.serve(t)
	c := w.calmed(t)
	w.deflects(t, c, "+12125550101")
	w.deflects(t, c, "+12125550102")
	w.passes(t, c, "+12125550103", report.Capped) // a third of one range
	w.deflects(t, c, "+13125550103")
	w.passes(t, c, "+12125550103", report.Capped)
	w.passes(t, c, "+12125550103", report.ANIUntrusted) // its third call of six
	w.deflects(t, c, "+14155550103")
	w.passes(t, c, "+13055550103", report.Capped) // the day's segments are used up
	require.InDelta(t, 1, w.metric(t, `deflectd_guard_refusals_total{at="call",guard="surge"}`), 0)
	eventually(t, func() error {
		if w.metric(t, `deflectd_limit_alarm{limit="segments_per_day"}`) != 1 {
			return errNotYet
		}
		return nil
	})
	w.audit(t, d, 0)
}

// TestSenders proves that nothing is sent before there is a sender, and that
// one obtained over the API is enough.
func TestSenders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{environ: []string{"DEFLECTD_SMS_ORIGINATOR="}})
	d := w.serve(t)
	c := w.calmed(t)
	w.passes(t, c, w.number(), report.ServiceOff)

	var found struct {
		Items []struct {
			Number string `json:"number"`
		} `json:"items"`
	}
	w.api(t, http.MethodGet, "/v1/senders/available?country=US", nil).into(t, http.StatusOK, &found)
	require.NotEmpty(t, found.Items)
	number := found.Items[0].Number
	require.Equal(t, http.StatusCreated, w.api(t, http.MethodPost, "/v1/senders",
		map[string]string{"number": number, "country": "US"}, "Idempotency-Key: one").status)
	caller := w.number()
	eventually(t, func() error {
		if !strings.Contains(w.api(t, http.MethodGet, "/v1/service", nil).body, `"sending":true`) {
			return errNotYet
		}
		return nil
	})
	w.deflects(t, c, caller)
	require.Equal(t, strings.TrimPrefix(number, "+"), w.text(t, caller).Originator)

	refused := w.api(t, http.MethodDelete, "/v1/senders/"+url.PathEscape(number), nil)
	require.Equal(t, http.StatusConflict, refused.status, refused.body)
	require.Contains(t, refused.body, c.ID)
	require.Equal(t, http.StatusNoContent, w.api(t, http.MethodDelete, "/v1/senders/"+url.PathEscape(number)+"?confirm=true", nil).status)
	w.passes(t, c, w.number(), report.ServiceOff)
	w.audit(t, d, 0)
}
