package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// phoneBrowser is what a telephone says that it is.
const phoneBrowser = "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"

// texted is a call that ended with a text: its campaign, the caller, and the
// message.
func (w *world) texted(t *testing.T, change func(*campaigns.Campaign)) (campaigns.Campaign, string, message.Message) {
	t.Helper()
	c, caller := w.campaign(t, func(c *campaigns.Campaign) {
		c.Offer = campaigns.Offer{Mode: campaigns.ModeSend}
		change(c)
	}), w.number()
	w.released(t, w.call(t, lab.Caller{DNIS: c.DNIS[0], From: caller}))
	record := w.ended(t, c, report.Deflected, report.Released)
	return c, caller, w.message(t, record.Message, message.Accepted)
}

func testLinks(t *testing.T, w *world) {
	t.Run("leads to the interaction", func(t *testing.T) {
		t.Parallel()
		c, caller, m := w.texted(t, func(c *campaigns.Campaign) {
			c.Interaction = campaigns.Interaction{
				ID: "pay & go", URL: "https://visual.example.com/start?flow={interaction_id}&x=1#top",
				Params: map[string]string{"lang": "en", "note": "a&b=c"}, CallerIDParam: "from",
			}
		})
		a := request(t, http.MethodGet, m.URL, "", phoneBrowser)
		require.Equal(t, http.StatusFound, a.status)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		require.Equal(t, "no-referrer", a.header.Get("Referrer-Policy"))
		to, err := url.Parse(a.header.Get("Location"))
		require.NoError(t, err)
		require.Equal(t, "https://visual.example.com/start", to.Scheme+"://"+to.Host+to.Path)
		require.Equal(t, "top", to.Fragment)
		require.Equal(t, url.Values{"flow": {"pay & go"}, "x": {"1"}, "lang": {"en"}, "note": {"a&b=c"}, "from": {caller}}, to.Query())

		head := request(t, http.MethodHead, m.URL, "", phoneBrowser)
		require.Equal(t, http.StatusFound, head.status)
		require.Equal(t, a.header.Get("Location"), head.header.Get("Location"))
		require.Empty(t, head.body)
		for visitor, opens := range map[string]float64{"human": 1, "bot": 1} {
			require.InDelta(t, opens, w.metric(t, fmt.Sprintf(`deflectd_link_opens_total{campaign=%q,visitor=%q}`, c.ID, visitor)), 0)
		}
		require.Equal(t, http.StatusMethodNotAllowed, request(t, http.MethodPost, m.URL, "").status)
	})
	t.Run("without the caller's number", func(t *testing.T) {
		t.Parallel()
		_, caller, m := w.texted(t, func(c *campaigns.Campaign) { c.Interaction.CallerID = campaigns.CallerIDNone })
		location := request(t, http.MethodGet, m.URL, "", phoneBrowser).header.Get("Location")
		require.Equal(t, "https://visual.example.com/start?interaction=help", location)
		require.NotContains(t, location, caller[1:])
	})
	t.Run("that nobody has", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/abcdefghijk", "/", "/x", "/" + strings.Repeat("a", 5000), "/%00", "/..%2f..", "/metrics", "/v1/campaigns", "/readyz"} {
			a := request(t, http.MethodGet, w.public+path, "", phoneBrowser)
			require.Equal(t, http.StatusNotFound, a.status, path)
			require.Contains(t, a.header.Get("Content-Type"), "text/html", path)
		}
	})
	t.Run("delivery reports", func(t *testing.T) {
		t.Parallel()
		c, caller, m := w.texted(t, func(*campaigns.Campaign) {})
		text := w.text(t, caller)
		for _, status := range []string{"sent", "buffered", "delivered", "buffered", "delivery_failed", "nonsense"} {
			answered, err := w.provider.Report(t.Context(), text, lab.DeliveryReport{Status: status})
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, answered, status)
		}
		m = w.message(t, m.ID, message.Delivered)
		states := make([]message.State, len(m.History))
		for i, change := range m.History {
			states[i] = change.State
		}
		require.Equal(t, []message.State{message.Queued, message.Sending, message.Accepted, message.Delivered}, states)
		require.InDelta(t, 1, w.metric(t, `deflectd_messages_total{campaign="`+c.ID+`",state="delivered"}`), 0)

		text.ReportURL += "x"
		answered, err := w.provider.Report(t.Context(), text, lab.DeliveryReport{Status: "delivery_failed"})
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, answered)
		w.message(t, m.ID, message.Delivered)
	})
	t.Run("a text that did not arrive", func(t *testing.T) {
		t.Parallel()
		_, caller, m := w.texted(t, func(*campaigns.Campaign) {})
		_, err := w.provider.Report(t.Context(), w.text(t, caller), lab.DeliveryReport{Status: "delivery_failed", StatusReason: "unknown subscriber", ErrorCode: 1})
		require.NoError(t, err)
		require.Equal(t, "unknown_subscriber", w.message(t, m.ID, message.Failed).Reason)
	})
}

// testAdmin is an admin's first day: a campaign as in the README is created
// while the daemon runs, and each change counts from the next call on.
func testAdmin(t *testing.T, w *world) {
	dnis := w.dnis()
	a := w.api(t, http.MethodPost, "/v1/campaigns", fmt.Sprintf(`{
		"id": "billing",
		"dnis": [%q],
		"interaction": {"id": "pay-a-bill", "url": "https://visual.example.com/start?interaction={interaction_id}"},
		"text": "Acme: pay your bill here {link}"
	}`, dnis))
	var c campaigns.Campaign
	a.into(t, http.StatusCreated, &c)
	etag := a.header.Get("ETag")
	w.known(t, c.UpdatedAt)

	// As people do: the product's own prompt is heard to its end, then the key
	// is pressed.
	caller := w.number()
	r := w.call(t, lab.Caller{DNIS: dnis, From: caller, Steps: []lab.Step{
		lab.Answered(), lab.Pause(7 * time.Second), lab.Press("1"), lab.AwaitBye(),
	}})
	w.released(t, r)
	require.Greater(t, r.Heard, 3*time.Second)
	record := w.ended(t, c, report.Deflected, report.Released)
	m := w.message(t, record.Message, message.Accepted)
	w.sent(t, c, caller, m)
	require.Equal(t, "https://visual.example.com/start?interaction=pay-a-bill&callerId=%2B"+caller[1:],
		request(t, http.MethodGet, m.URL, "", phoneBrowser).header.Get("Location"))

	calls := func(outcome report.Outcome, reason report.Reason) {
		t.Helper()
		caller := w.number()
		r := w.call(t, lab.Caller{DNIS: dnis, From: caller, Steps: presses("1")})
		record := w.record(t, url.Values{"ani": {caller}})
		require.Equal(t, outcome, record.Outcome)
		require.Equal(t, reason, record.Reason)
		if outcome == report.Passed {
			w.letGo(t, r, record, "ivr", "")
			w.noText(t, caller)
		}
	}
	patch := func(body string) {
		t.Helper()
		a := w.api(t, http.MethodPatch, "/v1/campaigns/billing", body, "If-Match: "+etag, "Content-Type: application/merge-patch+json")
		etag = a.header.Get("ETag")
		a.into(t, http.StatusOK, &c)
		w.known(t, c.UpdatedAt)
	}
	patch(`{"enabled": false}`)
	calls(report.Passed, report.CampaignDisabled)
	patch(`{"enabled": true, "offer": {"prompt": "` + lab.SoundSecond + `"}}`)
	calls(report.Deflected, report.Released)
	require.Equal(t, http.StatusNoContent, w.api(t, http.MethodDelete, "/v1/campaigns/billing", nil, "If-Match: "+etag).status)
	w.decided(t, dnis, report.NoCampaign)
	calls(report.Passed, report.NoCampaign)
}
