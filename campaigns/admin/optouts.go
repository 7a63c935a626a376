package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

const (
	optOutsPath = "/v1/opt-outs"
	optOutPath  = optOutsPath + "/{number}"
)

// PersonNumber is the number of a person that an address names.
type PersonNumber struct {
	Number string `path:"number" maxLength:"64" doc:"The number: E.164, or as dialled in numbers.region."`
}

// person reads the number that an address names.
func (s *server) person(in PersonNumber) (phone.Number, error) {
	return s.number(in.Number, inParameter("number"))
}

func (s *server) optOutOperations() {
	tags := []string{"opt-outs"}
	operation(s, huma.Operation{
		OperationID: "list-opt-outs", Method: http.MethodGet, Path: optOutsPath, Tags: tags,
		Summary: "List and export the numbers that are never texted, the latest first",
		Description: "With format=csv it is the whole list as a file, which the import takes again: number, hash, " +
			"since, source, reason, by; that needs the role editor (403). Of a person who was forgotten there is the keyed hash alone. " + maskedFor,
		Errors: []int{http.StatusForbidden},
		Responses: map[string]*huma.Response{"200": {Description: "A page as JSON, or the whole list as CSV.", Content: map[string]*huma.MediaType{
			jsonType: {Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[List[optout.Entry]](), true, "")},
			csvType:  {Schema: &huma.Schema{Type: huma.TypeString}},
		}}},
		Metadata: needing(RoleViewer, long),
	}, s.listOptOuts)
	operation(s, huma.Operation{
		OperationID: "import-opt-outs", Method: http.MethodPost, Path: optOutsPath, Tags: tags,
		Summary: "Import numbers that are never to be texted",
		Description: "A CSV of up to 10 MB in UTF-8 whose first column is the number; a first line with names of columns, " +
			"and the other columns of an export, may be there. Lines that cannot be read are named in the answer and do not " +
			"keep the others from being taken in. Repeating it is harmless; so it is after an error, before which a part " +
			"of the list may have been taken in. Where no line at all can be read the answer is 422.",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			csvType: {Schema: &huma.Schema{Type: huma.TypeString}, Example: "number\n+14155550132\n"},
		}},
		Metadata: needing(RoleEditor, long),
	}, s.importOptOuts)
	operation(s, huma.Operation{
		OperationID: "read-opt-out", Method: http.MethodGet, Path: optOutPath, Tags: tags,
		Summary: "Read whether and since when a number has opted out", Description: maskedFor, Errors: []int{http.StatusNotFound},
		Metadata: needing(RoleViewer),
	}, s.readOptOut)
	operation(s, huma.Operation{
		OperationID: "put-opt-out", Method: http.MethodPut, Path: optOutPath, Tags: tags,
		Summary: "Have a number never texted again",
		Description: "From the moment this is answered no text to the number begins, also none that is queued. " +
			"One that is on the list stays as it is. The body may be left out.",
		Responses: map[string]*huma.Response{"201": {Description: "It is on the list now.", Content: map[string]*huma.MediaType{
			jsonType: {Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[optout.Entry](), true, "")},
		}}},
		Metadata: needing(RoleEditor),
	}, s.putOptOut)
	operation(s, huma.Operation{
		OperationID: "delete-opt-out", Method: http.MethodDelete, Path: optOutPath, Tags: tags,
		Summary: "Let a number be texted again", DefaultStatus: http.StatusNoContent,
		Description: "Only when the person has asked for it. Who reads the opt-out of the number afterwards is told when it was " +
			"removed, by whom and why (404).",
		Errors:   []int{http.StatusNotFound},
		Metadata: needing(RoleEditor),
	}, s.deleteOptOut)
}

type optOutFilter struct {
	Page
	Number string `query:"number" maxLength:"64" doc:"That of this number."`
	Source string `query:"source" enum:"inbound,provider,keypress,page,api,import" doc:"Those that came this way: a text of the person, the provider, a key pressed in a call, the page, this API, an import."`
	Format string `query:"format" enum:"json,csv" default:"json" doc:"csv: the whole list as a file; no other parameter goes with it."`

	given []string // the parameters that the query has
}

// Resolve implements huma.Resolver.
func (f *optOutFilter) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	for name := range u.Query() {
		f.given = append(f.given, name)
	}
	slices.Sort(f.given)
	return nil
}

// alone refuses what would narrow a file that is always the whole list.
func (f *optOutFilter) alone() error {
	p := invalid()
	for _, name := range f.given {
		if name != "format" {
			p.Errors = append(p.Errors, inParameter(name)("does not go with format=csv, which is the whole list"))
		}
	}
	if p.Errors == nil {
		return nil
	}
	return p
}

func (s *server) listOptOuts(ctx context.Context, in *optOutFilter) (*download, error) {
	if in.Format == "csv" {
		if p := needs(identity(ctx), RoleEditor); p != nil {
			return nil, p
		}
		if err := in.alone(); err != nil {
			return nil, err
		}
		return s.csvDownload(ctx, "opt-outs.csv", s.OptOuts.Export), nil
	}
	query := optout.Query{Source: optout.Source(in.Source), Limit: in.Limit, Cursor: in.Cursor}
	if in.Number != "" {
		n, err := s.number(unescaped(in.Number), inParameter("number"))
		if err != nil {
			return nil, err
		}
		query.Number = n.E164
	}
	found, next, err := s.OptOuts.List(ctx, query)
	if err != nil {
		return nil, err
	}
	return jsonDownload(listed(masked(ctx, found, maskOptOut), next).Body), nil
}

// listBody is a list as CSV, read while it arrives.
type listBody struct {
	huma.Context
}

// Resolve implements huma.Resolver.
func (b *listBody) Resolve(ctx huma.Context) []error {
	b.Context = ctx
	return nil
}

func (s *server) importOptOuts(ctx context.Context, in *listBody) (*output[optout.Imported], error) {
	done, err := s.OptOuts.Import(ctx, in.BodyReader(), optout.ImportOptions{Region: s.Rules.Region, By: tokenName(ctx)})
	if err != nil {
		p := s.problemOf(err)
		if n := done.Added + done.Known; n > 0 {
			p.Detail += fmt.Sprintf("; %d of its numbers were taken until then, and sending the list again is harmless", n)
		}
		return nil, p
	}
	s.Logger.Info("opt-outs were imported", "added", done.Added, "known", done.Known, "rejected", done.Rejected, "token", tokenName(ctx))
	if done.Added+done.Known == 0 && done.Rejected > 0 {
		return nil, noLine(done.Invalid)
	}
	return &output[optout.Imported]{Body: done}, nil
}

// noLine is the answer to a list of which nothing could be taken.
func noLine(lines []optout.Line) *Problem {
	p := invalid()
	p.Detail = "no line of the list could be taken: the first column must be telephone numbers"
	for _, l := range lines[:min(len(lines), 20)] {
		p.Errors = append(p.Errors, inBody("", fmt.Sprintf("line %d %s", l.Line, l.Detail)))
	}
	return p
}

func (s *server) readOptOut(ctx context.Context, in *PersonNumber) (*output[optout.Entry], error) {
	n, err := s.person(*in)
	if err != nil {
		return nil, err
	}
	e, err := s.OptOuts.Get(ctx, n.E164)
	var was *optout.RemovedError
	if errors.As(err, &was) {
		return nil, problem(http.StatusNotFound, removedOptOut(was.Removal))
	}
	if err != nil {
		return nil, err
	}
	return &output[optout.Entry]{Body: shown(ctx, e, maskOptOut)}, nil
}

// removedOptOut says that a number is no longer on the list, and why.
func removedOptOut(was optout.Removal) string {
	text := "the number has not opted out any more: it was removed on " + was.At.Format(time.RFC3339)
	if was.By != "" {
		text += " by " + was.By
	}
	if was.Reason != "" {
		text += " (" + was.Reason + ")"
	}
	return text
}

// OptOutRequest says why a number is put on the list.
type OptOutRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"For people: why."`
}

// optOutAnswer is an entry, and whether it is new.
type optOutAnswer struct {
	Status int
	Body   optout.Entry
}

func (s *server) putOptOut(ctx context.Context, in *struct {
	PersonNumber
	Body *OptOutRequest
},
) (*optOutAnswer, error) {
	n, err := s.person(in.PersonNumber)
	if err != nil {
		return nil, err
	}
	entry := optout.Entry{Number: n.E164, Source: sourceOf(ctx), By: tokenName(ctx)}
	if in.Body != nil {
		entry.Reason = in.Body.Reason
	}
	added, err := s.OptOuts.Add(ctx, entry)
	if err != nil {
		return nil, err
	}
	now, err := s.OptOuts.Get(ctx, n.E164)
	if err != nil && !errors.Is(err, optout.ErrNotFound) { // taken off again meanwhile
		return nil, err
	} else if err != nil {
		now = entry
	}
	if added {
		return &optOutAnswer{Status: http.StatusCreated, Body: now}, nil
	}
	return &optOutAnswer{Status: http.StatusOK, Body: now}, nil
}

// sourceOf is where an opt-out comes from that somebody asks for.
func sourceOf(ctx context.Context) optout.Source {
	if fromInside(ctx) {
		return optout.Page
	}
	return optout.API
}

func (s *server) deleteOptOut(ctx context.Context, in *struct {
	PersonNumber
	Reason string `query:"reason" maxLength:"200" doc:"For people: why, such as how the person asked for it. It is kept for a year, with the name of the token."`
},
) (*struct{}, error) {
	n, err := s.person(in.PersonNumber)
	if err != nil {
		return nil, err
	}
	removed, err := s.OptOuts.RemoveNoted(ctx, n.E164, tokenName(ctx), in.Reason)
	var wrong campaigns.Invalid
	switch {
	case errors.As(err, &wrong):
		return nil, invalid(inParameter("reason")(wrong[0].Message))
	case err == nil && !removed:
		err = optout.ErrNotFound
	}
	return nil, err
}
