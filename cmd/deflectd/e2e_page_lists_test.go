package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/deploy/lab/browser"
)

// Campaigns are found, switched, and several of them deleted at once, by their
// names; and brought back.
func storyBulk(t *testing.T, b *browsers) {
	w := newOffice(t)
	alpha, beta := w.make(t, "alpha"), w.make(t, "beta")
	w.make(t, "gamma", func(c *campaigns.Campaign) { c.Text = "Acme: something else {link}" })
	p := w.visit(t, b, "editor")
	began := time.Now()
	p.see("Alpha", "Beta", "Gamma", alpha.DNIS[0])
	p.click("checkbox", "Select Alpha")
	p.click("checkbox", "Select Beta")
	p.see("2 selected")
	p.glance("home-selected")
	p.follow("button", "Delete selected")
	p.see("Delete these 2 campaigns?", "Alpha (alpha): answers "+alpha.DNIS[0], "Beta (beta): answers "+beta.DNIS[0])
	p.gone("Gamma")
	p.show("home-delete")
	p.follow("button", "Delete all 2")
	p.see("Deleted. You can restore it for 30 days", "Gamma")
	p.told("delete two campaigns", began)

	p.follow("link", "Deleted")
	p.see("Alpha", "Beta")
	p.show("home-deleted")
	p.follow("button", "Restore Alpha")
	p.see("The campaign is back")

	p.follow("link", "SMS Management", "Main")
	p.gone("Beta")
	p.fill("Search campaigns", "something else")
	p.enter()
	p.see("Gamma")
	p.gone("Alpha")
	p.follow("switch", "Gamma is on")
	p.see("The campaign is switched off")
	p.is("switch", "Gamma is on", func(c browser.Control) bool { return !c.Checked })
	p.goes("/")
	p.click("checkbox", "Select all shown")
	p.see("2 selected")
}

// Somebody complains that no text came. The page says which rule it was, step
// by step, and what has happened of late.
func storyWhy(t *testing.T, b *browsers) {
	w := newOffice(t)
	c := w.make(t, "billing")
	w.api(t, http.MethodPut, "/v1/opt-outs/"+myPhone, map[string]string{"reason": "asked by email"})
	p := w.visit(t, b, "editor")
	began := time.Now()
	p.follow("link", "Why a text?")
	p.show("why-empty")
	p.fill("The caller's number", myPhone)
	p.fill("The number dialled", c.DNIS[0])
	p.follow("button", "Find out")
	p.see("No: the call would go on without an offer", "opted_out", "Has the person opted out?", "This decides.")
	p.told("why was a number not texted", began)
	p.show("why-not")

	p.fill("The caller's number", "+12125550143")
	p.fill("The number dialled", "+19995550100")
	p.follow("button", "Find out")
	p.see("no_campaign")
	p.fill("The number dialled", "nonsense <b>")
	p.follow("button", "Find out")
	p.holds("The number dialled", "nonsense <b>")
}

// Numbers that are never texted: one is added, looked up and taken off again,
// each with a reason; a list comes in and goes out.
func storyOptOuts(t *testing.T, b *browsers) {
	w := newOffice(t)
	p := w.visit(t, b, "editor", browser.Options{Downloads: t.TempDir()})
	p.follow("link", "Opt-outs")
	p.see("Nobody has opted out")
	p.show("opt-outs-empty")
	p.fill("Number", "nonsense", "Add a number")
	p.fill("Reason", "asked by email", "Add a number")
	p.follow("button", "Add to the list")
	require.Equal(t, http.StatusUnprocessableEntity, p.Status())
	p.holds("Number", "nonsense", "Add a number")
	p.holds("Reason", "asked by email", "Add a number")
	p.glance("opt-outs-wrong")
	p.fill("Number", myPhone, "Add a number")
	p.follow("button", "Add to the list")
	p.see("The number is on the list")

	p.fill("Number", myPhone, "Search opt-outs")
	p.follow("button", "Search")
	p.see("has opted out", "asked by email")
	p.show("opt-outs-found")
	p.follow("button", "Let it be texted again")
	p.see("Let this number be texted again?")
	p.show("opt-outs-remove")
	p.fill("Reason", "called us")
	p.follow("button", "Take it off the list")
	p.see("The number is off the list")

	list := filepath.Join(t.TempDir(), "list.csv")
	require.NoError(t, os.WriteFile(list, []byte("number,reason\n+12125550150,list\n+12125550151,list\nnonsense,x\n"), 0o600))
	require.NoError(t, p.Upload("File", list))
	p.follow("button", "Import")
	p.see("2 numbers are new on the list", "1 line could not be taken", "+12125550150")
	p.show("opt-outs")
	p.click("link", "Export as CSV")
	saved, err := p.Saved()
	require.NoError(t, err)
	text, err := os.ReadFile(saved)
	require.NoError(t, err)
	require.Contains(t, string(text), "+12125550151")
}

// Whoever may only look sees everything but numbers of people, and nothing to
// press that would be refused.
func storyViewer(t *testing.T, b *browsers) {
	w := newOffice(t)
	w.make(t, "billing")
	var m message.Message
	w.api(t, http.MethodPost, "/v1/campaigns/billing/messages", map[string]any{"to": myPhone, "test": true}).into(t, http.StatusAccepted, &m)
	w.api(t, http.MethodPut, "/v1/opt-outs/+12125550150", map[string]string{"reason": "asked"})
	p := w.visit(t, b, "viewer")
	p.see("Billing")
	p.gone("New campaign", "Delete selected")
	p.show("home-viewer")
	for _, page := range []string{"/messages", "/messages/" + m.ID, "/opt-outs", "/senders", "/campaigns/billing/history"} {
		require.Equal(t, http.StatusOK, p.goes(page), page)
		p.gone(myPhone, myPhone[2:], "+12125550150")
	}
	p.goes("/campaigns/billing")
	p.see("changing it needs the role editor")
	p.gone("Save changes", "Send me a test")
	p.glance("campaign-viewer")
	require.Equal(t, http.StatusForbidden, p.goes("/campaigns/new"))
	p.see("This needs the role editor")
}
