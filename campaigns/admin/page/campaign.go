package page

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
)

const (
	campaignsPath = "/campaigns"
	newPath       = campaignsPath + "/new"
	campaignRoute = campaignsPath + "/{id}"
)

// campaignPath is the address of a campaign's form.
func campaignPath(id string) string { return campaignsPath + "/" + url.PathEscape(id) }

func (p *pages) campaignRoutes() {
	p.notice("campaign-created", "The campaign is saved. Send yourself a test to see it arrive.")
	p.notice("campaign-saved", "Saved. Calls and texts follow it from now on.")
	p.notice("campaign-same", "Nothing was changed, so there was nothing to save.")

	p.handle("GET "+newPath, (*view).newCampaign)
	p.handle("POST "+newPath, (*view).createCampaign)
	p.handle("POST "+newPath+"/preview", (*view).previewCampaign)
	p.handle("GET "+campaignRoute, (*view).openCampaign)
	p.handle("POST "+campaignRoute, (*view).saveCampaign)
	p.handle("POST "+campaignRoute+"/preview", (*view).previewCampaign)
	p.handleAgain("POST "+newPath, (*view).newCampaignAgain)
	p.handleAgain("POST "+campaignRoute, (*view).openCampaignAgain)
	p.handleAgain("POST "+campaignRoute+"/test", (*view).openCampaignAgain)
	p.testRoutes()
	p.historyRoutes()
}

// What the buttons of the form ask for: the values of "do".
const (
	doSave    = "save"
	doPreview = "preview" // show the text once more; nothing is saved
	doRows    = "rows"    // more rows for names and values; nothing is saved
	doBoth    = "both"    // save what was changed here on top of what others changed
	doRestore = "restore" // bring the campaign back, and save
)

const (
	usualRows = 1
	moreRows  = 4
)

// editor is one campaign in the hands of one person: what the form says, what
// it is about and what is said to it.
type editor struct {
	v  *view
	id string // "" of a new one

	entries entries
	// The version that the form is saved on top of, and the one it began with.
	// They differ after somebody else has saved meanwhile.
	version, base int64
	saved         *campaigns.Campaign // as it is now; nil where it is not known
	key           string              // makes creating it twice harmless
	testKey       string              // and sending a test twice
	to            string              // the number to show it for, and to test it with
	unsaved       bool                // what the form says is not what is saved
	spare         int

	wrong    notes
	problem  string // what keeps it from being saved, where no field does
	unsure   bool   // whether it was saved all the same is not known
	taken    []string
	conflict *conflictShown
	gone     *goneShown
	test     *testShown
}

// campaignShown is what the form's template shows.
type campaignShown struct {
	New     bool
	ID      string
	Title   string
	Action  string
	Version int64
	Base    int64
	Key     string
	TestKey string
	CanEdit bool
	Unsaved bool
	Off     bool // it is switched off
	Changed time.Time
	Groups  []groupShown
	Preview previewShown

	Troubles []trouble
	Problem  string
	Unsure   bool     // whether it was saved is not known
	Taken    []string // campaigns that have a number of this one
	Conflict *conflictShown
	Gone     *goneShown
	Test     *testShown
}

// edited is the campaign of a form as it was posted.
func (v *view) edited() *editor {
	ed := &editor{
		v: v, id: v.r.PathValue("id"), entries: entriesOf(v.r.PostForm), key: v.form("key"), to: v.form("to"),
		version: versionOf(v.form("version")), base: versionOf(v.form("base")), spare: usualRows, unsaved: true,
	}
	if ed.id != "" {
		ed.entries["id"] = []string{ed.id}
	}
	if ed.base == 0 {
		ed.base = ed.version
	}
	if ed.key == "" || len(ed.key) > 64 {
		ed.key = rand.Text()
	}
	return ed
}

func versionOf(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// show shows the form with all that is known of it.
func (ed *editor) show(status int) error {
	v := ed.v
	page := campaignShown{
		New: ed.id == "", ID: ed.id, Title: "New campaign", Action: newPath, Version: ed.version, Base: ed.base,
		Key: ed.key, TestKey: ed.testKey, Unsure: ed.unsure, CanEdit: v.may(admin.RoleEditor), Unsaved: ed.unsaved,
		Problem: ed.problem, Taken: ed.taken, Conflict: ed.conflict, Gone: ed.gone, Test: ed.test,
	}
	if page.TestKey == "" {
		page.TestKey = rand.Text()
	}
	if ed.id != "" {
		page.Action, page.Title = campaignPath(ed.id), ed.id
		if ed.saved != nil && ed.saved.Name != "" {
			page.Title = ed.saved.Name
		}
	}
	if ed.saved != nil {
		page.Off, page.Changed = !ed.saved.IsEnabled(), ed.saved.UpdatedAt
	}
	preview, _, warnings := v.previewOf(ed.id, ed.entries, ed.to)
	if ed.wrong == nil {
		ed.wrong = notes{}
	}
	page.Preview, page.Troubles = preview, ed.wrong.troublesIn()
	fixed := func(f *field) bool { return f.Name == "id" && ed.id != "" }
	page.Groups = ed.entries.shownGroups(ed.wrong, warnings, fixed, !page.CanEdit, ed.spare)
	return v.render(status, "campaign", page)
}

// newCampaign shows an empty form.
func (v *view) newCampaign() error {
	if err := v.needs(admin.RoleEditor); err != nil {
		return err
	}
	ed := &editor{v: v, entries: entries{}, key: rand.Text(), spare: usualRows}
	return ed.show(http.StatusOK)
}

// openCampaign shows a campaign as it is saved.
func (v *view) openCampaign() error {
	ed := &editor{v: v, id: v.r.PathValue("id"), spare: usualRows}
	now, err := v.api.Campaign(v.ctx(), ed.id)
	if client.Is(err, http.StatusNotFound) {
		return v.openDeleted(ed.id, err)
	}
	if err != nil {
		return err
	}
	ed.take(now)
	if ed.entries, err = entriesIn(now); err != nil {
		return err
	}
	ed.follow(v.query("test"))
	return ed.show(http.StatusOK)
}

// take has the form be about the campaign as it is now.
func (ed *editor) take(now *campaigns.Campaign) {
	ed.saved, ed.version, ed.base = now, now.Version, now.Version
}

// createCampaign saves a new campaign.
func (v *view) createCampaign() error {
	ed := v.edited()
	if err := v.needs(admin.RoleEditor); err != nil {
		return err
	}
	if ed.onlyShows(v.form("do")) {
		return ed.show(http.StatusOK)
	}
	doc, wrong := ed.entries.document()
	if len(wrong) > 0 {
		return ed.refuse(wrong)
	}
	created, err := v.api.CreateCampaign(v.ctx(), doc, ed.key)
	if err != nil {
		return ed.explain(err)
	}
	return v.done(campaignPath(created.ID), "campaign-created")
}

// newCampaignAgain shows the form of a new campaign as it was posted.
func (v *view) newCampaignAgain() error {
	if err := v.needs(admin.RoleEditor); err != nil {
		return err
	}
	ed := v.edited()
	ed.problem = notSavedYet
	return ed.show(http.StatusOK)
}

const notSavedYet = "Your session was over, so nothing was saved yet. All you typed is here: look it over and save."

// openCampaignAgain shows the form of a campaign as it was posted.
func (v *view) openCampaignAgain() error {
	ed := v.edited()
	now, err := v.api.Campaign(v.ctx(), ed.id)
	if err == nil {
		ed.saved = now
	}
	ed.problem = notSavedYet
	return ed.show(http.StatusOK)
}

// onlyShows says whether a button asks for nothing but to see the form again.
func (ed *editor) onlyShows(do string) bool {
	switch do {
	case doRows:
		ed.spare = moreRows
		return true
	case doPreview:
		return true
	}
	return false
}

// saveCampaign saves what was changed of a campaign.
func (v *view) saveCampaign() error {
	ed, do := v.edited(), v.form("do")
	now, err := v.api.Campaign(v.ctx(), ed.id)
	switch {
	case client.Is(err, http.StatusNotFound) && do == doRestore:
		if now, err = v.api.RestoreCampaign(v.ctx(), ed.id, client.Any); err != nil {
			return ed.explain(err)
		}
		if !ed.beganWith(now) { // somebody has changed it before it was deleted
			return ed.clash(now)
		}
		ed.version = now.Version
	case client.Is(err, http.StatusNotFound):
		return ed.deleted(err)
	case err != nil:
		return ed.explain(err)
	}
	ed.saved = now
	if ed.onlyShows(do) {
		return ed.show(http.StatusOK)
	}
	if ed.version != now.Version {
		return ed.clash(now)
	}
	from, err := ed.begunWith(now, do)
	if err != nil {
		return err
	}
	patch, wrong := ed.entries.patchOn(from)
	switch {
	case len(wrong) > 0:
		return ed.refuse(wrong)
	case len(patch) == 0 && do == doRestore:
		return v.done(campaignPath(ed.id), "campaign-restored")
	case len(patch) == 0:
		return v.done(campaignPath(ed.id), "campaign-same")
	}
	if _, err := v.api.PatchCampaign(v.ctx(), ed.id, patch, ed.version); err != nil {
		return ed.notSaved(err)
	}
	return v.done(campaignPath(ed.id), "campaign-saved")
}

// begunWith is what the changes of a form are found by: the campaign as it is,
// or the version the form began with where what others have changed since is to
// stay.
func (ed *editor) begunWith(now *campaigns.Campaign, do string) (entries, error) {
	if do == doBoth && ed.base != ed.version {
		if base := ed.baseEntries(); base != nil {
			return base, nil
		}
	}
	return entriesIn(now)
}

// beganWith says whether a campaign says what it said when the form was opened.
func (ed *editor) beganWith(now *campaigns.Campaign) bool {
	is, err := entriesIn(now)
	base := ed.baseEntries()
	return err == nil && base != nil && len(compare(base, is, base).Differences) == 0
}

// notSaved says why a change was not saved. Somebody else may have been faster
// just now.
func (ed *editor) notSaved(err error) error {
	switch {
	case client.Is(err, http.StatusPreconditionFailed):
		now, readErr := ed.v.api.Campaign(ed.v.ctx(), ed.id)
		if readErr != nil {
			return ed.explain(readErr)
		}
		return ed.clash(now)
	case client.Is(err, http.StatusNotFound):
		return ed.deleted(err)
	}
	return ed.explain(err)
}

// refuse shows the form with what is wrong with it: what its entries cannot be,
// and what the API says of the rest.
func (ed *editor) refuse(wrong []campaigns.Problem) error {
	_, all, _ := ed.v.previewOf(ed.id, ed.entries, "")
	if len(all) > 0 {
		wrong = all
	}
	ed.wrong = ed.entries.notesOn(wrong)
	return ed.show(http.StatusUnprocessableEntity)
}

// explain shows the form with what the API says of it; nothing typed is lost,
// whatever went wrong.
func (ed *editor) explain(err error) error {
	p := ed.v.excuse(err)
	ed.wrong = ed.entries.notesOn(problemsOf(p.Errors))
	if len(ed.wrong) == 0 {
		ed.problem = sentence(p.Detail)
	}
	if p.Status >= http.StatusInternalServerError {
		ed.unsure, ed.problem = true, sentence(p.Detail)+" Save again in a moment: however often you do, it is saved once."
	}
	if p.Status == http.StatusConflict {
		ed.taken = inTheWay(p)
		switch {
		case ed.id == "" && len(ed.wrong["id"]) > 0:
			ed.taken = append(ed.taken, ed.entries["id"]...)
		case ed.id == "" && len(ed.wrong) == 0:
			// The key of the form has made another campaign.
			ed.key = rand.Text()
			ed.problem = "This form has made a campaign already, which said something else. Press “Create campaign” once more to make another one."
		}
	}
	if ed.saved == nil && ed.id != "" {
		if now, readErr := ed.v.api.Campaign(ed.v.ctx(), ed.id); readErr == nil {
			ed.saved = now
		}
	}
	return ed.show(p.Status)
}

// said names a version for people.
func said(version int64) string { return fmt.Sprintf("version %d", version) }
