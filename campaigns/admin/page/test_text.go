package page

import (
	"net/http"
	"net/url"
	"strings"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
	"deflectd/campaigns/message"
)

// testShown is a test text and where it is.
type testShown struct {
	Campaign string
	ID       string
	State    message.State
	Says     string
	Bad      bool // it did not go out, or not for sure
	Over     bool // nothing more will happen to it
	Problem  string
}

func (p *pages) testRoutes() {
	p.notice("test-sent", "Your test is on its way.")
	p.handle("POST "+campaignRoute+"/test", (*view).testCampaign)
	p.handle("GET "+campaignRoute+"/test/{message}", (*view).followTest)
}

// testCampaign sends a test of what is saved. The whole form is posted with it,
// so that what is typed is not lost where it cannot be sent.
func (v *view) testCampaign() error {
	ed := v.edited()
	now, err := v.api.Campaign(v.ctx(), ed.id)
	switch {
	case client.Is(err, http.StatusNotFound):
		return ed.deleted(err)
	case err != nil:
		return ed.explain(err)
	}
	ed.saved = now
	theirs, err := entriesIn(now)
	if err != nil {
		return err
	}
	if compare(nil, theirs, ed.entries).Clash {
		ed.test = &testShown{Problem: "Nothing was sent: there are unsaved changes, and a test sends what is saved. Save first."}
		return ed.show(http.StatusConflict)
	}
	ed.unsaved = false
	if strings.TrimSpace(ed.to) == "" {
		ed.test = &testShown{Problem: "Nothing was sent: write the number of your phone above."}
		return ed.show(http.StatusUnprocessableEntity)
	}
	m, err := v.api.SendMessage(v.ctx(), ed.id, admin.MessageRequest{To: ed.to, Test: true}, v.form("test_key"))
	if err != nil {
		p := v.excuse(err)
		ed.test = &testShown{Problem: "Nothing was sent: " + refusalOf(p)}
		if p.Status >= http.StatusInternalServerError {
			// It may have been taken all the same: the same key sends it once.
			ed.testKey = v.form("test_key")
			ed.test.Problem = "It is not known whether it was sent: " + refusalOf(p) + " However often you press, it is sent once."
		}
		return ed.show(p.Status)
	}
	return v.done(campaignPath(ed.id)+"?test="+url.QueryEscape(m.ID), "test-sent")
}

// refusalOf is why a test was refused, in one sentence.
func refusalOf(p *admin.Problem) string {
	for _, d := range p.Errors {
		if d.Pointer != nil && *d.Pointer == "/to" {
			return "the number " + d.Detail + "."
		}
	}
	return strings.TrimSuffix(inPlace(p.Detail), ".") + "."
}

// follow shows a test that was sent, where there is one.
func (ed *editor) follow(id string) {
	if id == "" {
		return
	}
	m, err := ed.v.api.Message(ed.v.ctx(), id)
	if err != nil || m.Campaign != ed.id || !m.Test {
		return
	}
	ed.test = testOf(m)
	if ed.v.may(admin.RoleEditor) { // others see it masked
		ed.to = m.To
	}
}

// followTest says where a test is: a piece of a page, for its script.
func (v *view) followTest() error {
	m, err := v.api.Message(v.ctx(), v.r.PathValue("message"))
	if err != nil {
		return err
	}
	if m.Campaign != v.r.PathValue("id") || !m.Test {
		return errNothing
	}
	return v.renderPart(http.StatusOK, "campaign_test", testOf(m))
}

// states are what is said of a test in each state.
var states = map[message.State]string{
	message.Queued:    "Waiting to be sent.",
	message.Sending:   "Being sent.",
	message.Accepted:  "The provider has taken it; its report of the delivery is still to come.",
	message.Delivered: "Delivered.",
	message.Failed:    "It could not be delivered.",
	message.Expired:   "It was not delivered in time, and is given up.",
	message.Unknown:   "Nobody knows whether it went out: the provider's answer is missing.",
	message.Cancelled: "It was called back before it was sent.",
}

func testOf(m message.Message) *testShown {
	t := &testShown{Campaign: m.Campaign, ID: m.ID, State: m.State, Says: states[m.State], Over: m.State.Final()}
	switch m.State {
	case message.Failed, message.Expired, message.Unknown, message.Cancelled:
		t.Bad = true
		if m.Reason != "" {
			t.Says += " (" + strings.ReplaceAll(m.Reason, "_", " ") + ")"
		}
	default:
	}
	return t
}
