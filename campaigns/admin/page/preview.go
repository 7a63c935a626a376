package page

import (
	"errors"
	"strings"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
	"deflectd/campaigns/message"
)

// previewShown is a text as it would arrive, in the frame of a phone.
type previewShown struct {
	// The text, and its link apart.
	Before string
	Link   string
	After  string

	There      bool // there is a text at all
	Sender     string
	Encoding   string
	Segments   int
	Used       int // of the last segment, in units of the encoding
	Left       int
	PerSegment int
	Opens      string // the address its link opens

	To      string // the number it is shown for
	ToError string
	Problem string // why there is none
	Wrong   []string
	Notes   []noteShown
}

// noteShown is a warning for the script of the page, which puts it beside its
// field.
type noteShown struct{ Field, Text string }

// encodings are the alphabets of 3GPP TS 23.038 as people call them.
var encodings = map[string]string{
	message.GSM7: "GSM 7-bit", message.UCS2: "Unicode (UCS-2)",
}

// previewOf has the API say what a form's text would come to; warnings are what
// it says by the fields of the form, and wrong what could not be saved. That it
// cannot be had is no error: the form is there without it.
func (v *view) previewOf(id string, e entries, to string) (shown previewShown, wrong []campaigns.Problem, warnings notes) {
	to = strings.TrimSpace(to)
	request := client.PreviewRequest{To: to}
	if e != nil {
		request.Draft, wrong = e.document()
	}
	if id == "" {
		id = "draft" // the API wants one in the address
	}
	answer, err := v.api.Preview(v.ctx(), id, request)
	toError := ""
	if to != "" && client.Is(err, 422) {
		toError = noteOn(err, "/to")
		request.To = ""
		answer, err = v.api.Preview(v.ctx(), id, request)
	}
	if err != nil {
		return previewShown{To: to, ToError: toError, Problem: v.excuse(err).Detail}, wrong, notes{}
	}
	shown = previewShown{
		There: answer.Text != "", Sender: answer.Originator, Encoding: encodings[answer.Encoding], Segments: answer.Segments,
		Left: answer.Left, PerSegment: answer.PerSegment, Opens: answer.InteractionURL, To: to, ToError: toError,
	}
	shown.Used = max(answer.PerSegment-answer.Left, 0)
	shown.Before, shown.After, _ = strings.Cut(answer.Text, answer.Link)
	if answer.Link != "" && strings.Contains(answer.Text, answer.Link) {
		shown.Link = answer.Link
	}
	warnings = e.notesOn(answer.Warnings)
	for _, f := range fields {
		for _, text := range warnings[f.Name] {
			shown.Notes = append(shown.Notes, noteShown{Field: f.Name, Text: text})
		}
	}
	wrong = append(wrong, answer.Errors...)
	if e != nil && strings.TrimSpace(strings.Join(e["text"], "")) != "" { // else nothing is wrong yet
		shown.Wrong = e.notesOn(wrong)["text"]
	}
	return shown, wrong, warnings
}

// noteOn is what a problem says of one place, "" where it says nothing.
func noteOn(err error, pointer string) string {
	var p *admin.Problem
	if errors.As(err, &p) {
		for _, d := range p.Errors {
			if d.Pointer != nil && *d.Pointer == pointer {
				return d.Detail
			}
		}
	}
	return ""
}

// excuse is what people are told of an error of the API; what is a fault of this
// program is logged.
func (v *view) excuse(err error) *admin.Problem {
	var p *admin.Problem
	switch {
	case errors.As(err, &p):
		return p
	case away(err):
		v.p.Logger.Warn("the API does not answer a page", "route", v.r.Pattern, "error", err)
		return &admin.Problem{Title: unavailable.Title, Status: unavailable.Status, Detail: "The store does not answer just now."}
	}
	v.p.Logger.Error("a page failed", "route", v.r.Pattern, "error", err)
	return mistake
}

// previewCampaign shows the text of a form as it is typed: a piece of a page,
// for its script.
func (v *view) previewCampaign() error {
	var e entries
	id := v.r.PathValue("id")
	if v.may(admin.RoleEditor) { // others cannot type, and see what is saved
		e = entriesOf(v.r.PostForm)
		if id != "" {
			e["id"] = []string{id}
		}
	}
	shown, _, _ := v.previewOf(id, e, v.form("to"))
	return v.renderPart(200, "campaign_preview", shown)
}
