package page

import (
	"slices"
	"strings"
)

// groupShown is a group of the form as its template shows it.
type groupShown struct {
	Name  string
	Title string
	Intro string
	Parts []partShown
}

type partShown struct {
	Title  string
	More   bool // folded away
	Open   bool // unless something in it wants to be seen
	Fields []fieldShown
}

// fieldShown is one field: an input of the page, or the rows of names and
// values.
type fieldShown struct {
	input
	Fixed bool // shown, not edited
	Pairs []pairRow
}

type pairRow struct {
	Number int
	Name   string
	Value  string
}

// shownGroups is the whole form with what is written in it and what is said of
// it. What is fixed can only be read; spare is how many rows more than needed
// there are for names and values.
func (e entries) shownGroups(wrong, doubtful notes, fixed func(*field) bool, disabled bool, spare int) []groupShown {
	var all []groupShown
	for _, g := range groups {
		group := groupShown{Name: g.Name, Title: g.Title, Intro: g.Intro}
		for _, p := range g.Parts {
			part := partShown{Title: p.Title, More: p.More}
			for _, f := range p.Fields {
				shown := e.shownField(f, spare)
				shown.Errors, shown.Warnings = wrong[f.Name], doubtful[f.Name]
				shown.Fixed, shown.Disabled = fixed(f), disabled
				part.Open = part.Open || len(e[f.Name]) > 0 || len(shown.Errors)+len(shown.Warnings) > 0
				part.Fields = append(part.Fields, shown)
			}
			group.Parts = append(group.Parts, part)
		}
		all = append(all, group)
	}
	return all
}

// kinds are the inputs that controls are shown as.
var kinds = map[control]string{
	controlText: "textarea", controlList: "textarea", controlChoice: "select", controlChecks: "checks", controlSwitch: "checkbox",
}

// How many lines are seen without scrolling: of a text, and of a list at most.
const (
	textRows = 5
	listRows = 10
)

func (e entries) shownField(f *field, spare int) fieldShown {
	got := e[f.Name]
	shown := fieldShown{input: input{
		Kind: kinds[f.Control], Name: f.Name, Label: f.Label, Hint: f.Hint, Options: f.Choices, Required: f.Needed,
		Inputmode: f.Keys, Size: f.Size, Code: f.Code, Placeholder: f.Empty,
	}}
	if shown.Placeholder == "" {
		shown.Placeholder = f.Default
	}
	switch f.Control {
	case controlSwitch:
		shown.Value, shown.Checked = on, got == nil || got[0] == on
	case controlChecks:
		shown.Values = got
		if got == nil {
			shown.Values = strings.Fields(f.Default)
		}
	case controlChoice:
		shown.Value = strings.Join(got, "")
		if shown.Value == "" {
			shown.Value = f.Default
		}
		if f.place(shown.Value) == len(f.Choices) { // one that a newer version knows, or nobody
			shown.Options = append(slices.Clone(f.Choices), option{Value: shown.Value, Label: shown.Value})
		}
	case controlList:
		shown.Value, shown.Rows = strings.Join(got, "\n"), min(max(len(got)+1, 2), listRows)
	case controlPairs:
		for row := range slices.Chunk(append(slices.Clone(got), make([]string, 2*spare)...), 2) {
			shown.Pairs = append(shown.Pairs, pairRow{Number: len(shown.Pairs) + 1, Name: row[0], Value: row[1]})
		}
	case controlText:
		shown.Value, shown.Rows = strings.Join(got, ""), textRows
	default:
		shown.Value = strings.Join(got, "")
	}
	return shown
}

// troublesIn lists what is wrong with a form, in the order of its fields.
func (n notes) troublesIn() (all []trouble) {
	for _, message := range n[""] {
		all = append(all, trouble{Text: message})
	}
	for _, f := range fields {
		for _, message := range n[f.Name] {
			all = append(all, trouble{Text: message, Field: f.Name, Label: f.Label})
		}
	}
	return all
}
