package admin

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns/report"
)

const decisionsPath = "/v1/decisions"

func (s *server) decisionOperations() {
	operation(s, huma.Operation{
		OperationID: "decide", Method: http.MethodPost, Path: decisionsPath, Tags: []string{"calls"},
		Summary: "Ask what would become of a call, step by step",
		Description: "Every rule that a call is judged by, as it stands at this moment, in the order in which they are asked. " +
			"Nothing is sent, counted or recorded. The numbers are read as a call brings them: what is no number is answered and not refused.",
		Metadata: needing(RoleViewer),
	}, s.decide)
}

// DecisionRequest asks what would be decided on a call.
type DecisionRequest struct {
	DNIS         string `json:"dnis" minLength:"1" maxLength:"64" doc:"The number dialled."`
	ANI          string `json:"ani" maxLength:"64" doc:"The caller's number; empty where it is withheld."`
	Presentation string `json:"pres,omitempty" maxLength:"64" doc:"Whether the caller's number may be shown, in Asterisk's words (CALLERID(num-pres)); allowed where it is left out."`
	RDNIS        string `json:"rdnis,omitempty" maxLength:"64" doc:"The number that forwarded the call; where it is left out, none did."`
	At           string `json:"at,omitempty" maxLength:"64" doc:"Not available yet."`
}

// errNoDecisions says that nothing here decides on calls.
var errNoDecisions = errors.New("no calls are handled here")

func (s *server) decide(ctx context.Context, in *struct{ Body DecisionRequest }) (*output[report.Decision], error) {
	q := in.Body
	switch {
	case q.At != "":
		return nil, invalid(inBody("/at", "is not available yet: leave it out, and it is decided as of now"))
	case s.Decide == nil:
		return nil, errNoDecisions
	}
	d, err := s.Decide(ctx, report.Question{DNIS: q.DNIS, ANI: q.ANI, Presentation: q.Presentation, RDNIS: q.RDNIS})
	if err != nil {
		return nil, err
	}
	return &output[report.Decision]{Body: d}, nil
}
