package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/deploy/lab/browser"
)

// Two people edit one campaign. Whoever saves later sees both versions and
// decides; what was done is in the history, and can be taken back.
func storyConflict(t *testing.T, b *browsers) {
	w := newOffice(t)
	w.make(t, "billing")
	one, two := w.visit(t, b, "editor"), w.visit(t, b, "editor-2")
	began := time.Now()
	one.goes("/campaigns/billing")
	two.goes("/campaigns/billing")

	one.fill("Name", "Bills")
	one.see("Unsaved changes")
	one.follow("button", "Save changes")
	one.see("Saved. Calls and texts follow it from now on.")

	// They have changed other fields: both can stand.
	two.fill("Text", "Acme: pay here {link}")
	two.follow("button", "Save changes")
	require.Equal(t, http.StatusPreconditionFailed, two.Status())
	two.see("editor saved this campaign while you were editing it", "both can stand", "Bills", "Acme: pay here {link}")
	two.show("campaign-conflict")
	two.follow("button", "Take both")
	two.see("Saved.")
	two.holds("Name", "Bills")
	two.holds("Text", "Acme: pay here {link}")

	// Now the same one: it is a decision, and not made by accident.
	one.fill("Text", "Acme: see your bill {link}")
	one.follow("button", "Save changes")
	one.see("editor-2 saved this campaign while you were editing it", "You both changed some of the same fields")
	one.holds("Text", "Acme: see your bill {link}")
	one.glance("campaign-clash")
	one.follow("button", "Save mine as it is below")
	one.see("Saved.")
	one.told("two saves, two conflicts", began)

	one.follow("link", "History")
	one.see("editor changed it", "editor-2 changed it", "robot created it", "Acme: see your bill {link}", "As it is now")
	one.show("history")
	one.follow("link", "Back to this version (1)")
	one.see("Back to version 1?", "Billing", "Acme: help is here {link}")
	one.show("history-version")
	one.follow("button", "Back to this version")
	one.see("The campaign is again as it was then")
	one.holds("Name", "Billing")
	one.holds("Text", "Acme: help is here {link}")

	// Whoever leaves with something unsaved is asked.
	one.fill("Name", "Not saved")
	one.Refuse(true)
	one.click("link", "SMS Management")
	one.holds("Name", "Not saved")
	require.Equal(t, []string{"beforeunload: "}, one.Dialogs())
	one.Refuse(false)
	one.follow("link", "SMS Management")
	require.Equal(t, []string{"beforeunload: ", "beforeunload: "}, one.Dialogs())
	one.see("Billing")
	one.gone("Not saved")
	require.Empty(t, two.Dialogs())
}

// A campaign is deleted by somebody while it is open in a tab: what was typed
// is still there, and can be saved.
func storyDeletedMeanwhile(t *testing.T, b *browsers) {
	w := newOffice(t)
	c := w.make(t, "billing")
	p := w.visit(t, b, "editor")
	p.goes("/campaigns/billing")
	p.fill("Text", "Acme: typed for an hour {link}")
	require.Equal(t, http.StatusNoContent, w.api(t, http.MethodDelete, "/v1/campaigns/billing", nil, "If-Match: *").status)
	p.follow("button", "Save changes")
	require.Equal(t, http.StatusNotFound, p.Status())
	p.see("This campaign was deleted", "robot deleted it on")
	p.holds("Text", "Acme: typed for an hour {link}")
	p.show("campaign-gone")
	p.follow("button", "Restore and save")
	p.see("Saved.")
	p.holds("Text", "Acme: typed for an hour {link}")

	// Its number has another owner by the time it is opened: that one is named.
	require.Equal(t, http.StatusNoContent, w.api(t, http.MethodDelete, "/v1/campaigns/billing", nil, "If-Match: *").status)
	require.Equal(t, http.StatusNotFound, p.goes("/campaigns/billing"))
	p.see("billing was deleted")
	p.show("campaign-deleted")
	p.goes("/campaigns/new")
	p.fill("Name", "Other")
	p.fill("Text", "Acme: other {link}")
	p.fill("Address the link opens", "https://visual.example.com/x")
	p.fill("Numbers it answers", c.DNIS[0])
	p.follow("button", "Create campaign")
	p.see("The campaign is saved")
	p.goes("/campaigns/billing")
	p.follow("button", "Restore")
	p.see("other")
	p.at("/campaigns/billing/restore")
}

// A session ends while a form is open, for instance because somebody has
// signed out in another tab. Nothing typed is lost, and nothing is saved before
// it was seen again.
func storySessionOver(t *testing.T, b *browsers) {
	w := newOffice(t)
	p := w.visit(t, b, "editor")
	p.follow("link", "New campaign")
	p.fill("Name", "Long work")
	p.fill("Text", "Acme: \"quoted\" & <b>marked</b>\n{link}")
	p.fill("Address the link opens", "https://visual.example.com/x?a=1&b=2")
	p.fill("Numbers it answers", "+18005550111")
	other, err := p.Another()
	require.NoError(t, err)
	_, err = other.Go(w.admin + "/")
	require.NoError(t, err)
	require.NoError(t, other.Follow("button", "Sign out"))
	other.Close()

	p.follow("button", "Create campaign")
	require.Equal(t, http.StatusUnauthorized, p.Status())
	p.see("Your session is over. What you typed is not lost")
	p.glance("sign-in-again")
	p.fill("Token", "wrong") // and even then it is not
	p.enter()
	p.see("This token is not known")
	p.fill("Token", secretOf("editor"))
	p.enter()
	p.see("nothing was saved yet")
	require.Equal(t, http.StatusNotFound, w.api(t, http.MethodGet, "/v1/campaigns/long-work", nil).status)
	p.holds("Name", "Long work")
	p.holds("Text", "Acme: \"quoted\" & <b>marked</b>\n{link}")
	p.holds("Address the link opens", "https://visual.example.com/x?a=1&b=2")
	p.holds("Numbers it answers", "+18005550111")
	p.glance("campaign-again")
	p.follow("button", "Create campaign")
	p.see("The campaign is saved")
}

// All of it works without JavaScript.
func storyNoScript(t *testing.T, b *browsers) {
	w := newOffice(t)
	p := w.visit(t, b, "editor", browser.Options{NoScript: true})
	p.follow("link", "New campaign")
	p.fill("Name", "Plain")
	p.fill("Text", "Acme: plain {link}")
	p.follow("button", "Update preview")
	p.see("Acme: plain " + w.public)
	p.fill("Short name (id)", "plain")
	p.fill("Address the link opens", "https://visual.example.com/x")
	p.fill("Numbers it answers", "8005550112")
	p.follow("button", "Create campaign")
	p.see("The campaign is saved")
	p.holds("Numbers it answers", "+18005550112")
	p.fill("Number of your phone", myPhone)
	p.follow("button", "Send me a test")
	eventually(t, func() error {
		text, err := p.Text()
		if err == nil && !strings.Contains(text, "Delivered.") {
			err = errors.Join(errors.New("it is not delivered yet"), p.Follow("link", "Look again"))
		}
		return err
	})
	p.glance("campaign-without-script")
	p.goes("/")
	p.follow("switch", "Plain is on")
	p.see("The campaign is switched off")
	p.click("checkbox", "Select Plain")
	p.follow("button", "Delete selected")
	p.follow("button", "Delete it")
	p.see("Deleted.")
}
