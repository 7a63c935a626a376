package page

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/phone"
)

//go:embed templates/*.html
var templateFiles embed.FS

// shown is what templates are given: Data is the page's own, the rest is the
// same for all. In "main" it is the dot, and $ within range and with.
type shown struct {
	Data any

	Who       admin.Identity
	SignedIn  bool
	Notice    string // what was done just now
	Area      string // the part of the page that the address is in
	Version   string
	FormToken string
}

// May says whether who has signed in has a role, or one above it.
func (s *shown) May(role admin.Role) bool { return s.Who.Role.Allows(role) }

// CSRF is the hidden field that every form with method=post begins with.
func (s *shown) CSRF() template.HTML {
	return template.HTML(`<input type="hidden" name="` + formToken + `" value="` + s.FormToken + `">`) //nolint:gosec // base64 of our own
}

// shown puts what a page shows together with what all of them do.
func (v *view) shown(data any) *shown {
	s := &shown{
		Data: data, Who: v.who, SignedIn: v.who.Name != "", Version: v.p.Version,
		Notice: v.p.notices[v.query("notice")], Area: area(v.r.URL.Path),
	}
	if v.session.cookie != "" {
		s.FormToken = v.session.formToken()
	}
	return s
}

// area is the part of the page that an address belongs to, as the navigation
// names it.
func area(address string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(address, "/"), "/")
	switch first {
	case "messages", "opt-outs", "why":
		return first
	}
	return "home"
}

// templates are all pages, each with the layout, and the pieces they share.
type templates struct {
	pages map[string]*template.Template
	parts *template.Template
}

// loadTemplates reads what is built into the program: layout.html and every
// parts*.html are shared by all, each other file is a page of its own. It
// panics where they cannot be read, which every test would notice.
func loadTemplates(a *assets) *templates {
	shared := template.New("shared").Funcs(functions(a))
	var own []string
	for _, name := range templateNames() {
		if name == "layout.html" || strings.HasPrefix(name, "parts") {
			template.Must(shared.New(name).Parse(templateText(name)))
		} else {
			own = append(own, name)
		}
	}
	t := &templates{pages: map[string]*template.Template{}, parts: shared}
	for _, name := range own {
		page := template.Must(template.Must(shared.Clone()).New(name).Parse(templateText(name)))
		t.pages[strings.TrimSuffix(name, ".html")] = page
	}
	t.parts = template.Must(shared.Clone()) // as shared must not be used before it is cloned
	return t
}

func templateNames() []string {
	found, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is our own
	}
	for i := range found {
		found[i] = path.Base(found[i])
	}
	return found
}

func templateText(name string) string {
	raw, err := templateFiles.ReadFile("templates/" + name)
	if err != nil {
		panic(err) // it was listed
	}
	return string(raw)
}

// page makes a whole page.
func (t *templates) page(name string, data *shown) ([]byte, error) {
	if t.pages[name] == nil {
		return nil, errors.New("there is no template " + name)
	}
	return execute(t.pages[name], "layout", data)
}

// part makes a piece of a page.
func (t *templates) part(name string, data *shown) ([]byte, error) {
	return execute(t.parts, name, data)
}

// execute makes all of it before anything is answered.
func execute(t *template.Template, name string, data *shown) ([]byte, error) {
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("fill the template %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// functions are what templates can use; templates/parts.html describes them.
func functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset":    a.address,
		"time":     timeElement,
		"day":      dayElement,
		"mask":     phone.Mask,
		"dict":     dict,
		"list":     func(values ...any) []any { return values },
		"plural":   plural,
		"count":    count,
		"sentence": sentence,
		"input":    newInput,
	}
}

// timeElement shows a time in UTC, and in the reader's own zone where a script
// may say it.
func timeElement(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + //nolint:gosec // of a time alone
		t.Format("2 Jan 2006, 15:04") + ` UTC</time>`)
}

// dayElement shows the day of a time in UTC.
func dayElement(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `">` + //nolint:gosec // of a time alone
		t.UTC().Format("2 Jan 2006") + `</time>`)
}

// dict makes what a piece is given of names and values.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict wants names and values")
	}
	m := make(map[string]any, len(pairs)/2)
	for pair := range slices.Chunk(pairs, 2) {
		name, ok := pair[0].(string)
		if !ok {
			return nil, errors.New("dict wants names that are strings")
		}
		m[name] = pair[1]
	}
	return m, nil
}

// plural is a number and what it counts: plural 2 "text" "texts" is "2 texts".
func plural(n any, one, many string) string {
	text := count(n)
	if text == "1" {
		return text + " " + one
	}
	return text + " " + many
}

// count writes a whole number with its thousands apart: 12,345.
func count(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// sentence makes a sentence of what the API says: it begins with a capital
// letter and ends in a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(inPlace(s))
	if s == "" {
		return ""
	}
	if strings.HasPrefix(s, "deflectd ") {
		return s // a name is written as it is
	}
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if strings.ContainsAny(s[len(s)-1:], ".!?:") {
		return s
	}
	return s + "."
}
