package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/sender"
)

// duration describes campaigns.Duration.
type duration struct{}

// Schema implements huma.SchemaProvider.
func (duration) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type:               huma.TypeString,
		Pattern:            `^([0-9]+d|([0-9]+(\.[0-9]+)?(h|m|s|ms))+)$`,
		PatternDescription: `a duration like "90s", "15m", "72h" or "90d"`,
		Examples:           []any{"15m"},
	}
}

// names are the types that need another name in the description: their own is
// one of another room, or says too little outside of theirs.
var names = map[reflect.Type]string{
	reflect.TypeFor[campaigns.Problem]():  "FieldProblem",
	reflect.TypeFor[campaigns.Change]():   "FieldChange",
	reflect.TypeFor[campaigns.Texts]():    "CampaignTexts",
	reflect.TypeFor[message.Change]():     "StateChange",
	reflect.TypeFor[optout.Entry]():       "OptOut",
	reflect.TypeFor[List[optout.Entry]](): "ListOptOut",
	reflect.TypeFor[optout.Imported]():    "Imported",
	reflect.TypeFor[optout.Line]():        "ImportedLine",
	reflect.TypeFor[sender.Available]():   "AvailableNumber",
}

// schemas holds the schemas of all types, by name.
func schemas() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if name, ok := names[t]; ok {
			return name
		}
		return huma.DefaultSchemaNamer(t, hint)
	})
	r.RegisterTypeAlias(reflect.TypeFor[campaigns.Duration](), reflect.TypeFor[duration]())
	return r
}

// settings are huma's: JSON alone, and no pages of its own, which would load
// scripts from elsewhere.
func settings() huma.Config {
	format := huma.Format{Marshal: encode, Unmarshal: json.Unmarshal}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "deflectd",
				Version: "v1",
				Description: "Campaigns, texts and calls of a deflectd. Times are RFC 3339 in UTC, durations are " +
					"written like \"90s\", \"15m\", \"72h\" or \"90d\". What is not known is refused, never ignored.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Servers: []*huma.Server{{URL: "/"}},
			Tags: []*huma.Tag{
				{Name: "campaigns", Description: "What is said to whom."},
				{Name: "messages", Description: "Texts, and what became of them."},
				{Name: "calls", Description: "Calls, and what became of them."},
				{Name: "opt-outs", Description: "Numbers that are never texted."},
				{Name: "senders", Description: "What texts come from."},
				{Name: "people", Description: "What is known of one person."},
				{Name: "service", Description: "The switch over all."},
			},
			Components: &huma.Components{
				Schemas: schemas(),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "A token of admin.tokens in the configuration. Its role is viewer, editor or admin; each may do what those before it may."},
				},
			},
			Security: []map[string][]string{{"token": {}}},
		},
		// huma takes the second for every type that ends in "+json".
		Formats:                      map[string]huma.Format{jsonType: format, "json": format},
		DefaultFormat:                jsonType,
		RejectUnknownQueryParameters: true,
	}
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// operation registers an operation, whose Metadata are made by needing. Beside
// the errors named, each may be answered with those of every request.
func operation[I, O any](s *server, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusUnauthorized, http.StatusUnprocessableEntity,
		http.StatusTooManyRequests)
	needed := roleOf(&op)
	if needed != RoleViewer && !slices.Contains(op.Errors, http.StatusForbidden) {
		op.Errors = append(op.Errors, http.StatusForbidden)
	}
	op.Description = strings.TrimSpace(op.Description + " Needs the role " + string(needed) + ".")
	op.Extensions = map[string]any{"x-role": needed}
	if op.Metadata[storeless] == nil {
		op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	}
	op.MaxBodyBytes = maxBody + 1 // the guard has counted already
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, s.problemOf(err)
		}
		return out, nil
	})
}

func serveDocument(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(body)
	}
}

// Page asks for a part of a list.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many at most."`
	Cursor string `query:"cursor" maxLength:"512" doc:"next_cursor of the page before."`
}

// List is one page of something.
type List[T any] struct {
	Items []T    `json:"items" doc:"The page; it may be shorter than the limit though there is a next one."`
	Next  string `json:"next_cursor,omitempty" doc:"Where the next page begins; absent on the last one."`
}

// noCursor is the answer to a cursor that no page had.
func noCursor() *Problem {
	return invalid(inParameter("cursor")("is not a cursor of this list: take next_cursor of the page before"))
}

// output is an answer that is nothing but a body.
type output[T any] struct {
	Body T
}

func listed[T any](items []T, next string) *output[List[T]] {
	if items == nil {
		items = []T{} // an empty list is [], never null
	}
	return &output[List[T]]{Body: List[T]{Items: items, Next: next}}
}
