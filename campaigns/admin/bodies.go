package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
)

// campaignBody is a campaign as somebody sends it. It is read by written and
// not by huma, so that all that is wrong with it is told at once.
type campaignBody struct{ document any }

// Schema implements huma.SchemaProvider.
func (campaignBody) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[campaigns.Campaign](), true, "")
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *campaignBody) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &b.document) }

// written reads a campaign that somebody wrote, which is to take the place of
// the one that is there now, and refuses it with everything that is wrong with
// it. Its numbers are in canonical form then; the rest is as it was written,
// without defaults.
func (s *server) written(document any, now *campaigns.Campaign) (*campaigns.Campaign, error) {
	c, wrong := s.understood(document)
	wrong = append(wrong, kept(c, now)...)
	wrong = merged(wrong, s.problemsOf(c))
	if wrong != nil {
		return nil, wrong
	}
	return c, nil
}

// problemsOf is everything that is wrong with a campaign. It writes the
// campaign's numbers in canonical form.
func (s *server) problemsOf(c *campaigns.Campaign) campaigns.Invalid {
	full := *c
	full.SetDefaults()
	var wrong campaigns.Invalid
	if err := full.Validate(s.Rules); err != nil {
		wrong = invalidOf(err)
	}
	if strings.TrimSpace(full.Text) == "" || slices.ContainsFunc(wrong, func(p campaigns.Problem) bool { return p.Pointer == "/text" }) {
		return wrong
	}
	if f := s.Outbox.Forecast(&full); f.Segments > message.MaxSegments {
		wrong = append(wrong, campaigns.Problem{Pointer: "/text", Message: fmt.Sprintf(
			"takes %d segments in %s with its link; at most %d can be sent", f.Segments, f.Encoding, message.MaxSegments)})
	}
	return wrong
}

// kept refuses a change of what the store keeps by itself. What is just as it
// was read may be sent back, so that a campaign can be read, edited and put.
func kept(c, now *campaigns.Campaign) (wrong campaigns.Invalid) {
	for _, f := range []struct {
		name string
		same bool
	}{
		{"version", c.Version == 0 || c.Version == now.Version},
		{"created_at", c.CreatedAt.IsZero() || c.CreatedAt.Equal(now.CreatedAt)},
		{"updated_at", c.UpdatedAt.IsZero() || c.UpdatedAt.Equal(now.UpdatedAt)},
		{"deleted_at", c.DeletedAt == nil},
	} {
		if !f.same {
			wrong = append(wrong, campaigns.Problem{Pointer: "/" + f.name, Message: "is set by deflectd: leave it out"})
		}
	}
	c.Version, c.CreatedAt, c.UpdatedAt, c.DeletedAt = 0, time.Time{}, time.Time{}, nil
	c.Warnings, c.Texts = nil, nil
	return wrong
}

// understood reads as much of a campaign as can be read, and says what cannot.
// What is missing is not its affair.
func (s *server) understood(document any) (*campaigns.Campaign, campaigns.Invalid) {
	registry := s.api.OpenAPI().Components.Schemas
	schema := registry.Schema(reflect.TypeFor[campaigns.Campaign](), true, "")
	found := huma.ValidateResult{}
	huma.Validate(registry, schema, huma.NewPathBuffer([]byte("body"), 0), huma.ModeWriteToServer, document, &found)
	fields, isObject := clone(document).(map[string]any)
	var wrong campaigns.Invalid
	for _, err := range found.Errors {
		if isMissing(err) {
			continue
		}
		d := detailOf(err)
		wrong = append(wrong, campaigns.Problem{Pointer: *d.Pointer, Message: d.Detail})
		if isObject {
			remove(fields, strings.Split(strings.TrimPrefix(*d.Pointer, "/"), "/"))
		}
	}
	if !isObject {
		return new(campaigns.Campaign), wrong
	}
	c, unreadable := decoded(fields)
	return c, append(wrong, unreadable...)
}

// decoded makes a campaign of fields that have the right types, and leaves out
// those whose text does not mean anything, such as a duration of "0s".
func decoded(fields map[string]any) (*campaigns.Campaign, campaigns.Invalid) {
	c := new(campaigns.Campaign)
	if decode(fields, c) == nil {
		return c, nil
	}
	var wrong campaigns.Invalid
	for _, l := range leaves(nil, fields) {
		if err := decode(nested(l.path, l.value), new(campaigns.Campaign)); err != nil {
			wrong = append(wrong, campaigns.Problem{Pointer: campaigns.Pointer(l.path...), Message: clipped(err.Error())})
			remove(fields, l.path)
		}
	}
	c = new(campaigns.Campaign)
	if err := decode(fields, c); err != nil {
		wrong = append(wrong, campaigns.Problem{Message: clipped(err.Error())})
	}
	return c, wrong
}

// clipped is a message without the middle of what it quotes.
func clipped(s string) string {
	const head, tail = 100, 200
	if len(s) <= head+tail {
		return s
	}
	return strings.ToValidUTF8(s[:head], "") + "…" + strings.ToValidUTF8(s[len(s)-tail:], "")
}

func decode(fields map[string]any, c *campaigns.Campaign) error {
	raw, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, c)
}

// leaf is a value that is no object, and the names that lead to it.
type leaf struct {
	path  []string
	value any
}

func leaves(at []string, v any) (all []leaf) {
	object, ok := v.(map[string]any)
	if !ok {
		return []leaf{{at, v}}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		all = append(all, leaves(append(slices.Clone(at), name), object[name])...)
	}
	return all
}

// nested is an object that has nothing but one value, at path.
func nested(path []string, value any) map[string]any {
	for _, name := range slices.Backward(path[1:]) {
		value = map[string]any{name: value}
	}
	return map[string]any{path[0]: value}
}

// remove takes away what is at path; a list as a whole where it is in a list.
func remove(fields map[string]any, path []string) {
	for i, name := range path {
		inner, ok := fields[name].(map[string]any)
		if !ok || i == len(path)-1 {
			delete(fields, name)
			return
		}
		fields = inner
	}
}

// clone copies the objects of a document.
func clone(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	copied := make(map[string]any, len(object))
	for name, value := range object {
		copied[name] = clone(value)
	}
	return copied
}

// merged adds problems of what was read to those of reading it, and puts them in
// the order of a campaign's fields. Where something could not be read, that it
// is missing or wrong is no news.
func merged(reading, read campaigns.Invalid) campaigns.Invalid {
	all := slices.Clone(reading)
	for _, p := range read {
		if !slices.ContainsFunc(reading, func(r campaigns.Problem) bool { return related(r.Pointer, p.Pointer) }) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b campaigns.Problem) int { return place(a.Pointer) - place(b.Pointer) })
	return all
}

// related says whether one pointer leads to the other, or into it.
func related(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// place is where in a campaign's fields a pointer leads.
func place(pointer string) int {
	if pointer == "" {
		return -1
	}
	name, _, _ := strings.Cut(pointer[1:], "/")
	if at := slices.Index(fieldNames, name); at >= 0 {
		return at
	}
	return len(fieldNames)
}

// fieldNames are the names of a campaign's fields, in their order.
var fieldNames = func() (names []string) {
	for f := range reflect.TypeFor[campaigns.Campaign]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}()
