package page

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

const (
	optOutsPath = "/opt-outs"
	// optOutsLimit is how many a page shows at once.
	optOutsLimit = 50
	// maxOptOutReason is how long a reason may be, in characters.
	maxOptOutReason = 200
)

// optOutsPage is what opt_outs.html shows.
type optOutsPage struct {
	Search    []input
	Add       []input
	Import    input
	Troubles  []trouble
	Rows      []optOutRow
	Pager     pager
	Narrowed  bool
	Searched  *optOutFound  // what a search for one number has found
	Imported  *importedPage // what an import has done
	MayChange bool
}

// optOutRow is one entry of the list.
type optOutRow struct {
	Number    string // in full for those who may change the list
	Forgotten bool
	Since     time.Time
	How       string
	Reason    string
	By        string
}

// optOutFound is whether one number has opted out.
type optOutFound struct {
	Number string // as it was typed, or as it is on the list
	Row    *optOutRow
	Says   string // that it is not, or no longer, on the list
}

// importedPage is what became of a file.
type importedPage struct {
	optout.Imported
	More int // lines that could not be taken and are not named
}

// optOutSources says how somebody opted out.
var optOutSources = map[optout.Source]string{
	optout.Inbound:  "Texted STOP",
	optout.Provider: "At the provider",
	optout.Keypress: "Key pressed in a call",
	optout.Page:     "Added by hand",
	optout.API:      "Over the API",
	optout.Import:   "From a list",
}

func (p *pages) optOutRoutes() {
	p.notice("opt-out-added", "The number is on the list: from now on no text to it begins.")
	p.notice("opt-out-known", "The number was on the list already, and stays as it was.")
	p.notice("opt-out-removed", "The number is off the list and may be texted again.")
	p.handle("GET "+optOutsPath, (*view).optOuts)
	p.handle("POST "+optOutsPath, (*view).findOptOut)
	p.handleAgain("POST "+optOutsPath, (*view).findOptOut) // it changes nothing
	p.handle("POST "+optOutsPath+"/add", (*view).addOptOut)
	p.handleAgain("POST "+optOutsPath+"/add", (*view).addOptOutAgain)
	p.handle("POST "+optOutsPath+"/remove", (*view).removeOptOut)
	p.handleAgain("POST "+optOutsPath+"/remove", func(v *view) error { return v.confirmRemoval(nil) })
	p.handleUpload("POST "+optOutsPath+"/import", (*view).importOptOuts)
	p.handleAgain("POST "+optOutsPath+"/import", (*view).importOptOutsAgain)
	p.handleLong("GET "+optOutsPath+"/export", (*view).exportOptOuts)
}

// optOutField names the control that a part of the API is about.
func optOutField(place string) (name, label string) {
	switch place {
	case "number":
		return "number", "Number"
	case "source":
		return "source", "How"
	case "/reason", "reason":
		return "reason", "Reason"
	}
	return "", ""
}

// newOptOutsPage makes the page with its forms, the list aside.
func (v *view) newOptOutsPage() optOutsPage {
	sources := []option{{Value: "", Label: "Any"}}
	for _, s := range optout.Sources() {
		sources = append(sources, option{Value: string(s), Label: optOutSources[s]})
	}
	return optOutsPage{
		MayChange: v.may(admin.RoleEditor),
		Search: []input{
			{Kind: "tel", Name: "number", Label: "Number", Max: 64, Placeholder: "+14155550132", Code: true},
			{Kind: "select", Name: "source", Label: "How", Value: v.query("source"), Options: sources},
		},
		Add: []input{
			{Kind: "tel", Name: "add-number", Label: "Number", Max: 64, Required: true, Code: true, Placeholder: "+14155550132"},
			{
				Name: "reason", Label: "Reason", Max: maxOptOutReason, Required: true,
				Hint: "For your colleagues, such as: asked by email.",
			},
		},
	}
}

func (v *view) optOuts() error { return v.showOptOuts(http.StatusOK, v.newOptOutsPage()) }

// showOptOuts adds the list to a page, and shows it.
func (v *view) showOptOuts(status int, data optOutsPage) error {
	query := client.OptOutQuery{Source: v.query("source"), Limit: optOutsLimit, Cursor: v.query("cursor")}
	found, err := v.api.OptOuts(v.ctx(), query)
	if client.Is(err, http.StatusUnprocessableEntity) {
		// Neither comes from a form of ours.
		query.Source, query.Cursor = "", ""
		found, err = v.api.OptOuts(v.ctx(), query)
	}
	if err != nil {
		return err
	}
	data.Narrowed = query.Source != "" || query.Cursor != ""
	for _, e := range found.Items {
		data.Rows = append(data.Rows, newOptOutRow(e))
	}
	address := func(cursor string) string {
		values := url.Values{}
		if query.Source != "" {
			values.Set("source", query.Source)
		}
		if cursor != "" {
			values.Set("cursor", cursor)
		}
		return optOutsPath + "?" + values.Encode()
	}
	if query.Cursor != "" {
		data.Pager.First = address("")
	}
	if found.Next != "" {
		data.Pager.Next = address(found.Next)
	}
	return v.render(status, "opt_outs", data)
}

func newOptOutRow(e optout.Entry) optOutRow {
	how := optOutSources[e.Source]
	if how == "" {
		how = string(e.Source)
	}
	return optOutRow{Number: e.Number, Forgotten: e.Number == "", Since: e.Since, How: how, Reason: e.Reason, By: e.By}
}

// findOptOut says whether a number has opted out. It comes in a form: numbers
// stay out of addresses.
func (v *view) findOptOut() error {
	number := strings.TrimSpace(v.form("number"))
	if number == "" {
		to := optOutsPath
		if source := v.form("source"); source != "" {
			to += "?" + url.Values{"source": {source}}.Encode()
		}
		v.redirect(to)
		return nil
	}
	data := v.newOptOutsPage()
	data.Search[0].Value = number
	found := &optOutFound{Number: number}
	e, err := v.api.OptOut(v.ctx(), number)
	switch troubles, err := searchTroubles(err, optOutField); {
	case troubles != nil:
		data.blame(data.Search, troubles)
		return v.showOptOuts(http.StatusUnprocessableEntity, data)
	case client.Is(err, http.StatusNotFound):
		found.Says = err.Error()
	case err != nil:
		return err
	default:
		row := newOptOutRow(e)
		found.Row = &row
		if e.Number != "" {
			found.Number = e.Number
		}
	}
	data.Searched = found
	return v.showOptOuts(http.StatusOK, data)
}

// blame puts what is wrong beside the controls it is about, and above the form.
func (d *optOutsPage) blame(form []input, troubles []trouble) {
	for i, t := range troubles {
		for j := range form {
			if form[j].Name == t.Field || form[j].Name == "add-"+t.Field {
				form[j].Errors = append(form[j].Errors, t.Text)
				troubles[i].Field = form[j].Name
			}
		}
	}
	d.Troubles = append(d.Troubles, troubles...)
}

func (v *view) addOptOut() error {
	number, reason := strings.TrimSpace(v.form("add-number")), strings.TrimSpace(v.form("reason"))
	var troubles []trouble
	if number == "" {
		troubles = append(troubles, trouble{Field: "number", Label: "Number", Text: "is needed"})
	}
	if reason == "" {
		troubles = append(troubles, trouble{Field: "reason", Label: "Reason", Text: "is needed: why is the number never to be texted?"})
	}
	if troubles != nil {
		return v.addOptOutFailed(troubles)
	}
	_, err := v.api.OptOut(v.ctx(), number)
	notice := "opt-out-known"
	if client.Is(err, http.StatusNotFound) {
		notice = "opt-out-added"
	}
	_, err = v.api.AddOptOut(v.ctx(), number, reason)
	troubles, err = searchTroubles(err, optOutField)
	switch {
	case troubles != nil:
		return v.addOptOutFailed(troubles)
	case err != nil:
		return err
	}
	return v.done(optOutsPath, notice)
}

// addOptOutFailed shows the form once more, with what was typed.
func (v *view) addOptOutFailed(troubles []trouble) error {
	data := v.typedOptOut()
	data.blame(data.Add, troubles)
	return v.showOptOuts(http.StatusUnprocessableEntity, data)
}

func (v *view) addOptOutAgain() error { return v.showOptOuts(http.StatusOK, v.typedOptOut()) }

func (v *view) typedOptOut() optOutsPage {
	data := v.newOptOutsPage()
	data.Add[0].Value, data.Add[1].Value = v.form("add-number"), v.form("reason")
	return data
}

// removeOptOut takes a number off the list, after a page that asks why.
func (v *view) removeOptOut() error {
	if err := v.needs(admin.RoleEditor); err != nil {
		return err
	}
	reason := strings.TrimSpace(v.form("why"))
	switch {
	case v.form("confirmed") == "":
		return v.confirmRemoval(nil)
	case reason == "":
		return v.confirmRemoval([]trouble{{Field: "why", Label: "Reason", Text: "is needed: how did the person ask for it?"}})
	}
	err := v.api.RemoveOptOut(v.ctx(), v.form("number"), reason)
	if troubles, err := searchTroubles(err, optOutField); troubles != nil {
		return v.confirmRemoval(troubles)
	} else if err != nil {
		return err
	}
	return v.done(optOutsPath, "opt-out-removed")
}

func (v *view) confirmRemoval(troubles []trouble) error {
	why := input{
		Name: "why", Label: "Reason", Required: true, Max: maxOptOutReason, Value: v.form("why"),
		Hint: "How did the person ask for it? It is kept with your name.",
	}
	for i, t := range troubles {
		if t.Field == "why" || t.Field == "reason" {
			troubles[i].Field = "why"
			why.Errors = append(why.Errors, t.Text)
		}
	}
	status := http.StatusOK
	if troubles != nil {
		status = http.StatusUnprocessableEntity
	}
	return v.render(status, "confirm", confirmation{
		Title:  "Let this number be texted again?",
		Text:   "The person has opted out. Only take the number off the list where the person has asked for it: texts to people who have opted out are against the law in many countries.",
		Items:  []string{v.form("number")},
		Action: optOutsPath + "/remove",
		Fields: []kept{{Name: "number", Value: v.form("number")}, {Name: "confirmed", Value: "yes"}},
		Inputs: []input{why}, Troubles: troubles,
		Button: "Take it off the list", Danger: true, Back: optOutsPath,
	})
}

// importOptOuts has the API take a file in.
func (v *view) importOptOuts() error {
	data := v.newOptOutsPage()
	file, err := v.file("file")
	if err != nil {
		return fmt.Errorf("open what was uploaded: %w", err)
	}
	if file == nil {
		data.Import.Errors = []string{"choose a file first"}
		data.Troubles = []trouble{{Field: "file", Label: "File", Text: "choose a file first"}}
		return v.showOptOuts(http.StatusUnprocessableEntity, data)
	}
	defer file.Close()
	// An empty file is empty for the API too only where it can see that.
	first := make([]byte, 1)
	if _, err := io.ReadFull(file, first); err != nil {
		data.Import.Errors = []string{"is empty"}
		data.Troubles = []trouble{{Field: "file", Label: "File", Text: "is empty"}}
		return v.showOptOuts(http.StatusUnprocessableEntity, data)
	}
	done, err := v.api.ImportOptOuts(v.ctx(), io.MultiReader(strings.NewReader(string(first)), file))
	var p *admin.Problem
	switch {
	case errors.As(err, &p) && p.Status < http.StatusInternalServerError && p.Status != http.StatusForbidden:
		data.Troubles = troublesOf(p, nil)
		if len(p.Errors) > 0 {
			data.Troubles = append([]trouble{{Field: "file", Label: "File", Text: p.Detail}}, data.Troubles...)
		}
		data.Import.Errors = []string{p.Detail}
		return v.showOptOuts(p.Status, data)
	case err != nil:
		return err
	}
	data.Imported = &importedPage{Imported: done, More: done.Rejected - len(done.Invalid)}
	return v.showOptOuts(http.StatusOK, data)
}

// importOptOutsAgain says that a file must be chosen anew: files are not kept
// while somebody signs in.
func (v *view) importOptOutsAgain() error {
	data := v.newOptOutsPage()
	data.Troubles = []trouble{{Field: "file", Label: "File", Text: "nothing was imported, as your session was over: choose the file once more"}}
	return v.showOptOuts(http.StatusOK, data)
}

// exportOptOuts hands the whole list over as a file.
func (v *view) exportOptOuts() error {
	list, err := v.api.ExportOptOuts(v.ctx())
	if err != nil {
		return err
	}
	defer list.Close()
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="opt-outs.csv"`)
	v.begun = true
	if _, err := io.Copy(v.w, list); err != nil {
		// What is there would pass for the whole list.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// maskedRow says whether a number is shown in part.
func (r optOutRow) Masked() bool { return phone.Masked(r.Number) }
