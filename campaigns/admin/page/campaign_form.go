package page

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"deflectd/campaigns"
)

// What a box says that is ticked, and what stands for boxes of which none is.
const (
	on  = "on"
	off = ""
)

// entries are what the controls of a campaign form hold, by the name of the
// field: what people wrote, whether or not it can be saved. What is just as it
// would be without is not among them. A field of names and values has them one
// after the other.
type entries map[string][]string

// What the controls of a field of names and values are called after it.
const (
	pairName  = ".name"
	pairValue = ".value"
)

// entriesOf reads a posted form.
func entriesOf(form url.Values) entries {
	e := entries{}
	for _, f := range fields {
		if got := f.read(form); len(got) > 0 {
			e[f.Name] = got
		}
	}
	e.tidy()
	return e
}

// read takes a field's values out of a form, as they were typed.
func (f *field) read(form url.Values) []string {
	switch f.Control {
	case controlText:
		// Browsers send line ends as CR LF (HTML, section 4.10.22.4).
		return nonEmpty(strings.ReplaceAll(form.Get(f.Name), "\r\n", "\n"))
	case controlList:
		return strings.FieldsFunc(form.Get(f.Name), func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == ';' })
	case controlChecks, controlSwitch:
		if ticked := form[f.Name]; len(ticked) > 0 {
			return slices.Clone(ticked)
		}
		return []string{off}
	case controlPairs:
		var pairs []string
		values := form[f.Name+pairValue]
		for i, name := range form[f.Name+pairName] {
			value := ""
			if i < len(values) {
				value = values[i]
			}
			if name = strings.TrimSpace(name); name != "" || value != "" {
				pairs = append(pairs, name, value)
			}
		}
		return pairs
	default:
		return nonEmpty(strings.TrimSpace(form.Get(f.Name)))
	}
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// entriesIn is what the form shows of a campaign.
func entriesIn(c *campaigns.Campaign) (entries, error) {
	full := *c
	full.SetDefaults()
	doc, err := documentOf(&full)
	if err != nil {
		return nil, err
	}
	e := entries{}
	for _, f := range fields {
		if got := f.shown(valueAt(doc, f.Pointer)); len(got) > 0 {
			e[f.Name] = got
		}
	}
	e.tidy()
	return e, nil
}

// documentOf is a campaign as JSON has it.
func documentOf(c *campaigns.Campaign) (map[string]any, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("show campaign %s: %w", c.ID, err)
	}
	var doc map[string]any
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("show campaign %s: %w", c.ID, err)
	}
	return doc, nil
}

// shown is a value of the campaign's JSON as the field's control holds it.
func (f *field) shown(value any) []string {
	switch v := value.(type) {
	case string:
		return nonEmpty(v)
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}
	case json.Number:
		return []string{v.String()}
	case bool:
		if v {
			return []string{on}
		}
		return []string{off}
	case []any:
		var list []string
		for _, entry := range v {
			list = append(list, fmt.Sprint(entry))
		}
		return list
	case map[string]any:
		var pairs []string
		for name, entry := range v {
			pairs = append(pairs, name, fmt.Sprint(entry))
		}
		return sortedPairs(pairs)
	}
	return nil
}

// tidy writes what means the same in the same way, and leaves out what holds
// without being written.
func (e entries) tidy() {
	for _, f := range fields {
		switch got := e[f.Name]; f.Control {
		case controlList:
			for i, entry := range got {
				got[i] = strings.TrimSpace(entry)
			}
			e[f.Name] = slices.DeleteFunc(got, func(entry string) bool { return entry == "" })
		case controlChecks:
			slices.SortStableFunc(got, func(a, b string) int { return f.place(a) - f.place(b) })
		default:
		}
		if len(e[f.Name]) == 0 || strings.Join(e.canonical(f), " ") == f.Default && !e.needsSaying(f) {
			delete(e, f.Name)
		}
	}
}

// place is where a word stands among the choices; what is none of them comes
// last.
func (f *field) place(word string) int {
	if i := slices.IndexFunc(f.Choices, func(c option) bool { return c.Value == word }); i >= 0 {
		return i
	}
	return len(f.Choices)
}

func sortedPairs(pairs []string) []string {
	rows := slices.Collect(slices.Chunk(pairs, 2))
	slices.SortStableFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return slices.Concat(rows...)
}

// needsSaying tells that a field's default does not hold by itself: without
// asking nothing is played unless it is written.
func (e entries) needsSaying(f *field) bool {
	return f.Name == "offer.prompt" && slices.Equal(e["offer.mode"], []string{campaigns.ModeSend})
}

// canonical writes what a field holds in the form that it is compared in.
func (e entries) canonical(f *field) []string {
	got := e[f.Name]
	if f.Control == controlPairs {
		return sortedPairs(got)
	}
	if len(got) != 1 {
		return got
	}
	switch f.Control {
	case controlDuration, controlPause:
		if v, wrong := f.duration(got[0]); wrong == "" {
			return []string{v}
		}
	case controlNumber:
		if n, wrong := number(got[0]); wrong == "" {
			return []string{strconv.FormatInt(n, 10)}
		}
	default:
	}
	return got
}

// same tells whether two forms say the same in a field.
func (f *field) same(a, b entries) bool {
	return slices.Equal(a.canonical(f), b.canonical(f))
}

// value is what a field holds as the campaign's JSON has it; nil where nothing
// is written. Where it cannot be a value of the field, wrong says what would be
// right.
func (e entries) value(f *field) (value any, wrong string) {
	got := e[f.Name]
	switch {
	case len(got) == 0:
		return nil, ""
	case f.Control == controlChecks && got[0] == off:
		return []string{}, ""
	case f.Control == controlList || f.Control == controlChecks:
		return got, ""
	case f.Control == controlSwitch:
		return got[0] == on, ""
	case f.Control == controlPairs:
		return pairsOf(got)
	case f.Control == controlNumber:
		return number(got[0])
	case f.Control == controlDuration || f.Control == controlPause:
		return f.duration(got[0])
	}
	return got[0], ""
}

func (f *field) duration(s string) (canonical, wrong string) {
	var err error
	if f.Control == controlPause {
		var p campaigns.Pause
		err = p.UnmarshalText([]byte(s))
		canonical = p.String()
	} else {
		var d campaigns.Duration
		err = d.UnmarshalText([]byte(s))
		canonical = d.String()
	}
	if err != nil {
		return "", f.noDuration()
	}
	return canonical, ""
}

func (f *field) noDuration() string {
	if f.Control == controlPause {
		return "is not a time: write 90s, 15m, 72h or 30d, or 0s for none"
	}
	return "is not a time: write 90s, 15m, 72h or 30d, or leave it empty for " + f.Default
}

func number(s string) (n int64, wrong string) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > math.MaxInt32 || n < math.MinInt32 {
		return 0, "is not a whole number that can be meant: write digits alone, such as 3"
	}
	return n, ""
}

func pairsOf(pairs []string) (object map[string]any, wrong string) {
	object = map[string]any{}
	for row := range slices.Chunk(pairs, 2) {
		switch _, twice := object[row[0]]; {
		case row[0] == "":
			wrong = "has a value without a name"
		case twice:
			wrong = fmt.Sprintf("has the name “%s” twice", row[0])
		default:
			object[row[0]] = row[1]
		}
	}
	return object, wrong
}

// document is the campaign that a form describes, with what is wrong with its
// entries: those are not in it.
func (e entries) document() (doc map[string]any, wrong []campaigns.Problem) {
	doc = map[string]any{}
	for _, f := range fields {
		value, problem := e.value(f)
		switch {
		case problem != "":
			wrong = append(wrong, campaigns.Problem{Pointer: f.Pointer, Message: problem})
		case value != nil:
			setValue(doc, f.Pointer, value)
		case f.Needed:
			setValue(doc, f.Pointer, f.nothing())
		}
	}
	return doc, wrong
}

// nothing is what the API is told where a needed field is empty, so that it
// says what would be right.
func (f *field) nothing() any {
	if f.Control == controlList {
		return []string{}
	}
	return ""
}

// patchOn is the merge patch (RFC 7396) that makes of a campaign, shown as base,
// what the form says. Fields that are as they were are not in it, nor those the
// form does not know, nor what is wrong.
func (e entries) patchOn(base entries) (patch map[string]any, wrong []campaigns.Problem) {
	patch = map[string]any{}
	for _, f := range fields {
		value, problem := e.value(f)
		if problem != "" {
			wrong = append(wrong, campaigns.Problem{Pointer: f.Pointer, Message: problem})
			continue
		}
		if f.same(e, base) {
			continue
		}
		switch {
		case f.Control == controlPairs && value != nil:
			object, _ := value.(map[string]any)
			for row := range slices.Chunk(base[f.Name], 2) {
				if _, stays := object[row[0]]; !stays {
					object[row[0]] = nil
				}
			}
		case value == nil && f.Needed:
			value = f.nothing()
		}
		setValue(patch, f.Pointer, value)
	}
	return patch, wrong
}

// valueAt is what a pointer leads to in a document; nil where that is nothing.
// The pointers of fields have nothing to be unescaped.
func valueAt(doc any, pointer string) any {
	for name := range strings.SplitSeq(pointer[1:], "/") {
		object, _ := doc.(map[string]any)
		doc = object[name]
	}
	return doc
}

// setValue puts a value where a pointer leads, and makes the objects on its way.
func setValue(doc map[string]any, pointer string, value any) {
	names := strings.Split(pointer[1:], "/")
	for _, name := range names[:len(names)-1] {
		next, _ := doc[name].(map[string]any)
		if next == nil {
			next = map[string]any{}
			doc[name] = next
		}
		doc = next
	}
	doc[names[len(names)-1]] = value
}
