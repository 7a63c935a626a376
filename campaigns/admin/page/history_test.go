package page

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHistoryAndBackToAVersion(t *testing.T) {
	f := newFixture(t)
	f.create(billing)
	f.call(http.MethodPatch, "/v1/campaigns/billing", `{"name":"<b>Bold","dnis":["+18005550102","555"],"validity":"1h"}`, http.StatusOK)
	b := f.browser("editor")
	b.get("/campaigns/billing/history").want(http.StatusOK).
		shows("History of <b>Bold", "admin changed it", "admin created it", "Billing questions", "1h", "As it is now", "Back to this version").lacks("<b>")

	page := b.get("/campaigns/billing/history/1").want(http.StatusOK).shows("Back to version 1?", "<b>Bold", "Billing questions", "+18005550101")
	page.has(`name="version" value="2"`)
	f.call(http.MethodPatch, "/v1/campaigns/billing", `{"originator":"Acme"}`, http.StatusOK)
	b.post("/campaigns/billing/history/1", "version", "2").want(http.StatusPreconditionFailed).shows("Somebody has changed the campaign meanwhile", "Acme")
	b.post("/campaigns/billing/history/1", "version", "3").to("/campaigns/billing?notice=version-restored")
	require.Equal(t, "Billing questions", f.saved("billing").Name)
	b.get("/campaigns/billing/history").shows("editor went back to version 1")

	// What it says is no longer possible: another campaign has its number.
	f.call(http.MethodPatch, "/v1/campaigns/billing", `{"dnis":["555"]}`, http.StatusOK)
	f.create(campaign("other", "Other", "+18005550101"))
	b.post("/campaigns/billing/history/1", "version", "5").want(http.StatusConflict).shows("other")

	f.call(http.MethodDelete, "/v1/campaigns/billing", "", http.StatusNoContent)
	b.get("/campaigns/billing/history").want(http.StatusOK).shows("admin deleted it")
	b.get("/campaigns/billing/history/1").want(http.StatusOK).shows("restore it first")
	b.get("/campaigns/billing/history/77").want(http.StatusNotFound)
	b.get("/campaigns/billing/history/x").want(http.StatusNotFound)
}
