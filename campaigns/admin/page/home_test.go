package page

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
)

func TestFirstRun(t *testing.T) {
	f := newFixture(t)
	b := f.browser("admin")
	b.get("/").want(200).
		shows("Your first text in three steps", "Obtain a number", "New campaign", "Nothing to send from", "there is nothing to send from").
		hides("Search campaigns", "Delete selected")
	viewer := f.browser("viewer").get("/").want(200).shows("An editor can do that.")
	require.NotContains(t, viewer.body, "/campaigns/new")
	require.NotContains(t, viewer.body, "/senders#obtain")
	number := f.sender()
	b.get("/").want(200).shows("There is a sender", "Texts come from "+number, "Callers are offered texts, and texts are sent.")
}

func TestGrid(t *testing.T) {
	f := newFixture(t)
	f.sender()
	f.create(billing)
	f.create(`{"id":"many","name":"Many <b>numbers</b>","enabled":false,"dnis":["+18005550110","+18005550111","+18005550112","+18005550113","+1800556*"],` +
		`"interaction":{"id":"returns-flow","url":"https://visual.example.com/x"},"text":"<script>alert(1)</script> مرحبا {link}"}`)
	f.create(`{"id":"rest","dnis":["*"],"interaction":{"url":"https://visual.example.com/rest"},"text":"Hi {link}"}`)
	var sent message.Message
	require.NoError(t, decode(f.call(http.MethodPost, "/v1/campaigns/billing/messages", `{"to":"+14155550132"}`, 202), &sent))
	require.Eventually(t, func() bool {
		var now message.Message
		require.NoError(t, decode(f.call(http.MethodGet, "/v1/messages/"+sent.ID, "", 200), &now))
		return now.State == message.Delivered
	}, time.Minute, 5*time.Millisecond)

	b := f.browser("editor")
	a := b.get("/").want(200).shows(
		"Billing questions billing", "+18005550101", "Acme: pay here {link}", "visual.example.com/start", "1 sent 1 delivered",
		"Many <b>numbers</b> many", "+18005550110 +18005550111 +18005550112 and 2 more", "returns-flow",
		"all others", "none", "3 campaigns", "Delete selected",
	).hides("4155550132")
	require.NotContains(t, a.body, "<script>alert")
	require.NotContains(t, a.body, "<b>numbers")
	require.Contains(t, a.body, `aria-checked="true" aria-label="Billing questions is on"`)
	require.Contains(t, a.body, `aria-checked="false" aria-label="Many &lt;b&gt;numbers&lt;/b&gt; is on"`)

	for address, want := range map[string]string{
		"/?q=pay":                             "billing",
		"/?q=BILLING":                         "billing",
		"/?q=returns-flow":                    "many",
		"/?show=off":                          "many",
		"/?show=on&q=hi":                      "rest",
		"/?q=800-555-0101":                    "billing",
		"/?q=%2B18005550101":                  "billing",
		"/?q=" + url.QueryEscape("+1800556*"): "many",
		"/?q=*":                               "rest",
		"/?show=off&q=" + url.QueryEscape("مرحبا"): "many",
	} {
		a := b.get(address).want(200)
		require.Equal(t, 1, strings.Count(a.body, `<tr role="row" id="c-`), address)
		require.Contains(t, a.body, `id="c-`+want+`"`, address)
		a.shows("1 campaign")
	}
	for _, address := range []string{
		"/?q=nothing", "/?show=off&q=pay", "/?show=deleted", "/?q=" + strings.Repeat("9", 50), "/?q=" + strings.Repeat("x", 500), "/?q=" + strings.Repeat(url.QueryEscape("ж"), 200), "/?q=" + url.QueryEscape("<script>alert(1)</script>x"),
	} {
		b.get(address).want(200).shows("Show all campaigns")
	}
	for _, address := range []string{"/?cursor=nonsense", "/?show=nothing", "/?q=%ff%00", "/?q=%zz"} {
		b.get(address).want(200).shows("billing")
	}

	viewer := f.browser("viewer").get("/").want(200).shows("Billing questions")
	for _, hidden := range []string{`type="checkbox"`, `role="switch"`, "Delete selected", "/campaigns/new"} {
		require.NotContains(t, viewer.body, hidden)
	}
}

func TestGridGoesOn(t *testing.T) {
	f := newFixture(t)
	for i := range homeLimit + 3 {
		f.create(campaign(fmt.Sprintf("c%02d", i), "Campaign", fmt.Sprintf("+1800555%04d", 200+i)))
	}
	b := f.browser("viewer")
	a := b.get("/").want(200).shows("50 of 53 campaigns", "Next page").hides("Back to the beginning")
	_, rest, _ := strings.Cut(a.body, `<a class="button" href="`)
	next, _, _ := strings.Cut(rest, `"`)
	require.Contains(t, next, "cursor=")
	b.get(unescape(next)).want(200).shows("c50", "c52", "Back to the beginning").hides("c49", "Next page")
}

func TestSwitch(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	b := f.browser("editor")
	b.post("/switch", "id", "billing", "enabled", "false", "back", "/?show=on").to("/?notice=campaign-off&show=on#c-billing")
	b.get("/?notice=campaign-off").want(200).shows("The campaign is switched off: its calls pass by.")
	b.post("/switch", "id", "billing", "enabled", "true", "back", "https://evil.example").to("/?notice=campaign-on#c-billing")
	b.post("/switch", "id", "none", "enabled", "true").want(404).shows("Not found", "There is no such campaign.")
	b.post("/switch", "id", "../senders", "enabled", "true").want(404)
	b.post("/switch").want(404)
	f.browser("viewer").post("/switch", "id", "billing", "enabled", "false").want(403).shows("Not allowed", "editor", "viewer")
	require.Contains(t, f.call(http.MethodGet, "/v1/campaigns/billing", "", 200), `"enabled":true`)
	b.get("/?notice=%3Cscript%3E").want(200).hides("<script>alert", "data-notice")
}

func TestDeleteSeveral(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	f.create(campaign("second", "Second & last", "+18005550102"))
	f.create(campaign("third", "Third", "+18005550103"))
	f.call(http.MethodPatch, "/v1/campaigns/third", `{"enabled":false}`, 200)
	b := f.browser("editor")
	b.post("/delete", "back", "/?show=on").want(422).shows("No campaign is selected.")
	a := b.post("/delete", ticked, "billing@1", ticked, "second@1", ticked, "third@2", ticked, "gone@7", "back", "/?show=on").want(200).shows(
		"Delete these 3 campaigns?", "Billing questions (billing): answers +18005550101", "Second & last (second): answers +18005550102",
		"Third (third): answers nothing, as it is switched off", "Delete all 3", "can be restored for 30 days",
	)
	require.Contains(t, a.body, `name="campaign" value="third@2"`)
	require.Contains(t, a.body, `href="/?show=on"`)
	require.Contains(t, f.call(http.MethodGet, "/v1/campaigns", "", 200), "billing")

	// Somebody else is at it too: one is changed, one deleted.
	f.call(http.MethodPatch, "/v1/campaigns/second", `{"name":"Changed"}`, 200)
	f.call(http.MethodDelete, "/v1/campaigns/third", "", 204)
	again := b.post("/delete/confirmed", ticked, "billing@1", ticked, "second@1", ticked, "third@2", "back", "/?show=on").want(200).shows(
		"Delete this campaign?", "Second was changed by somebody meanwhile, and is not deleted.", "Changed (second)",
	).hides("(billing)")
	require.Contains(t, again.body, `name="campaign" value="second@2"`)
	b.post("/delete/confirmed", ticked, "second@2", "back", "/?show=on&cursor=abc").to("/?notice=campaigns-deleted&show=on")
	b.get("/?notice=campaigns-deleted").want(200).shows("You can restore it for 30 days", "Your first text in three steps")
	b.post("/delete", ticked, "second@2", "back", "/").to("/?notice=campaigns-deleted") // in another tab

	b.get("/?show=deleted").want(200).shows("billing", "second", "third", "Restore")
	b.post("/restore", "id", "second").to("/campaigns/second?notice=campaign-restored")
	b.get("/").want(200).shows("second").hides("third")
	f.create(campaign("heir", "Heir", "+18005550101"))
	b.post("/restore", "id", "billing").want(409).shows("+18005550101 is answered by campaign heir")
	b.post("/restore", "id", "none").want(404)

	viewer := f.browser("viewer")
	viewer.post("/delete", ticked, "second@3").want(403)
	viewer.post("/delete/confirmed", ticked, "second@3").want(403)
	viewer.post("/restore", "id", "billing").want(403)
	viewer.get("/?show=deleted").want(200).shows("billing").hides("Restore")
	for _, odd := range []string{"", "billing", "@1", "x@", "x@0", "x@-1", "x@99999999999999999999", "a@b@1"} {
		b.post("/delete", ticked, odd).want(400)
		b.post("/delete/confirmed", ticked, odd).want(400)
	}
}

func TestServiceSwitch(t *testing.T) {
	f := newFixture(t)
	f.sender()
	f.create(billing)
	b := f.browser("admin")
	b.post("/service", "enabled", "false").want(200).shows("Switch everything off?", "Leave it as it is")
	b.get("/").shows("Callers are offered texts")
	b.post("/service", "enabled", "false", "confirmed", "yes").to("/?notice=service-off")
	a := b.get("/").want(200).shows("No texts are offered or sent.")
	require.Contains(t, a.body, `aria-checked="false" aria-label="The service is on"`)
	f.browser("viewer").get("/").want(200).shows("Service Off")
	b.post("/service", "enabled", "true").to("/?notice=service-on")
	for _, who := range []string{"viewer", "editor"} {
		other := f.browser(who)
		require.NotContains(t, other.get("/").shows("Service On").body, `action="/service"`)
		other.post("/service", "enabled", "false", "confirmed", "yes").want(403).shows("needs the role admin")
	}
}

func TestInteractionOf(t *testing.T) {
	for url, want := range map[string]string{
		"https://visual.example.com/start?x=1": "visual.example.com/start",
		"not a url":                            "not a url",
		"":                                     "",
	} {
		require.Equal(t, want, interactionOf(&campaigns.Campaign{Interaction: campaigns.Interaction{URL: url}}))
	}
}
