package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

const (
	campaignsPath = "/v1/campaigns"
	campaignPath  = campaignsPath + "/{id}"
)

// CampaignID is the campaign an address names.
type CampaignID struct {
	ID string `path:"id" maxLength:"64" doc:"The id of the campaign."`
}

// IfMatch says which version of a campaign a write is about.
type IfMatch struct {
	Version string `header:"If-Match" doc:"The ETag of the version that is meant, or * for whatever is there. Needed: without it the answer is 428."`
}

// campaignAnswer is one campaign and its version.
type campaignAnswer struct {
	Status   int
	ETag     string `header:"ETag" doc:"The version, for If-Match."`
	Location string `header:"Location" doc:"Where the new campaign is."`
	Body     *campaigns.Campaign
}

// answerOf shows a campaign with its defaults, what is odd about it, and what
// became of its texts.
func (s *server) answerOf(ctx context.Context, c *campaigns.Campaign) *campaignAnswer {
	c.SetDefaults()
	c.Warnings = s.warnings(ctx, c, s.Outbox.Forecast(c).Warnings)
	s.addTexts(ctx, c)
	return &campaignAnswer{Status: http.StatusOK, ETag: etag(c.Version), Body: c}
}

func (s *server) campaignOperations() {
	tags := []string{"campaigns"}
	operation(s, huma.Operation{
		OperationID: "list-campaigns", Method: http.MethodGet, Path: campaignsPath, Tags: tags,
		Summary:     "List and search campaigns",
		Description: "In the order of their ids, with what became of their texts in the last 7 days. The ETag of each is its version in double quotes.",
		Metadata:    needing(RoleViewer),
	}, s.listCampaigns)
	operation(s, huma.Operation{
		OperationID: "create-campaign", Method: http.MethodPost, Path: campaignsPath, Tags: tags,
		Summary: "Create a campaign", DefaultStatus: http.StatusCreated,
		Description: "What is left out gets its default. The answer has warnings: what can be saved and may not be meant.",
		Errors:      []int{http.StatusConflict},
		Metadata:    needing(RoleEditor), SkipValidateBody: true,
	}, s.createCampaign)
	operation(s, huma.Operation{
		OperationID: "read-campaign", Method: http.MethodGet, Path: campaignPath, Tags: tags,
		Summary: "Read a campaign", Description: "With all defaults, its warnings, and what became of its texts in the last 7 days.",
		Errors:    []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{"304": {Description: "Nothing has changed since the version named in If-None-Match."}},
		Metadata:  needing(RoleViewer),
	}, s.readCampaign)
	operation(s, huma.Operation{
		OperationID: "replace-campaign", Method: http.MethodPut, Path: campaignPath, Tags: tags,
		Summary: "Replace a campaign", Errors: writeErrors(http.StatusConflict),
		Description: "The body is the whole campaign: what it does not have gets its default. " + sameAgain,
		Metadata:    needing(RoleEditor), SkipValidateBody: true,
	}, s.replaceCampaign)
	operation(s, huma.Operation{
		OperationID: "patch-campaign", Method: http.MethodPatch, Path: campaignPath, Tags: tags,
		Summary: "Change parts of a campaign", Errors: writeErrors(http.StatusConflict),
		Description: "A JSON merge patch (RFC 7396): what is there replaces, null removes, lists are replaced whole. " + sameAgain,
		Metadata:    needing(RoleEditor),
	}, s.patchCampaign)
	operation(s, huma.Operation{
		OperationID: "delete-campaign", Method: http.MethodDelete, Path: campaignPath, Tags: tags,
		Summary: "Remove a campaign", DefaultStatus: http.StatusNoContent, Errors: writeErrors(),
		Description: "Its numbers are free at once. It is kept for 30 days among the deleted, and can be restored until then.",
		Metadata:    needing(RoleEditor),
	}, s.deleteCampaign)
	operation(s, huma.Operation{
		OperationID: "restore-campaign", Method: http.MethodPost, Path: campaignPath + "/restore", Tags: tags,
		Summary: "Bring a deleted campaign back", Errors: writeErrors(http.StatusConflict),
		Description: "As it was, within 30 days. One that is not deleted is answered with 409 (reason not_deleted), " +
			"and so is one of whose numbers another campaign answers now, which is named.",
		Metadata: needing(RoleEditor),
	}, s.restoreCampaign)
}

const sameAgain = "What changes nothing makes no new version."

func writeErrors(more ...int) []int {
	return append(more, http.StatusNotFound, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
}

type campaignFilter struct {
	Page
	Q       string `query:"q" maxLength:"200" doc:"Words that must all be in the id, name, text or interaction; upper and lower case are the same."`
	Enabled string `query:"enabled" enum:"true,false" doc:"Those that are switched on, or off."`
	DNIS    string `query:"dnis" maxLength:"32" doc:"Those that name this number or prefix."`
	Deleted bool   `query:"deleted" doc:"Those deleted in the last 30 days instead of those that live."`
}

// CampaignList is one page of campaigns.
type CampaignList struct {
	Items []*campaigns.Campaign `json:"items" doc:"The page."`
	Next  string                `json:"next_cursor,omitempty" doc:"Where the next page begins; absent on the last one."`
	Total int                   `json:"total" doc:"How many there are on all pages."`
}

func (s *server) listCampaigns(ctx context.Context, in *campaignFilter) (*output[CampaignList], error) {
	after, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil {
		return nil, noCursor()
	}
	in.DNIS = unescaped(in.DNIS)
	if err := s.canonicalDNIS(&in.DNIS); err != nil {
		return nil, err
	}
	query := campaigns.Query{Q: in.Q, DNIS: in.DNIS, Deleted: in.Deleted, After: string(after), Limit: in.Limit}
	if in.Enabled != "" {
		enabled := in.Enabled == "true"
		query.Enabled = &enabled
	}
	found, err := s.Campaigns.Search(ctx, query)
	if err != nil {
		return nil, err
	}
	for _, broken := range found.Unreadable {
		s.Logger.ErrorContext(ctx, "campaign cannot be understood and is left out of the list", "error", broken)
	}
	page := CampaignList{Items: make([]*campaigns.Campaign, len(found.Campaigns)), Total: found.Total}
	for i, c := range found.Campaigns {
		own := *c // what was found is shared
		page.Items[i] = &own
	}
	s.addTexts(ctx, page.Items...)
	if n := len(page.Items); found.More && n > 0 {
		page.Next = base64.RawURLEncoding.EncodeToString([]byte(page.Items[n-1].ID))
	}
	return &output[CampaignList]{Body: page}, nil
}

func (s *server) canonicalDNIS(dnis *string) error {
	if *dnis == "" || strings.HasSuffix(*dnis, "*") {
		return nil
	}
	canonical, err := phone.DNIS(*dnis, s.Rules.Region)
	if err != nil {
		return invalid(inParameter("dnis")("is not a number that can be dialled, nor a prefix ending in *"))
	}
	*dnis = canonical
	return nil
}

type newCampaign struct {
	Key  string `header:"Idempotency-Key" minLength:"1" maxLength:"255" doc:"Makes repeating the request harmless for 24 hours: with the same body it answers the first result."`
	Body campaignBody
}

func (s *server) createCampaign(ctx context.Context, in *newCampaign) (*campaignAnswer, error) {
	c, err := s.written(in.Body.document, &campaigns.Campaign{})
	if err != nil {
		return nil, err
	}
	err = s.Campaigns.Create(ctx, c, scoped(ctx, in.Key), tokenName(ctx))
	if errors.Is(err, campaigns.ErrExists) {
		return nil, problem(http.StatusConflict, "there is a campaign "+c.ID+" already",
			inBody("/id", "is taken by another campaign"))
	}
	if err != nil {
		return nil, conflict(err, c)
	}
	out := s.answerOf(ctx, c)
	out.Status, out.Location = http.StatusCreated, campaignsPath+"/"+c.ID
	return out, nil
}

// conflict names the campaign that has a number already.
func conflict(err error, c *campaigns.Campaign) error {
	var other *campaigns.TakenError
	if errors.As(err, &other) {
		return taken(other, c)
	}
	return err
}

func (s *server) readCampaign(ctx context.Context, in *struct {
	CampaignID
	IfNoneMatch string `header:"If-None-Match" doc:"An ETag seen before."`
},
) (*campaignAnswer, error) {
	c, err := s.Campaigns.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if in.IfNoneMatch != "" && unchanged(in.IfNoneMatch, c.Version) {
		return &campaignAnswer{Status: http.StatusNotModified, ETag: etag(c.Version)}, nil
	}
	return s.answerOf(ctx, c), nil
}
