package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// hostile is what nobody types by accident, in every field: none of it is ever
// executed, all of it is shown as it was typed.
const hostile = `"><script>document.title="pwned"</script><img src=x onerror=alert(1)>{{7*7}}' & مرحبا 👋`

// Every field is tried with what does not belong there. The answer is clear,
// stands beside the field, and nothing typed is lost.
func storyBadInput(t *testing.T, b *browsers) {
	w := newOffice(t)
	p := w.visit(t, b, "admin")

	p.goes("/campaigns/new")
	p.follow("button", "Create campaign")
	require.Equal(t, http.StatusUnprocessableEntity, p.Status())
	p.see("things need another look")
	for _, field := range []string{"Short name (id)", "Text", "Address the link opens", "Numbers it answers"} {
		c, err := p.Control("field", field)
		require.NoError(t, err)
		require.True(t, c.Invalid, field)
	}
	p.show("campaign-wrong")

	wrong := map[string]string{
		"Name": hostile, "Text": hostile, "Short name (id)": "Not A Slug!", "Address the link opens": "javascript:alert(1)",
		"Numbers it answers": "٠١٢ not-a-number", "Sender": "much too long for a sender", "Wait for a key": "soon", "Times it is offered": "1e3",
		"Key for the text": "x", "Texts of this campaign a day": "-1",
	}
	for field, value := range wrong {
		p.fill(field, value)
	}
	p.follow("button", "Create campaign")
	require.Equal(t, http.StatusUnprocessableEntity, p.Status())
	for field, value := range wrong {
		p.holds(field, value)
		if field == "Name" {
			continue
		}
		c, err := p.Control("field", field)
		require.NoError(t, err)
		require.True(t, c.Invalid || field == "Text", "%s: %+v", field, c)
	}
	p.glance("campaign-hostile")

	// The same in a campaign that is valid: shown everywhere, executed nowhere.
	w.make(t, "hostile", func(c *campaigns.Campaign) {
		c.Name, c.Text = hostile, "مرحبا 👋 <b>{link}</b> "+strings.Repeat("long ", 100)
		c.Interaction.ID = "long-" + strings.Repeat("x", 50)
		for range 40 {
			c.DNIS = append(c.DNIS, w.dnis())
		}
	})
	p.goes("/")
	p.see(hostile, "مرحبا 👋 <b>{link}</b>")
	p.show("home-hostile")
	p.goes("/campaigns/hostile")
	p.see("UCS-2")
	p.show("campaign-ucs2")
	p.goes("/campaigns/hostile/history")
	p.see(hostile)
	p.goes("/")
	p.fill("Search campaigns", hostile)
	p.enter()
	require.Equal(t, http.StatusOK, p.Status())
	p.holds("Search campaigns", hostile)

	// Addresses that nobody gave out.
	for address, status := range map[string]int{
		"/campaigns/%3Cscript%3E": http.StatusNotFound, "/campaigns/hostile/history/999": http.StatusNotFound,
		"/messages/../../etc": http.StatusNotFound, "/?cursor=%00&q=%ff&show=x": http.StatusOK,
		"/messages/nothing": http.StatusNotFound,
	} {
		require.Equal(t, status, p.goes(address), address)
	}
	for _, dialog := range p.Dialogs() {
		require.Equal(t, "beforeunload: ", dialog) // what is wrong is not saved
	}
}
