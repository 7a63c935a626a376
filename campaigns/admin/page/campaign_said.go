package page

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// said is what a field of a form says, in words and line by line; what is not
// written is said to be so.
func (f *field) said(e entries) []string {
	got := e[f.Name]
	switch {
	case len(got) == 0 && e.needsSaying(f):
		return []string{"nothing"}
	case len(got) == 0:
		return []string{f.unsaid()}
	}
	switch f.Control {
	case controlSwitch:
		return []string{switched(got[0] == on)}
	case controlChoice, controlChecks:
		var labels []string
		for _, word := range got {
			labels = append(labels, f.label(word))
		}
		return labels
	case controlPairs:
		var lines []string
		for row := range slices.Chunk(got, 2) {
			lines = append(lines, row[0]+" = "+row[1])
		}
		return lines
	case controlText:
		return strings.Split(got[0], "\n")
	default:
		return got
	}
}

// unsaid is what holds where a field says nothing.
func (f *field) unsaid() string {
	switch {
	case f.Control == controlSwitch:
		return switched(f.Default == on)
	case f.Default != "":
		var labels []string
		for word := range strings.FieldsSeq(f.Default) {
			labels = append(labels, f.label(word))
		}
		return strings.Join(labels, ", ") + " (usual)"
	case f.Empty != "":
		return f.Empty
	}
	return "nothing"
}

func switched(yes bool) string {
	if yes {
		return "on"
	}
	return "off"
}

// saidOf is what a value of the API says at a pointer, line by line; nil stands
// for what is not there. The place is what people call it.
func saidOf(pointer string, value any) (place string, lines []string) {
	f, rest := fieldAt(pointer)
	if f == nil {
		return pointer, plain(value)
	}
	place = f.Label
	switch {
	case f.Control == controlPairs && rest != "":
		place += ": " + unescapePointer.Replace(rest)
		return place, plain(value)
	case rest != "": // an entry of a list
		if word, ok := value.(string); ok {
			return place, []string{f.label(word)}
		}
		return place, plain(value)
	}
	e := entries{}
	if got := f.shown(value); len(got) > 0 {
		e[f.Name] = got
	}
	return place, f.said(e)
}

// plain writes a value that the form does not know.
func plain(value any) []string {
	switch v := value.(type) {
	case nil:
		return []string{"nothing"}
	case string:
		return strings.Split(v, "\n")
	case bool:
		return []string{switched(v)}
	case []any:
		var lines []string
		for _, entry := range v {
			lines = append(lines, plain(entry)...)
		}
		return lines
	case map[string]any:
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, name+" = "+strings.Join(plain(v[name]), ", "))
		}
		return lines
	}
	return []string{fmt.Sprint(value)}
}
