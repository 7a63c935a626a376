package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns/sender"
)

const sendersPath = "/v1/senders"

func (s *server) senderOperations() {
	tags := []string{"senders"}
	operation(s, huma.Operation{
		OperationID: "list-senders", Method: http.MethodGet, Path: sendersPath, Tags: tags,
		Summary: "List the numbers and names that texts come from",
		Description: "The configured one (sms.originator) and those that were obtained; a campaign may name another. " +
			"inbound_url is the address that the provider is to be given for what people text back; viewers do not see it.",
		Metadata: needing(RoleViewer),
	}, s.listSenders)
	operation(s, huma.Operation{
		OperationID: "find-numbers", Method: http.MethodGet, Path: sendersPath + "/available", Tags: tags,
		Summary: "Find numbers that can be obtained", Errors: []int{http.StatusConflict, http.StatusBadGateway},
		Metadata: needing(RoleViewer, long, storeless),
	}, s.findNumbers)
	operation(s, huma.Operation{
		OperationID: "obtain-sender", Method: http.MethodPost, Path: sendersPath, Tags: tags,
		Summary: "Obtain a number to send texts from", DefaultStatus: http.StatusCreated,
		Description: "It costs money every month from then on. Where the provider's answer is lost (502), it is " +
			"looked up what became of it: repeat the request to hear, with the same Idempotency-Key.",
		Errors:   []int{http.StatusConflict, http.StatusBadGateway},
		Metadata: needing(RoleAdmin, long),
	}, s.obtainSender)
	operation(s, huma.Operation{
		OperationID: "release-sender", Method: http.MethodDelete, Path: sendersPath + "/{id}", Tags: tags,
		Summary: "Give a number back", DefaultStatus: http.StatusNoContent,
		Description: "It is lost for good: somebody else may have it tomorrow. Where campaigns stop without it, or no sender " +
			"is left, the answer is 409 with the reason confirm, which names them, until confirm=true says that this is meant. " +
			"Without a sender nothing is offered and sent.",
		Errors:   []int{http.StatusNotFound, http.StatusConflict, http.StatusBadGateway},
		Metadata: needing(RoleAdmin, long),
	}, s.releaseSender)
}

// SenderList is what texts come from, and where answers to them go.
type SenderList struct {
	Items   []sender.Sender `json:"items" doc:"All of them."`
	Inbound string          `json:"inbound_url,omitempty" doc:"Where the provider is to send what people text back: set it for each number, on the provider's page. It holds a token: keep it to yourself. Absent for viewers."`
}

func (s *server) listSenders(ctx context.Context, _ *struct{}) (*output[SenderList], error) {
	all, err := s.Senders.List(ctx)
	if err != nil {
		return nil, err
	}
	if all == nil {
		all = []sender.Sender{}
	}
	list := SenderList{Items: all}
	if identity(ctx).Role.Allows(RoleEditor) {
		list.Inbound = s.InboundURL()
	}
	return &output[SenderList]{Body: list}, nil
}

type numberFilter struct {
	Country  string   `query:"country" required:"true" pattern:"^[A-Za-z]{2}$" doc:"The country (ISO 3166-1, two letters)."`
	Area     string   `query:"area" pattern:"^[0-9]{1,15}$" doc:"The digits that the national number begins with, such as 415; not together with pattern."`
	Pattern  string   `query:"pattern" pattern:"^[0-9]{1,15}$" doc:"Digits that are in the number, country code included."`
	Match    string   `query:"match" enum:"start,end,anywhere" default:"anywhere" doc:"Where in the number pattern must be."`
	Features []string `query:"features" enum:"sms,voice,mms" maxItems:"3" doc:"What it must be able to do besides sms, separated by commas."`
	Limit    int      `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"How many at most."`
}

// NumberList is numbers that can be obtained; there is no next page.
type NumberList struct {
	Items []sender.Available `json:"items" doc:"Numbers that can be obtained now."`
}

func (s *server) findNumbers(ctx context.Context, in *numberFilter) (*output[NumberList], error) {
	if in.Area != "" && in.Pattern != "" {
		return nil, invalid(inParameter("area")("does not go together with pattern"))
	}
	found, err := s.Senders.Search(ctx, sender.Query{
		Country: strings.ToUpper(in.Country), Area: in.Area, Pattern: in.Pattern, Match: in.Match,
		Features: in.Features, Limit: in.Limit,
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		found = []sender.Available{}
	}
	return &output[NumberList]{Body: NumberList{Items: found}}, nil
}

// SenderRequest asks for a number.
type SenderRequest struct {
	Number  string `json:"number" maxLength:"32" doc:"The number in E.164, as /v1/senders/available gives it."`
	Country string `json:"country" pattern:"^[A-Z]{2}$" doc:"Its country (ISO 3166-1, two letters)."`
}

func (s *server) obtainSender(ctx context.Context, in *struct {
	Key  string `header:"Idempotency-Key" minLength:"1" maxLength:"255" doc:"Makes repeating the request harmless for 24 hours: with the same body it answers the first result."`
	Body SenderRequest
},
) (*output[sender.Sender], error) {
	n, err := s.number(in.Body.Number, func(d string) Detail { return inBody("/number", d) })
	if err != nil {
		return nil, err
	}
	if n.Region != in.Body.Country {
		return nil, invalid(inBody("/country", "is not the country of the number"))
	}
	got, err := s.Senders.Obtain(ctx, n.E164, in.Body.Country, tokenName(ctx), scoped(ctx, in.Key))
	if err != nil {
		return nil, err
	}
	return &output[sender.Sender]{Body: got}, nil
}

func (s *server) releaseSender(ctx context.Context, in *struct {
	ID      string `path:"id" maxLength:"32" doc:"The number in E.164."`
	Confirm bool   `query:"confirm" doc:"That campaigns may stop."`
},
) (*struct{}, error) {
	return nil, s.Senders.Release(ctx, in.ID, tokenName(ctx), in.Confirm)
}

// problemOfSender says what went wrong with a sender; nil where it is another
// error.
func problemOfSender(err error) *Problem {
	var confirm *sender.ConfirmError
	switch {
	case errors.As(err, &confirm):
		p := problem(http.StatusConflict, confirm.Error(), inParameter("confirm")("must be true for it to be released all the same")).
			because("confirm")
		p.Campaigns = confirm.Campaigns
		return p
	case errors.Is(err, sender.ErrQuery):
		_, what, _ := strings.Cut(err.Error(), sender.ErrQuery.Error()+": ")
		return invalid(Detail{Detail: what})
	case errors.Is(err, sender.ErrTaken):
		return problem(http.StatusConflict, "the number is a sender already", inBody("/number", "is a sender already"))
	case errors.Is(err, sender.ErrBusy):
		return problem(http.StatusConflict, "the number is being obtained or released, or it is being looked up whether it was: ask again").
			because("busy").with("Retry-After", "10")
	case errors.Is(err, sender.ErrConfigured):
		return problem(http.StatusConflict, "the sender is in the configuration (sms.originator) and can be removed only there").
			because("configured")
	case errors.Is(err, sender.ErrUnavailable):
		return problem(http.StatusConflict, "the provider does not have this number to let, or no longer").because("unavailable")
	case errors.Is(err, sender.ErrNotAllowed):
		return problem(http.StatusConflict, "the provider does not allow it: look at the account's access key, balance and papers").
			because("not_allowed")
	case errors.Is(err, sender.ErrUncertain):
		return problem(http.StatusBadGateway, "the provider may have done it, but did not say so: it is being looked up, ask again").
			because("uncertain").with("Retry-After", "10")
	case errors.Is(err, sender.ErrProvider):
		return problem(http.StatusBadGateway, "the provider does not answer as it should: try again").with("Retry-After", "10")
	}
	return nil
}
