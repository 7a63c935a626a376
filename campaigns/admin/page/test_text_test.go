package page

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
)

func TestSendMeATest(t *testing.T) {
	f := newFixture(t)
	f.sender()
	f.create(billing)
	b := f.browser("editor")
	page, now := b.get("/campaigns/billing"), f.saved("billing")

	b.post("/campaigns/billing/test", page.typed(now, "to", "+14155550123", "name", "Mine")...).want(http.StatusConflict).
		shows("Nothing was sent", "unsaved changes").has(`value="Mine"`)
	b.post("/campaigns/billing/test", page.typed(now)...).want(http.StatusUnprocessableEntity).shows("write the number of your phone")
	b.post("/campaigns/billing/test", page.typed(now, "to", "hello")...).want(http.StatusUnprocessableEntity).shows("Nothing was sent").has(`value="hello"`)
	f.call(http.MethodPut, "/v1/opt-outs/+14155550199", `{}`, http.StatusCreated)
	b.post("/campaigns/billing/test", page.typed(now, "to", "+14155550199")...).want(http.StatusConflict).shows("Nothing was sent", "opted out")

	sent := b.post("/campaigns/billing/test", page.typed(now, "to", "(415) 555-0123")...).want(http.StatusSeeOther)
	at, err := url.Parse(sent.header.Get("Location"))
	require.NoError(t, err)
	id := at.Query().Get("test")
	require.NotContains(t, at.String(), "555", "no number is in an address")
	require.Equal(t, id, mustQuery(t, b.post("/campaigns/billing/test", page.typed(now, "to", "(415) 555-0123")...)), "pressed twice, sent once")

	require.Eventually(t, func() bool {
		return strings.Contains(b.get("/campaigns/billing/test/"+id).want(http.StatusOK).text(), "Delivered.")
	}, time.Minute, 10*time.Millisecond)
	b.get(at.String()).want(http.StatusOK).shows("Delivered.").has(`value="+14155550123"`)
	b.get("/campaigns/other/test/" + id).want(http.StatusNotFound)
	f.browser("viewer").get(at.String()).want(http.StatusOK).hides("4155550123")
}

func mustQuery(t *testing.T, a answer) string {
	t.Helper()
	at, err := url.Parse(a.want(http.StatusSeeOther).header.Get("Location"))
	require.NoError(t, err)
	return at.Query().Get("test")
}

func TestEveryStateOfATestIsPutInWords(t *testing.T) {
	for _, state := range message.States() {
		shown := testOf(message.Message{State: state, Reason: "no_such_number"})
		require.NotEmpty(t, shown.Says, state)
		require.Equal(t, shown.Bad, strings.Contains(shown.Says, "(no such number)"), state)
	}
}
