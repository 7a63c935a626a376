package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns/message"
)

func (s *server) linkOperations() {
	operation(s, huma.Operation{
		OperationID: "create-link", Method: http.MethodPost, Path: campaignPath + "/links", Tags: []string{"messages"},
		Summary: "Make a link alone, for a text that another gateway sends", DefaultStatus: http.StatusCreated,
		Description: "A campaign that is switched off makes none (409, reason campaign_disabled), and neither does anybody " +
			"get one who has opted out (409, reason opted_out). To have the text composed, guarded and counted as well, " +
			"ask for a message with external.",
		Errors:   []int{http.StatusNotFound, http.StatusConflict},
		Metadata: needing(RoleAdmin),
	}, s.createLink)
}

// LinkRequest asks for a link alone.
type LinkRequest struct {
	To      string            `json:"to,omitempty" maxLength:"64" doc:"Whom it is for: E.164, or as dialled in numbers.region. Where it is left out, the link says nothing of anybody."`
	Params  map[string]string `json:"params,omitempty" doc:"Values for this link that stand for those of the campaign's interaction.params; no other names."`
	Shorten *bool             `json:"shorten,omitempty" default:"true" doc:"false: the link is the address of the interaction itself, of which nobody counts who opens it."`
}

// Link leads to an interaction.
type Link struct {
	URL            string    `json:"url" doc:"What is put into a text."`
	InteractionURL string    `json:"interaction_url" doc:"Where it leads."`
	Code           string    `json:"code,omitempty" doc:"The code of the short link; absent where it is none."`
	ExpiresAt      time.Time `json:"expires_at,omitzero" doc:"It leads nowhere after that; absent where it always leads there."`
}

func (s *server) createLink(ctx context.Context, in *struct {
	CampaignID
	Key  string `header:"Idempotency-Key" minLength:"1" maxLength:"255" doc:"Makes repeating the request harmless for 24 hours: with the same body it answers the first link."`
	Body LinkRequest
},
) (*output[Link], error) {
	request := message.LinkRequest{
		Params: in.Body.Params, Shorten: in.Body.Shorten == nil || *in.Body.Shorten,
		Key: scoped(ctx, in.Key), By: tokenName(ctx),
	}
	if in.Body.To != "" {
		to, err := s.number(in.Body.To, inTo)
		if err != nil {
			return nil, err
		}
		request.To = &to
	}
	c, err := s.Campaigns.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !c.IsEnabled() {
		return nil, problem(http.StatusConflict, "the campaign is switched off").because("campaign_disabled")
	}
	request.Campaign = c
	l, err := s.Outbox.Link(ctx, request)
	if err != nil {
		return nil, err
	}
	return &output[Link]{Body: Link{URL: l.URL, InteractionURL: l.InteractionURL, Code: l.Code, ExpiresAt: l.ExpiresAt}}, nil
}
