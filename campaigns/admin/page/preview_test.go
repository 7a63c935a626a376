package page

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPreviewFollowsWhatIsTyped(t *testing.T) {
	f := newFixture(t)
	f.sender()
	b := f.browser("editor")
	p := b.post("/campaigns/new/preview", made("text", "Hello {link}")...).want(http.StatusOK)
	p.shows("Hello https://txt.example.com/", "+14155550100", "GSM 7-bit", "1 segment,").lacks("<html")
	b.post("/campaigns/new/preview", made("text", "Grüße 👍 {link}")...).want(http.StatusOK).shows("Unicode (UCS-2)").has(`data-note="text"`)
	b.post("/campaigns/new/preview", made("text", "")...).want(http.StatusOK).shows("Write a text").lacks(`class="error"`)
	b.post("/campaigns/new/preview", made("text", "{link}\x01")...).want(http.StatusOK).has(`<div class="error">`)
	b.post("/campaigns/new/preview", made("text", "Hi {nobody} {link}")...).want(http.StatusOK).shows("{nobody}")
	b.post("/campaigns/new/preview", made("to", "<b>no number")...).want(http.StatusOK).has("data-to-error").lacks("<b>no number")
	b.post("/campaigns/new/preview", made("text", "<script>alert(1)</script>{link}", "interaction.url", "javascript:alert(1)")...).
		want(http.StatusOK).has("&lt;script&gt;alert(1)").lacks("<script>alert")

	// Without a script the page itself is shown once more, and nothing is saved.
	b.post("/campaigns/new", made("text", "Hello {link}", "name", "Mine", "do", doPreview)...).want(http.StatusOK).
		shows("Hello https://txt.example.com/", "Unsaved changes").has(`value="Mine"`)
	rows := b.post("/campaigns/new", made("do", doRows)...).want(http.StatusOK)
	require.Equal(t, moreRows, strings.Count(rows.body, `name="interaction.params.name"`))
	f.call(http.MethodGet, "/v1/campaigns/billing", "", http.StatusNotFound)
}
