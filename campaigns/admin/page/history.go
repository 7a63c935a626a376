package page

import (
	"net/http"
	"strconv"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
)

// historyPage is how many versions are on one page.
const historyPage = 20

func (p *pages) historyRoutes() {
	p.notice("version-restored", "The campaign is again as it was then. The version in between is kept in its history.")
	p.handle("GET "+campaignRoute+"/history", (*view).campaignHistory)
	p.handle("GET "+campaignRoute+"/history/{version}", (*view).campaignVersion)
	p.handle("POST "+campaignRoute+"/history/{version}", (*view).restoreVersion)
	p.handleAgain("POST "+campaignRoute+"/history/{version}", (*view).campaignVersion)
	p.handle("POST "+campaignRoute+"/restore", (*view).bringBack)
	p.handleAgain("POST "+campaignRoute+"/restore", (*view).bringBackAgain)
}

// historyShown is what was done to a campaign.
type historyShown struct {
	ID        string
	Title     string
	Deleted   bool
	Version   int64 // that is there now
	Revisions []revisionShown
	Pager     pager
}

// revisionShown is one version and what was changed for it.
type revisionShown struct {
	Version  int64
	At       time.Time
	By       string
	Action   string
	Restores int64
	Now      bool // it is what is there
	Back     bool // one can go back to it
	Changes  []changeShown
}

// changeShown is a field that was changed: what it said, and what it says then.
// Of a list, only what was taken out and what was put in.
type changeShown struct {
	Field         string
	Before, After []string
	Entries       bool // they are entries of a list
}

func (v *view) campaignHistory() error {
	id := v.r.PathValue("id")
	found, err := v.api.History(v.ctx(), id, v.query("cursor"), historyPage)
	if err != nil {
		return err
	}
	page := historyShown{ID: id, Title: id}
	now, err := v.api.Campaign(v.ctx(), id)
	switch {
	case err == nil:
		page.Version = now.Version
		if now.Name != "" {
			page.Title = now.Name
		}
	case client.Is(err, http.StatusNotFound):
		page.Deleted = true
	default:
		return err
	}
	for _, r := range found.Items {
		page.Revisions = append(page.Revisions, shownRevision(r, page.Version))
	}
	if v.query("cursor") != "" {
		page.Pager.First = campaignPath(id) + "/history"
	}
	if found.Next != "" {
		page.Pager.Next = campaignPath(id) + "/history?cursor=" + found.Next
	}
	return v.render(http.StatusOK, "history", page)
}

// actions are what was done, in words.
var actions = map[campaigns.Action]string{
	campaigns.Created: "created it", campaigns.Changed: "changed it",
	campaigns.Deleted: "deleted it", campaigns.Restored: "restored it",
}

func shownRevision(r campaigns.Revision, now int64) revisionShown {
	shown := revisionShown{
		Version: r.Version, At: r.At, By: r.By, Action: actions[r.Action], Restores: r.Restores, Now: r.Version == now,
		Back: r.Version != now && r.Action != campaigns.Deleted,
	}
	if shown.By == "" {
		shown.By = "Somebody"
	}
	if r.Restores != 0 {
		shown.Action = "went back to " + said(r.Restores)
	}
	for _, c := range r.Changes {
		shown.add(shownChange(c, r.Action == campaigns.Created))
	}
	return shown
}

func shownChange(c campaigns.Change, created bool) (shown changeShown) {
	f, rest := fieldAt(c.Pointer)
	shown.Entries = f == nil || rest != ""
	field, before := saidOf(c.Pointer, c.Before)
	_, after := saidOf(c.Pointer, c.After)
	shown.Field = field
	// That there was nothing is worth saying where something else held then.
	bare := shown.Entries || created || f.Control == controlText
	if c.Before != nil || !bare {
		shown.Before = before
	}
	if c.After != nil || !bare {
		shown.After = after
	}
	return shown
}

// add adds a change; entries of one list are one change to people.
func (r *revisionShown) add(c changeShown) {
	if n := len(r.Changes); n > 0 && c.Entries && r.Changes[n-1].Entries && r.Changes[n-1].Field == c.Field {
		last := &r.Changes[n-1]
		last.Before, last.After = append(last.Before, c.Before...), append(last.After, c.After...)
		return
	}
	r.Changes = append(r.Changes, c)
}

// versionShown is an old version beside what is there now.
type versionShown struct {
	ID          string
	Title       string
	Revision    revisionShown
	Version     int64 // that is there now
	Deleted     bool
	CanEdit     bool
	Differences []difference
	Problem     string
	Troubles    []trouble
}

// campaignVersion asks whether a campaign is to be as it was.
func (v *view) campaignVersion() error {
	page, err := v.version()
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "history_version", page)
}

func (v *view) version() (versionShown, error) {
	page := versionShown{ID: v.r.PathValue("id"), CanEdit: v.may(admin.RoleEditor)}
	page.Title = page.ID
	number, err := strconv.ParseInt(v.r.PathValue("version"), 10, 64)
	if err != nil {
		return page, errNothing
	}
	then, err := v.api.Revision(v.ctx(), page.ID, number)
	if err != nil {
		return page, err
	}
	now, err := v.api.Campaign(v.ctx(), page.ID)
	switch {
	case client.Is(err, http.StatusNotFound):
		page.Deleted = true
		page.Revision = shownRevision(then, 0)
		return page, nil
	case err != nil:
		return page, err
	}
	if now.Name != "" {
		page.Title = now.Name
	}
	page.Version, page.Revision = now.Version, shownRevision(then, now.Version)
	if then.Campaign == nil {
		return page, nil
	}
	was, err := entriesIn(then.Campaign)
	if err != nil {
		return page, err
	}
	is, err := entriesIn(now)
	if err != nil {
		return page, err
	}
	page.Differences = compare(nil, is, was).Differences
	return page, nil
}

// restoreVersion makes an old version the newest.
func (v *view) restoreVersion() error {
	page, err := v.version()
	if err != nil {
		return err
	}
	shown := versionOf(v.form("version"))
	if shown == client.Any { // never over what nobody has seen
		shown = page.Version
	}
	_, err = v.api.RestoreRevision(v.ctx(), page.ID, page.Revision.Version, shown)
	if err == nil {
		return v.done(campaignPath(page.ID), "version-restored")
	}
	p := v.excuse(err)
	page.Problem = sentence(p.Detail)
	if p.Status == http.StatusPreconditionFailed {
		page.Problem = "Somebody has changed the campaign meanwhile. Below is what would change now: look again before you go back."
	}
	page.Troubles = entries{}.notesOn(problemsOf(p.Errors)).troublesIn()
	return v.render(p.Status, "history_version", page)
}

// openDeleted shows a campaign's address after it was deleted.
func (v *view) openDeleted(id string, err error) error {
	gone := v.deletion(id)
	if !gone.Kept {
		return err
	}
	return v.render(http.StatusNotFound, "campaign_deleted", deletedShown{ID: id, Gone: gone, CanEdit: v.may(admin.RoleEditor)})
}

// deletedShown is a campaign that was deleted.
type deletedShown struct {
	ID      string
	Gone    *goneShown
	CanEdit bool
	Problem string
}

// bringBack brings a deleted campaign back.
func (v *view) bringBack() error {
	return v.restore(v.r.PathValue("id"))
}

// bringBackAgain shows the campaign, with its button.
func (v *view) bringBackAgain() error {
	v.redirect(campaignPath(v.r.PathValue("id")))
	return nil
}

// restore brings a deleted campaign back; where it is there, it is back.
func (v *view) restore(id string) error {
	_, err := v.api.RestoreCampaign(v.ctx(), id, client.Any)
	if err == nil {
		return v.done(campaignPath(id), "campaign-restored")
	}
	p := v.excuse(err)
	if p.Reason == "not_deleted" {
		return v.done(campaignPath(id), "campaign-restored")
	}
	gone := v.deletion(id)
	if !gone.Kept {
		return p
	}
	return v.render(p.Status, "campaign_deleted", deletedShown{ID: id, Gone: gone, CanEdit: v.may(admin.RoleEditor), Problem: sentence(p.Detail)})
}
