package page

import (
	"crypto/rand"
	"net/http"
	"time"

	"deflectd/campaigns"
)

// difference is a field in which two forms do not say the same.
type difference struct {
	Field  *field
	Before []string // what both began with; nil where that is not known
	Theirs []string
	Yours  []string
	Who    changer
}

// FieldID is the id of the field's control.
func (d difference) FieldID() string { return fieldID(d.Field.Name) }

// changer is who has changed a field since both began.
type changer string

const (
	changedByThem changer = "them"
	changedByYou  changer = "you"
	changedByBoth changer = "both" // to different values
)

// comparison is what became of a campaign in two hands.
type comparison struct {
	Differences []difference
	Clash       bool // some field was changed by both
	Theirs      bool // some field was changed by them alone
}

// compare says field by field how two forms that began as base differ. Where
// base is nil, nobody knows who has changed what: then it is both.
func compare(base, theirs, yours entries) (c comparison) {
	for _, f := range fields {
		if f.same(theirs, yours) {
			continue
		}
		d := difference{Field: f, Before: f.said(base), Theirs: f.said(theirs), Yours: f.said(yours), Who: changedByBoth}
		switch {
		case base == nil:
			d.Before = nil
		case f.same(base, theirs):
			d.Who = changedByYou
		case f.same(base, yours):
			d.Who = changedByThem
		}
		c.Clash = c.Clash || d.Who == changedByBoth
		c.Theirs = c.Theirs || d.Who == changedByThem
		c.Differences = append(c.Differences, d)
	}
	return c
}

// conflictShown is a save that came too late, as its template shows it.
type conflictShown struct {
	comparison
	Known   bool // who has saved what since is known
	By      string
	At      time.Time
	Changes int // how many versions there were since
}

// clash shows both versions of a campaign that somebody else has saved
// meanwhile. The form keeps what was typed; saving it again is a decision.
func (ed *editor) clash(now *campaigns.Campaign) error {
	theirs, err := entriesIn(now)
	if err != nil {
		return err
	}
	base := ed.baseEntries()
	shown := &conflictShown{comparison: compare(base, theirs, ed.entries), Known: base != nil, At: now.UpdatedAt}
	if found, err := ed.v.api.History(ed.v.ctx(), ed.id, "", 50); err == nil {
		for _, r := range found.Items {
			if r.Version <= ed.base {
				break
			}
			if shown.Changes++; shown.Changes == 1 {
				shown.By, shown.At = r.By, r.At
			}
		}
	}
	ed.saved, ed.version, ed.conflict = now, now.Version, shown
	return ed.show(http.StatusPreconditionFailed)
}

// baseEntries is what the form began with; nil where it is kept no longer.
func (ed *editor) baseEntries() entries {
	r, err := ed.v.api.Revision(ed.v.ctx(), ed.id, ed.base)
	if err != nil || r.Campaign == nil {
		return nil
	}
	e, err := entriesIn(r.Campaign)
	if err != nil {
		return nil
	}
	return e
}

// goneShown is a campaign that was deleted while its form was open.
type goneShown struct {
	Kept bool // it can be brought back
	By   string
	At   time.Time
}

// deleted shows the form of a campaign that is no longer there.
func (ed *editor) deleted(err error) error {
	ed.gone = ed.v.deletion(ed.id)
	if !ed.gone.Kept {
		ed.key = rand.Text()
	}
	return ed.show(ed.v.excuse(err).Status)
}

// deletion says who has deleted a campaign, and when.
func (v *view) deletion(id string) *goneShown {
	found, err := v.api.History(v.ctx(), id, "", 1)
	if err != nil || len(found.Items) == 0 || found.Items[0].Action != campaigns.Deleted {
		return &goneShown{}
	}
	return &goneShown{Kept: true, By: found.Items[0].By, At: found.Items[0].At}
}
