package page

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"deflectd/campaigns/admin"
)

// input is one labelled control of a form, as the piece "input" shows it.
type input struct {
	// Kind is text where it is empty, else password, search, tel, url, number,
	// textarea, select, checkbox, or checks (several checkboxes of one name).
	Kind  string
	Name  string
	Label string
	Hint  string // what belongs there, below the label
	Value string
	// Values are those of a kind that can have several.
	Values      []string
	Options     []option // of select and checks
	Checked     bool     // of a checkbox, whose value is "true" where Value is empty
	Placeholder string
	Errors      []string // what is wrong with the value
	Warnings    []string // what works but may not be meant

	Required     bool
	Autofocus    bool
	Disabled     bool
	ReadOnly     bool
	Autocomplete string // off where it is empty
	Inputmode    string // what a phone's keyboard is to show
	Max          int    // characters at most
	Rows         int    // of a textarea; 3 where it is 0
	Size         string // short, half or "": how much room it takes
	Quiet        bool   // the label is for screen readers alone
	Code         bool   // what is in it is no prose: in a font of one width, left to right
}

// option is one of the values a control can have.
type option struct{ Value, Label string }

// ID is the id of the control's element.
func (i input) ID() string { return fieldID(i.Name) }

// fieldID is the id of the element of a control: problems link to it.
func fieldID(name string) string {
	return "f-" + strings.NewReplacer(".", "-", "/", "-", "[", "-", "]", "", " ", "-").Replace(name)
}

// DescribedBy are the ids of what says more about the control, as
// aria-describedby wants them; "" where nothing does.
func (i input) DescribedBy() string {
	var ids []string
	for suffix, there := range map[string]bool{"-error": len(i.Errors) > 0, "-hint": i.Hint != "", "-warning": len(i.Warnings) > 0} {
		if there {
			ids = append(ids, i.ID()+suffix)
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// Has says whether an option is chosen.
func (i input) Has(value string) bool { return i.Value == value || slices.Contains(i.Values, value) }

// Lines is how many lines a textarea shows.
func (i input) Lines() int {
	if i.Rows > 0 {
		return i.Rows
	}
	return 3
}

// Completes is what a browser may fill in.
func (i input) Completes() string {
	if i.Autocomplete != "" {
		return i.Autocomplete
	}
	return "off"
}

// newInput makes an input of the names of its fields and their values, in
// templates: (input "Name" "q" "Label" "Search").
func newInput(pairs ...any) (input, error) {
	var i input
	values, err := dict(pairs...)
	if err != nil {
		return i, err
	}
	for name, value := range values {
		f := reflect.ValueOf(&i).Elem().FieldByName(name)
		if !f.IsValid() || !reflect.TypeOf(value).AssignableTo(f.Type()) {
			return i, fmt.Errorf("an input has no %s that could be a %T", name, value)
		}
		f.Set(reflect.ValueOf(value))
	}
	return i, nil
}

// trouble is one thing that is wrong, as the piece "troubles" lists them.
type trouble struct {
	Text  string
	Field string // the name of the control it is about; "" for none
	Label string // of that control
}

// ID is the id of the control it is about.
func (t trouble) ID() string { return fieldID(t.Field) }

// troublesOf are what a problem says is wrong: each detail, or the whole where
// there is none. field names the control that a detail is about, by its JSON
// pointer or its parameter, and what it is called; nil: there are none.
func troublesOf(p *admin.Problem, field func(place string) (name, label string)) []trouble {
	var all []trouble
	for _, d := range p.Errors {
		place := d.Parameter + d.Header
		if d.Pointer != nil {
			place = *d.Pointer
		}
		t := trouble{Text: inPlace(d.Detail)}
		if field != nil {
			t.Field, t.Label = field(place)
		}
		if t.Label == "" && place != "" {
			t.Text = strings.Trim(place, "/") + " " + t.Text
		}
		all = append(all, t)
	}
	if all == nil {
		all = []trouble{{Text: inPlace(p.Detail)}}
	}
	return all
}

// confirmation asks whether something is meant, on a page of its own
// (confirm.html).
type confirmation struct {
	Title  string
	Text   string   // what happens then
	Items  []string // what it is about, each by its name
	Action string   // where the form goes that does it
	Fields []kept   // what it holds
	Button string   // what the button says
	Danger bool     // something is lost by it
	Back   string   // where who does not mean it goes
	// Inputs are asked for beside.
	Inputs   []input
	Troubles []trouble
}

// confirm asks whether something is meant.
func (v *view) confirm(c confirmation) error {
	c.Back = within(c.Back)
	return v.render(200, "confirm", c)
}

// pager leads from one part of a list to the next, as the piece "pager" shows
// it. Lists of the API go forward only: First leads back to their beginning.
type pager struct {
	First string // the address of the first part; "" on that one
	Next  string // the address of the next part; "" on the last one
	Text  string // what is seen, such as "50 of 1,204 campaigns"
}

// errorPage is what error.html shows.
type errorPage struct {
	Title    string
	Text     string
	Status   int
	Troubles []trouble
	Again    *confirmation // what was asked for, to be asked for once more
}

// errorTitles say what went wrong in few words, by HTTP status.
var errorTitles = map[int]string{
	400: "That did not work",
	403: "Not allowed",
	404: "Not found",
	405: "That does not work here",
	408: "That took too long",
	409: "Something is in the way",
	412: "Changed by somebody else",
	413: "Too much at once",
	415: "That did not work",
	422: "Something is not right",
	429: "Too much at once",
	500: "Something went wrong",
	502: "The provider does not answer",
	503: "Please try again in a moment",
}

func newErrorPage(p *admin.Problem) errorPage {
	e := errorPage{Title: errorTitles[p.Status], Text: p.Detail, Status: p.Status}
	if e.Title == "" {
		e.Title = p.Title
	}
	if len(p.Errors) > 0 {
		e.Troubles = troublesOf(p, nil)
	}
	return e
}
