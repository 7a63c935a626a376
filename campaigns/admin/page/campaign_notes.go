package page

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
)

// notes are what is said about a form, by the name of the field it is about;
// what concerns no field of it is under "".
type notes map[string][]string

// notesOn sorts what the API says by the fields of a form.
func (e entries) notesOn(problems []campaigns.Problem) notes {
	n := notes{}
	for _, p := range problems {
		f, rest := fieldAt(p.Pointer)
		if f == nil {
			n.add("", sentence(p.Pointer+" "+plainly(p.Message)))
			continue
		}
		message := plainly(p.Message)
		if entry := e.entryAt(f, rest); entry != "" && beginsLow(message) {
			message = "“" + entry + "” " + message
		}
		n.add(f.Name, sentence(message))
	}
	return n
}

func (n notes) add(name, message string) {
	n[name] = append(n[name], message)
}

// beginsLow says whether a message wants to be told what it is about: others
// name it themselves.
func beginsLow(message string) bool {
	return message != "" && message[0] >= 'a' && message[0] <= 'z'
}

// entryAt is the entry of a list, or the name of a pair, that the rest of a
// pointer leads to; "" where it leads to none.
func (e entries) entryAt(f *field, rest string) string {
	switch f.Control {
	case controlList:
		got := e[f.Name]
		if i, err := strconv.Atoi(rest); err == nil && i >= 0 && i < len(got) {
			return shortened(got[i])
		}
	case controlPairs:
		return shortened(unescapePointer.Replace(rest))
	default:
	}
	return ""
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// most is how much of an entry a note repeats.
const most = 40

func shortened(s string) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// pointers are what may be a JSON pointer in a message.
var pointers = regexp.MustCompile(`(^|[\s(])(/[a-z_]+(?:/[a-z_]+)*)(?:/(\d+))?`)

// plainly says a message of the API in the words of the form: fields by their
// labels instead of their pointers.
func plainly(message string) string {
	return pointers.ReplaceAllStringFunc(inPlace(message), func(found string) string {
		parts := pointers.FindStringSubmatch(found)
		f, rest := fieldAt(parts[2])
		if f == nil || rest != "" {
			return found
		}
		said := parts[1] + "“" + f.Label + "”"
		if i, err := strconv.Atoi(parts[3]); err == nil {
			said += fmt.Sprintf(" (entry %d)", i+1)
		}
		return said
	})
}

// problemsOf are the details of a problem of the API by field; what concerns a
// header or a parameter, people can do nothing about here.
func problemsOf(details []admin.Detail) (problems []campaigns.Problem) {
	for _, d := range details {
		if d.Pointer != nil {
			problems = append(problems, campaigns.Problem{Pointer: *d.Pointer, Message: d.Detail})
		}
	}
	return problems
}

// owners are how the API names a campaign that has a number already.
var owners = regexp.MustCompile(`answered by campaign ([a-z0-9][a-z0-9_-]*)`)

// inTheWay are the campaigns that keep one from being saved, as a problem names
// them.
func inTheWay(p *admin.Problem) []string {
	found := slices.Clone(p.Campaigns)
	says := []string{p.Detail}
	for _, d := range p.Errors {
		says = append(says, d.Detail)
	}
	for _, parts := range owners.FindAllStringSubmatch(strings.Join(says, "\n"), -1) {
		if !slices.Contains(found, parts[1]) {
			found = append(found, parts[1])
		}
	}
	return found
}
