package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns"
)

const (
	historyPath  = campaignPath + "/history"
	revisionPath = historyPath + "/{version}"
)

func (s *server) historyOperations() {
	tags := []string{"campaigns"}
	operation(s, huma.Operation{
		OperationID: "list-history", Method: http.MethodGet, Path: historyPath, Tags: tags,
		Summary: "List who changed a campaign, when, and what is different, the latest first",
		Description: "Of all that was replaced within the last 30 days, and of the last 100 versions in any case. " +
			"A campaign that was deleted has its history as long as it can be restored.",
		Errors: []int{http.StatusNotFound}, Metadata: needing(RoleViewer),
	}, s.listHistory)
	operation(s, huma.Operation{
		OperationID: "read-version", Method: http.MethodGet, Path: revisionPath, Tags: tags,
		Summary: "Read a campaign as it was", Description: "As it was written, without defaults.",
		Errors: []int{http.StatusNotFound}, Metadata: needing(RoleViewer),
	}, s.readVersion)
	operation(s, huma.Operation{
		OperationID: "restore-version", Method: http.MethodPost, Path: revisionPath + "/restore", Tags: tags,
		Summary: "Change a campaign back to what it was",
		Description: "The old version is checked like a new one and saved as a new one; nothing of the history is lost. " +
			"A campaign that was deleted is restored first.",
		Errors: writeErrors(http.StatusConflict), Metadata: needing(RoleEditor),
	}, s.restoreVersion)
}

// CampaignVersion is the version of a campaign that an address names.
type CampaignVersion struct {
	CampaignID
	Number int64 `path:"version" minimum:"1" maximum:"9007199254740991" doc:"The version."`
}

func (s *server) listHistory(ctx context.Context, in *struct {
	CampaignID
	Page
},
) (*output[List[campaigns.Revision]], error) {
	before := int64(0)
	if in.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || before < 1 {
			return nil, noCursor()
		}
	}
	found, more, err := s.Campaigns.History(ctx, in.ID, before, in.Limit)
	if err != nil {
		return nil, err
	}
	next := ""
	if n := len(found); more && n > 0 {
		next = strconv.FormatInt(found[n-1].Version, 10)
	}
	return listed(found, next), nil
}

func (s *server) readVersion(ctx context.Context, in *CampaignVersion) (*output[campaigns.Revision], error) {
	r, err := s.Campaigns.Revision(ctx, in.ID, in.Number)
	if err != nil {
		return nil, err
	}
	return &output[campaigns.Revision]{Body: r}, nil
}

func (s *server) restoreVersion(ctx context.Context, in *struct {
	CampaignVersion
	IfMatch
},
) (*campaignAnswer, error) {
	_, write, err := s.current(ctx, in.ID, in.Version)
	if err != nil {
		return nil, err
	}
	old, err := s.Campaigns.Revision(ctx, in.ID, in.Number)
	if err != nil {
		return nil, err
	}
	// What was right once need not be today.
	c := old.Campaign
	if wrong := s.problemsOf(c); wrong != nil {
		return nil, wrong
	}
	write.Restores = in.Number
	if err := s.Campaigns.Replace(ctx, c, write); err != nil {
		return nil, conflict(err, c)
	}
	return s.answerOf(ctx, c), nil
}
