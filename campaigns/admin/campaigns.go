package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/phone"
)

const (
	campaignsPath = "/v1/campaigns"
	campaignPath  = campaignsPath + "/{id}"

	// patchTries is how often a change is merged anew because others change the
	// same campaign at the same time.
	patchTries = 10
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

// answerOf shows a campaign with its defaults, and what is odd about its text.
func (s *server) answerOf(c *campaigns.Campaign) *campaignAnswer {
	c.SetDefaults()
	s.warn(c)
	return &campaignAnswer{Status: http.StatusOK, ETag: etag(c.Version), Body: c}
}

// warn adds to a campaign what can be saved and may not be meant.
func (s *server) warn(c *campaigns.Campaign) {
	c.Warnings = s.Outbox.Forecast(c).Warnings
	if !s.Senders.Sends(c) {
		c.Warnings = append(c.Warnings, campaigns.Problem{
			Pointer: "/originator", Message: "there is no sender its texts could come from: name one, configure one, or obtain a number (/v1/senders)",
		})
	}
}

func (s *server) campaignOperations() {
	tags := []string{"campaigns"}
	operation(s, huma.Operation{
		OperationID: "list-campaigns", Method: http.MethodGet, Path: campaignsPath, Tags: tags,
		Summary:     "List and search campaigns",
		Description: "In the order of their ids. The ETag of each is its version in double quotes.",
	}, s.listCampaigns)
	operation(s, huma.Operation{
		OperationID: "create-campaign", Method: http.MethodPost, Path: campaignsPath, Tags: tags,
		Summary: "Create a campaign", DefaultStatus: http.StatusCreated,
		Errors: []int{http.StatusConflict},
	}, s.createCampaign)
	operation(s, huma.Operation{
		OperationID: "read-campaign", Method: http.MethodGet, Path: campaignPath, Tags: tags,
		Summary: "Read a campaign", Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{"304": {Description: "Nothing has changed since the version named in If-None-Match."}},
	}, s.readCampaign)
	operation(s, huma.Operation{
		OperationID: "replace-campaign", Method: http.MethodPut, Path: campaignPath, Tags: tags,
		Summary: "Replace a campaign", Errors: writeErrors(http.StatusConflict),
		Description: "The body is the whole campaign: what it does not have gets its default.",
	}, s.replaceCampaign)
	operation(s, huma.Operation{
		OperationID: "patch-campaign", Method: http.MethodPatch, Path: campaignPath, Tags: tags,
		Summary: "Change parts of a campaign", Errors: writeErrors(http.StatusConflict),
		Description: "A JSON merge patch (RFC 7396): what is there replaces, null removes, lists are replaced whole.",
	}, s.patchCampaign)
	operation(s, huma.Operation{
		OperationID: "delete-campaign", Method: http.MethodDelete, Path: campaignPath, Tags: tags,
		Summary: "Remove a campaign", DefaultStatus: http.StatusNoContent, Errors: writeErrors(),
		Description: "Its numbers are free at once. It is kept for 30 days, among the deleted.",
	}, s.deleteCampaign)
}

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

func (s *server) listCampaigns(ctx context.Context, in *campaignFilter) (*output[list[*campaigns.Campaign]], error) {
	after, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil {
		return nil, invalid(inParameter("cursor")("is not a cursor of this list: take next_cursor of the page before"))
	}
	in.DNIS = unescaped(in.DNIS)
	if err := s.canonicalDNIS(&in.DNIS); err != nil {
		return nil, err
	}
	all, unreadable, err := s.Campaigns.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, broken := range unreadable {
		s.Logger.ErrorContext(ctx, "campaign cannot be understood and is left out of the list", "error", broken)
	}
	found := slices.DeleteFunc(all, func(c *campaigns.Campaign) bool {
		return c.ID <= string(after) || !in.matches(c)
	})
	next := ""
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(found[in.Limit-1].ID))
	}
	return listed(found, next), nil
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

func (f *campaignFilter) matches(c *campaigns.Campaign) bool {
	if f.Deleted != (c.DeletedAt != nil) ||
		f.Enabled != "" && (f.Enabled == "true") != c.IsEnabled() ||
		f.DNIS != "" && !slices.Contains(c.DNIS, f.DNIS) {
		return false
	}
	if f.Q == "" {
		return true
	}
	text := strings.ToLower(strings.Join([]string{c.ID, c.Name, c.Text, c.Interaction.ID, c.Interaction.URL}, "\n"))
	for _, word := range strings.Fields(strings.ToLower(f.Q)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

type newCampaign struct {
	Key  string `header:"Idempotency-Key" minLength:"1" maxLength:"255" doc:"Makes repeating the request harmless for 24 hours: with the same body it answers the first result."`
	Body campaigns.Campaign
}

func (s *server) createCampaign(ctx context.Context, in *newCampaign) (*campaignAnswer, error) {
	c := &in.Body
	if err := kept(c, &campaigns.Campaign{}); err != nil {
		return nil, err
	}
	if err := s.check(c); err != nil {
		return nil, err
	}
	err := s.Campaigns.Create(ctx, c, scoped(ctx, in.Key))
	if errors.Is(err, campaigns.ErrExists) {
		return nil, problem(http.StatusConflict, "there is a campaign "+c.ID+" already",
			inBody("/id", "is taken by another campaign"))
	}
	if err != nil {
		return nil, conflict(err, c)
	}
	out := s.answerOf(c)
	out.Status, out.Location = http.StatusCreated, campaignsPath+"/"+c.ID
	return out, nil
}

// check refuses a campaign that could not work. It writes its numbers in
// canonical form and leaves the rest as it was written, without defaults.
func (s *server) check(c *campaigns.Campaign) error {
	full := *c
	full.SetDefaults()
	if err := full.Validate(s.Rules); err != nil {
		return err
	}
	f := s.Outbox.Forecast(&full)
	if f.Segments > message.MaxSegments {
		return campaigns.Invalid{{Pointer: "/text", Message: fmt.Sprintf(
			"takes %d segments in %s with its link; at most %d can be sent", f.Segments, f.Encoding, message.MaxSegments)}}
	}
	return nil
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
	out := s.answerOf(c)
	if in.IfNoneMatch != "" && unchanged(in.IfNoneMatch, c) {
		out.Status, out.Body = http.StatusNotModified, nil
	}
	return out, nil
}

// current reads the campaign a write is about, as it was written, and the
// version it must have when it is written anew.
func (s *server) current(ctx context.Context, id, ifMatch string) (*campaigns.Campaign, int64, error) {
	if err := needIfMatch(ifMatch); err != nil {
		return nil, 0, err
	}
	c, err := s.Campaigns.Written(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	version, err := precondition(ifMatch, c)
	return c, version, err
}

func (s *server) replaceCampaign(ctx context.Context, in *struct {
	CampaignID
	IfMatch
	Body campaigns.Campaign
},
) (*campaignAnswer, error) {
	now, version, err := s.current(ctx, in.ID, in.Version)
	if err != nil {
		return nil, err
	}
	return s.replace(ctx, &in.Body, now, version)
}

func (s *server) patchCampaign(ctx context.Context, in *struct {
	CampaignID
	IfMatch
	Body map[string]any `contentType:"application/merge-patch+json"`
},
) (*campaignAnswer, error) {
	for try := 1; ; try++ {
		now, _, err := s.current(ctx, in.ID, in.Version)
		if err != nil {
			return nil, err
		}
		changed, err := s.patched(now, in.Body)
		if err != nil {
			return nil, err
		}
		// Also where any version is meant, the one that was read: what another
		// has changed since is not to be lost.
		out, err := s.replace(ctx, changed, now, now.Version)
		if !errors.Is(err, campaigns.ErrStale) || try == patchTries {
			return out, err
		}
	}
}

// replace puts a campaign in the place of the one that is there now.
func (s *server) replace(ctx context.Context, c, now *campaigns.Campaign, version int64) (*campaignAnswer, error) {
	if c.ID != now.ID {
		return nil, invalid(inBody("/id", "must be "+now.ID+", as in the address: an id never changes"))
	}
	if err := kept(c, now); err != nil {
		return nil, err
	}
	if err := s.check(c); err != nil {
		return nil, err
	}
	if err := s.Campaigns.Replace(ctx, c, version); err != nil {
		return nil, conflict(err, c)
	}
	return s.answerOf(c), nil
}

// kept refuses a change of what the store keeps by itself. What is just as it
// was read may be sent back, so that a campaign can be read, edited and put.
func kept(c, now *campaigns.Campaign) error {
	p := invalid()
	for name, same := range map[string]bool{
		"version":    c.Version == 0 || c.Version == now.Version,
		"created_at": c.CreatedAt.IsZero() || c.CreatedAt.Equal(now.CreatedAt),
		"updated_at": c.UpdatedAt.IsZero() || c.UpdatedAt.Equal(now.UpdatedAt),
		"deleted_at": c.DeletedAt == nil,
	} {
		if !same {
			p.Errors = append(p.Errors, inBody("/"+name, "is set by deflectd: leave it out"))
		}
	}
	c.Version, c.CreatedAt, c.UpdatedAt, c.DeletedAt, c.Warnings = 0, time.Time{}, time.Time{}, nil, nil
	if p.Errors == nil {
		return nil
	}
	slices.SortFunc(p.Errors, func(a, b Detail) int { return strings.Compare(*a.Pointer, *b.Pointer) })
	return p
}

func (s *server) deleteCampaign(ctx context.Context, in *struct {
	CampaignID
	IfMatch
},
) (*struct{}, error) {
	_, version, err := s.current(ctx, in.ID, in.Version)
	if err != nil {
		return nil, err
	}
	return nil, s.Campaigns.Delete(ctx, in.ID, version)
}
