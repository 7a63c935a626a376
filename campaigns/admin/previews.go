package admin

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/phone"
)

func (s *server) previewOperations() {
	operation(s, huma.Operation{
		OperationID: "preview-campaign", Method: http.MethodPost, Path: campaignPath + "/preview", Tags: []string{"campaigns"},
		Summary: "See the text as it would be sent, also of a campaign that is not saved",
		Description: "Nothing is sent and no link is made. With a draft there need not be a campaign at the address. What is " +
			"wrong with the draft is in errors, and the answer is 200 all the same: what can be shown of it is shown.",
		Errors: []int{http.StatusNotFound}, Metadata: needing(RoleViewer),
	}, s.preview)
}

// PreviewRequest asks what would be sent.
type PreviewRequest struct {
	To     string            `json:"to,omitempty" maxLength:"64" doc:"The number it would be sent to: E.164, or as dialled in numbers.region; where it is left out, an example of numbers.region."`
	Draft  map[string]any    `json:"draft,omitempty" doc:"A campaign as it would be created or put, which is not saved and need not be right; without it the campaign at the address as it is. An id that it leaves out is that of the address."`
	Params map[string]string `json:"params,omitempty" doc:"Values for this text that stand for those of the campaign's interaction.params, in the link and in the text; no other names."`
}

// Preview is a text as it would be sent, and what keeps its campaign from being
// saved.
type Preview struct {
	message.Preview
	// DNIS is what those compare by who have the campaign elsewhere: only here is it
	// known how a national number is meant.
	DNIS   []string            `json:"dnis,omitempty" doc:"The numbers of the campaign as they would be saved, in E.164; one that is wrong stays as it is written."`
	Errors []campaigns.Problem `json:"errors,omitempty" doc:"What is wrong with the campaign: it could not be saved as it is."`
}

func (s *server) preview(ctx context.Context, in *struct {
	CampaignID
	Body *PreviewRequest
},
) (*output[Preview], error) {
	asked := in.Body
	if asked == nil {
		asked = new(PreviewRequest)
	}
	to, err := s.previewNumber(asked.To)
	if err != nil {
		return nil, err
	}
	c, wrong, err := s.previewed(ctx, in.ID, asked.Draft)
	if err != nil {
		return nil, err
	}
	p := Preview{Errors: wrong, DNIS: c.DNIS}
	if strings.TrimSpace(c.Text) == "" {
		p.Preview = message.Preview{Encoding: message.GSM7}
	} else if p.Preview, err = s.Outbox.Preview(c, to, asked.Params); err != nil {
		return nil, err
	}
	p.Warnings = s.warnings(ctx, c, p.Warnings)
	p.Warnings = append(p.Warnings, s.takenNumbers(ctx, c)...)
	if p.Warnings == nil {
		p.Warnings = []campaigns.Problem{}
	}
	return &output[Preview]{Body: p}, nil
}

// previewNumber is whom a preview is for.
func (s *server) previewNumber(to string) (*phone.Number, error) {
	if to == "" {
		if n, ok := phone.Example(s.Rules.Region); ok {
			return &n, nil
		}
		return nil, nil
	}
	n, err := s.number(to, inTo)
	return &n, err
}

// previewed is the campaign a preview is of, with its defaults, and what keeps
// it from being saved.
func (s *server) previewed(ctx context.Context, id string, draft map[string]any) (*campaigns.Campaign, campaigns.Invalid, error) {
	c, wrong := s.understood(draft)
	if _, given := draft["id"]; !given {
		c.ID = id
	}
	if draft == nil {
		var err error
		if c, err = s.Campaigns.Written(ctx, id); err != nil {
			return nil, nil, err
		}
		wrong = nil
	}
	wrong = merged(wrong, s.problemsOf(c))
	c.SetDefaults()
	return c, wrong, nil
}

// takenNumbers names the campaigns that answer a number of this one. It is no
// error of a draft: the other may be about to let it go. Where it cannot be
// looked up, saving will tell.
func (s *server) takenNumbers(ctx context.Context, c *campaigns.Campaign) (wrong []campaigns.Problem) {
	if len(c.DNIS) == 0 {
		return nil
	}
	all, err := s.Campaigns.Search(ctx, campaigns.Query{})
	if err != nil {
		return nil
	}
	owner := map[string]string{}
	for _, other := range all.Campaigns {
		if other.ID == c.ID {
			continue
		}
		for _, dnis := range other.DNIS {
			owner[dnis] = other.ID
		}
	}
	for i, dnis := range c.DNIS {
		if id := owner[dnis]; id != "" {
			wrong = append(wrong, campaigns.Problem{Pointer: pointer("dnis", i), Message: dnis + " is answered by campaign " + id})
		}
	}
	return wrong
}
