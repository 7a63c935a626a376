package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/deploy/lab/browser"
)

// TestPage tells the stories of the page, all before one browser. Screenshots
// of every page are left in the folder DEFLECTD_SCREENSHOTS, if that is set.
func TestPage(t *testing.T) {
	t.Parallel()
	started, err := browser.Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	b := &browsers{Browser: started, shots: os.Getenv("DEFLECTD_SCREENSHOTS"), taken: map[string]bool{}}
	t.Cleanup(func() {
		require.Empty(t, b.Refused(), "the browser has asked somebody else")
		require.NoError(t, b.Stop())
	})
	if b.shots != "" {
		require.NoError(t, os.MkdirAll(b.shots, 0o750))
	}
	// Two at a time: a browser keeps more than one core busy, and there are other
	// tests.
	var lanes errgroup.Group
	lanes.SetLimit(2)
	for _, story := range stories {
		lanes.Go(func() error {
			t.Run(story.name, func(t *testing.T) { story.tell(t, b) })
			return nil
		})
	}
	_ = lanes.Wait()
}

// stories are all of them, the longest first.
var stories = []struct {
	name string
	tell func(*testing.T, *browsers)
}{
	{"bad input", storyBadInput},
	{"editing, conflict, going back", storyConflict},
	{"first load", storyFirstLoad},
	{"from nothing to a text", storyFirstText},
	{"obtaining a number", storySenders},
	{"opt-outs", storyOptOuts},
	{"deleting several", storyBulk},
	{"the session is over", storySessionOver},
	{"deleted meanwhile", storyDeletedMeanwhile},
	{"only looking", storyViewer},
	{"without JavaScript", storyNoScript},
	{"why was it not texted", storyWhy},
	{"signing in", storySignIn},
}

// Somebody comes for the first time, gets the token wrong, then right, and
// leaves again.
func storySignIn(t *testing.T, b *browsers) {
	w := newOffice(t)
	p := w.visit(t, b, "")
	began := time.Now()
	require.Equal(t, http.StatusOK, p.goes("/opt-outs"))
	p.at("/sign-in")
	p.see("Sign in", "go on to the page you asked for")
	p.show("sign-in")

	// A token is pasted, and Enter pressed.
	p.fill("Token", "dfl_wrong")
	p.enter()
	require.Equal(t, http.StatusUnauthorized, p.Status())
	p.see("This token is not known")
	p.glance("sign-in-wrong")
	p.fill("Token", secretOf("admin"))
	p.enter()
	p.at("/opt-outs")
	p.told("first sign-in, with one mistake", began)

	p.follow("link", "SMS Management")
	p.see("Your first text in three steps")
	p.show("home-first")

	p.follow("button", "Sign out")
	p.see("You have signed out")
	require.Equal(t, http.StatusOK, p.goes("/"))
	p.at("/sign-in")
}

// A number is rented, a campaign comes to depend on it, and it is released.
func storySenders(t *testing.T, b *browsers) {
	w := newOffice(t)
	p := w.visit(t, b, "admin")
	began := time.Now()
	p.follow("link", "Obtain a number")
	p.choose("Country", "United States")
	p.fill("Area", "212")
	p.follow("button", "Find numbers")
	p.see("+12125550100")
	p.show("senders-found")
	p.follow("button", "Obtain +12125550100")
	p.see("The number is yours")
	p.told("obtain a number", began)
	p.show("senders")

	w.make(t, "billing", func(c *campaigns.Campaign) { c.Originator = "+12125550100" })
	p.follow("button", "Release +12125550100")
	p.see("Release +12125550100?", "These campaigns send from this number and stop without it", "Billing (billing)")
	p.show("senders-release")
	p.follow("link", "Leave it as it is")
	p.see("+12125550100")
	p.follow("button", "Release +12125550100")
	p.follow("button", "Release it")
	p.see("The number is released")
	p.gone("+12125550100")
}

// Somebody who has never seen deflectd makes a campaign, sees what a caller
// will get, and has it on their phone, in less than a minute of clicks.
func storyFirstText(t *testing.T, b *browsers) {
	w := newOffice(t)
	p := w.visit(t, b, "editor")
	began := time.Now()
	p.follow("link", "New campaign")
	p.fill("Name", "Billing questions")
	p.fill("Text", "Acme: pay your bill here {link}")
	p.fill("Address the link opens", "https://visual.example.com/pay")
	p.fill("Numbers it answers", "+18005550100")
	p.see("Acme: pay your bill here "+w.public, "GSM 7-bit")
	p.follow("button", "Create campaign")
	p.at("/campaigns/billing-questions")
	p.see("The campaign is saved")
	p.fill("Number of your phone", myPhone)
	p.follow("button", "Send me a test")
	p.see("Delivered.")
	p.told("from nothing to a received test text", began)
	require.Less(t, p.Effort.Time(), time.Minute)
	p.show("campaign-tested")
	p.follow("link", "See the text and its history")
	p.see("Text to "+myPhone, "Acme: pay your bill here "+w.public, "Delivered")
	p.show("message")
	p.follow("link", "Messages", "Main")
	p.see("Test")
	p.gone(myPhone) // lists mask numbers
	p.show("messages")
}

// furnish makes campaigns as an operator may have them, with some texts.
func (w office) furnish(t *testing.T) {
	t.Helper()
	for _, one := range []struct {
		id, text, interaction string
		texts                 int
	}{
		{"billing", "Acme: pay your bill here {link}", "pay", 12},
		{"claims", "Acme: report a claim and send us photos {link}", "claim", 5},
		{"delivery", "Acme: see where your parcel is {link}", "parcel", 7},
		{"insurance", "Acme: your card and papers {link}", "papers", 0},
		{"outages", "Acme: what we know of your outage {link}", "outage", 3},
		{"support", "Acme: help is here {link}", "help", 1},
	} {
		c := w.make(t, one.id, func(c *campaigns.Campaign) {
			c.Text, c.Interaction.ID = one.text, one.interaction
			if one.texts == 0 {
				c.Enabled = new(bool)
			}
		})
		for range one.texts {
			w.api(t, http.MethodPost, "/v1/campaigns/"+c.ID+"/messages", map[string]string{"to": w.number()}).into(t, http.StatusAccepted, new(message.Message))
		}
	}
}

// What a page costs whoever opens it for the first time: little, and nothing of
// it comes from anybody else.
func storyFirstLoad(t *testing.T, b *browsers) {
	const most = 150_000
	w := newOffice(t)
	w.furnish(t)
	p := w.visit(t, b, "admin")
	for _, page := range []string{
		"/", "/?show=deleted", "/senders", "/campaigns/new", "/campaigns/billing", "/campaigns/billing/history",
		"/messages", "/opt-outs", "/why", "/nowhere",
	} {
		status, err := p.First(w.admin + page)
		require.NoError(t, err)
		bytes, requests := p.Loaded()
		t.Logf("%-28s %6d bytes in %d requests", page, bytes, requests)
		require.Less(t, bytes, most, page)
		switch page {
		case "/":
			p.show("home")
		case "/campaigns/new":
			p.show("campaign-new")
		case "/nowhere":
			require.Equal(t, http.StatusNotFound, status)
			p.show("error")
			continue
		}
		require.Equal(t, http.StatusOK, status, page)
		text, err := p.Text()
		require.NoError(t, err)
		require.NotEmpty(t, strings.TrimSpace(text))
	}
}
