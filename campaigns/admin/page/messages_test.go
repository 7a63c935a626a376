package page

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
)

const person = "+14155550132"

// text sends a text over the API.
func (f *fixture) text(campaign, to string, test bool) message.Message {
	f.t.Helper()
	var m message.Message
	body := f.call(http.MethodPost, "/v1/campaigns/"+campaign+"/messages", `{"to":"`+to+`","test":`+strconv.FormatBool(test)+`}`, http.StatusAccepted)
	require.NoError(f.t, json.Unmarshal([]byte(body), &m))
	return m
}

// arrives waits until a text was delivered.
func (f *fixture) arrives(id string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		m, err := f.outbox.Get(f.t.Context(), id)
		return err == nil && m.State == message.Delivered
	}, time.Minute, 5*time.Millisecond)
}

func TestMessagesAreFoundByAllTheyAreFoundBy(t *testing.T) {
	f := newFixture(t)
	f.sender()
	f.create(billing)
	f.create(campaign("support", "Support", "+18005550102"))
	editor := f.browser("editor")
	editor.get("/messages").want(http.StatusOK).shows("No texts yet")

	one := f.text("billing", person, false)
	f.arrives(one.ID) // of two in one millisecond any is the latest
	two := f.text("support", "+14155550133", true)
	f.arrives(two.ID)

	all := editor.get("/messages").want(http.StatusOK).
		shows("+1 ••• 32", "+1 ••• 33", "billing", "support", "Delivered", "Test").
		hides(person, "+14155550133", "Acme: pay")
	require.Less(t, strings.Index(all.body, two.ID), strings.Index(all.body, one.ID), "the latest first")

	editor.get("/messages?campaign=billing").shows("+1 ••• 32").hides("+1 ••• 33")
	editor.get("/messages?state=failed").shows("No text is like that")
	editor.get("/messages?state=delivered&campaign=support").shows("+1 ••• 33").hides("+1 ••• 32")
	today := time.Now().UTC()
	editor.get("/messages?from=" + today.AddDate(0, 0, -1).Format(time.DateOnly) + "&until=" + today.AddDate(0, 0, 1).Format(time.DateOnly)).shows("+1 ••• 32")
	editor.get("/messages?until=" + today.AddDate(0, 0, -2).Format(time.DateOnly)).shows("No text is like that")

	// A number is posted, and is in no address; the rest can be linked to.
	found := editor.post("/messages", "to", "(415) 555-0132", "campaign", "", "state", "").want(http.StatusOK)
	found.shows("+1 ••• 32").hides("+1 ••• 33")
	require.Contains(t, found.body, `value="(415) 555-0132"`)
	require.NotContains(t, found.body, "to=")
	editor.post("/messages", "to", "", "campaign", "billing", "state", "delivered").to("/messages?campaign=billing&state=delivered")
	editor.get("/messages?to=%2B14155550133").shows("+1 ••• 32", "+1 ••• 33")
	require.NotContains(t, f.log.String(), "4155550132")
}

func TestMessagesAreShownInParts(t *testing.T) {
	f := newFixture(t)
	f.sender()
	f.create(billing)
	for range messagesLimit + 1 {
		f.text("billing", person, true)
	}
	editor := f.browser("editor")
	first := editor.get("/messages?campaign=billing").want(http.StatusOK)
	require.Equal(t, messagesLimit, strings.Count(first.body, `href="/messages/`))
	_, rest, found := strings.Cut(first.body, `href="/messages?campaign=billing&amp;cursor=`)
	require.True(t, found, first.body)
	cursor, _, _ := strings.Cut(rest, `"`)
	next := editor.get("/messages?campaign=billing&cursor=" + cursor).want(http.StatusOK).shows("Back to the beginning")
	require.Equal(t, 1, strings.Count(next.body, `href="/messages/`))

	// The next part of what was found by a number is posted like the first.
	found2 := editor.post("/messages", "to", person).want(http.StatusOK)
	require.Contains(t, found2.body, `<input type="hidden" name="cursor" value="`+cursor+`">`)
	next = editor.post("/messages", "to", person, "cursor", cursor).want(http.StatusOK)
	require.Equal(t, 1, strings.Count(next.body, `href="/messages/`))

	// A place that never was is the beginning.
	editor.get("/messages?cursor=nonsense").want(http.StatusOK).shows("+1 ••• 32")
}

// Every field tried with what nobody means: a clear answer, and nothing executed.
func TestMessagesWithBadInput(t *testing.T) {
	f := newFixture(t)
	editor := f.browser("editor")
	editor.get("/messages?from=tomorrow").want(http.StatusUnprocessableEntity).shows("must be a day, such as 2026-03-31")
	editor.get("/messages?state=lost").want(http.StatusUnprocessableEntity)
	for _, bad := range []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "😀", "\u202eאבג", strings.Repeat("9", 64), "nobody", "{{.}}",
	} {
		a := editor.post("/messages", "to", bad)
		require.Equal(t, http.StatusUnprocessableEntity, a.code, bad)
		require.NotContains(t, a.body, "<script>alert")
		require.NotContains(t, a.body, "<img")
		require.Contains(t, a.text(), "is not a telephone number")
		require.Contains(t, a.body, `aria-invalid="true"`)
	}
	editor.post("/messages", "to", strings.Repeat("1", 300)).want(http.StatusUnprocessableEntity)
	editor.post("/messages", "campaign", strings.Repeat("x", 300)).follow().want(http.StatusUnprocessableEntity)
	editor.post("/messages", "to", person, "campaign", "<b>x</b>").want(http.StatusOK).shows("No text is like that")
}

func TestOneMessage(t *testing.T) {
	f := newFixture(t)
	f.sender()
	f.create(strings.Replace(billing, "Acme: pay here {link}", `<b>Acme</b>:\npay here {link}`, 1))
	m := f.text("billing", person, true)
	f.arrives(m.ID)
	m, err := f.outbox.Get(t.Context(), m.ID)
	require.NoError(t, err)

	page := f.browser("editor").get("/messages/"+m.ID).want(http.StatusOK).
		shows("Text to "+person, "Delivered", "The sandbox has reported it as delivered", "What would have arrived", "<b>Acme</b>: pay here "+m.URL,
			"+14155550100", "1 segment, GSM-7", "Test", "asked for", "attempt 1 to send it")
	require.NotContains(t, page.body, "<b>Acme")
	require.Equal(t, len(m.History), strings.Count(page.body, "<li><div><span class=\"badge"))

	// A viewer sees neither the number nor the link, which leads to it.
	f.browser("viewer").get("/messages/"+m.ID).want(http.StatusOK).
		shows("Text to +1 ••• 32", "Your role is viewer", "pay here {link}").hides(person, m.URL, m.Link)

	// What is left of it when the person was forgotten.
	f.call(http.MethodDelete, "/v1/people/+14155550132", "", http.StatusOK)
	f.browser("editor").get("/messages/"+m.ID).want(http.StatusOK).shows("Text to a forgotten person", "The wording was taken away").hides(person)
	f.browser("editor").get("/messages").shows("Forgotten person")

	for _, id := range []string{"nowhere", "..%2f..%2fservice", "%00", strings.Repeat("x", 500), "<script>"} {
		code := f.browser("editor").get("/messages/" + id).code
		require.Contains(t, []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusBadRequest}, code, id)
	}
}
