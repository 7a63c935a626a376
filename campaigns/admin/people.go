package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

func (s *server) peopleOperations() {
	tags := []string{"people"}
	operation(s, huma.Operation{
		OperationID: "forget-person", Method: http.MethodDelete, Path: "/v1/people/{number}", Tags: tags,
		Summary: "Forget a person",
		Description: "Texts, calls, links and limits lose the number, the wording and everything made from it; a text that " +
			"is queued is cancelled. What is left of an opt-out is a keyed hash, so that the number is not texted " +
			"again. A call that is under way has its record afterwards: forget again when it has ended. Repeating it is " +
			"harmless: after an error, repeat it.",
		Metadata: needing(RoleAdmin, long),
	}, s.forget)
	operation(s, huma.Operation{
		OperationID: "delete-suppression", Method: http.MethodDelete, Path: "/v1/suppressions/{number}", Tags: tags,
		Summary:       "Text a number again to which texts failed for good",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound},
		Metadata: needing(RoleAdmin),
	}, s.unsuppress)
}

// Forgotten is what was known of a person.
type Forgotten struct {
	Messages int  `json:"messages" doc:"How many texts lost the number."`
	Calls    int  `json:"calls" doc:"How many records of calls lost it."`
	OptedOut bool `json:"opted_out" doc:"Whether the number has opted out, which stays so."`
}

func (s *server) forget(ctx context.Context, in *PersonNumber) (*output[Forgotten], error) {
	n, err := s.person(*in)
	if err != nil {
		return nil, err
	}
	var f Forgotten
	// The texts first: one that is queued must not go out any more.
	if f.Messages, err = s.Outbox.Forget(ctx, n.E164); err != nil {
		return nil, err
	}
	if f.Calls, err = s.Recorder.Forget(ctx, n.E164); err != nil {
		return nil, err
	}
	if err = s.Guards.Forget(ctx, n.E164); err != nil {
		return nil, err
	}
	if err = s.Inbox.Forget(ctx, n.E164); err != nil {
		return nil, err
	}
	if f.OptedOut, err = s.OptOuts.Forget(ctx, n.E164); err != nil {
		return nil, err
	}
	s.Logger.Info("a person was forgotten", "messages", f.Messages, "calls", f.Calls, "token", tokenName(ctx))
	return &output[Forgotten]{Body: f}, nil
}

func (s *server) unsuppress(ctx context.Context, in *PersonNumber) (*struct{}, error) {
	n, err := s.person(*in)
	if err != nil {
		return nil, err
	}
	was, err := s.Guards.Unsuppress(ctx, n.E164)
	if err == nil && !was {
		err = problem(http.StatusNotFound, "the number is not suppressed")
	}
	return nil, err
}
