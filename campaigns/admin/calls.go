package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns/report"
)

const callsPath = "/v1/calls"

func (s *server) callOperations() {
	tags := []string{"calls"}
	operation(s, huma.Operation{
		OperationID: "list-calls", Method: http.MethodGet, Path: callsPath, Tags: tags,
		Summary: "List and search calls, the latest first",
		Description: "Calls that ended; with active=true instead those that this daemon has under way. " +
			"Outcomes and reasons are explained in docs/outcomes.md. " + maskedFor,
		Metadata: needing(RoleViewer),
	}, s.listCalls)
	operation(s, huma.Operation{
		OperationID: "read-call", Method: http.MethodGet, Path: callsPath + "/{call_id}", Tags: tags,
		Summary: "Read a call and its steps", Description: maskedFor, Errors: []int{http.StatusNotFound},
		Metadata: needing(RoleViewer),
	}, s.readCall)
}

type callFilter struct {
	Page
	Campaign string `query:"campaign" maxLength:"64" doc:"Those of this campaign."`
	ANI      string `query:"ani" maxLength:"64" doc:"Those from this number."`
	Outcome  string `query:"outcome" enum:"deflected,texted,declined,passed,abandoned,failed" doc:"Those with this outcome."`
	Active   bool   `query:"active" doc:"Those under way instead of those that ended."`
}

func (s *server) listCalls(ctx context.Context, in *callFilter) (*output[List[report.Call]], error) {
	query := report.Query{Campaign: in.Campaign, Outcome: report.Outcome(in.Outcome), Limit: in.Limit, Cursor: in.Cursor}
	if in.ANI != "" {
		ani, err := s.number(unescaped(in.ANI), inParameter("ani"))
		if err != nil {
			return nil, err
		}
		query.ANI = ani.E164
	}
	search := s.Recorder.Search
	if in.Active {
		search = func(_ context.Context, q report.Query) ([]report.Call, string, error) {
			return report.Page(s.Active(), q)
		}
	}
	found, next, err := search(ctx, query)
	if err != nil {
		return nil, err
	}
	return listed(masked(ctx, found, maskCall), next), nil
}

func (s *server) readCall(ctx context.Context, in *struct {
	ID string `path:"call_id" maxLength:"64" doc:"The id of the call."`
},
) (*output[report.Call], error) {
	for _, c := range s.Active() {
		if c.ID == in.ID {
			return &output[report.Call]{Body: shown(ctx, c, maskCall)}, nil
		}
	}
	c, err := s.Recorder.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &output[report.Call]{Body: shown(ctx, c, maskCall)}, nil
}
