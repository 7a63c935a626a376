package client

import (
	"context"
	"net/http"
	"strconv"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
)

// PreviewRequest asks how a text would look.
type PreviewRequest struct {
	To     string            `json:"to,omitempty"`    // an example number where it is left out
	Draft  any               `json:"draft,omitempty"` // a campaign as JSON; what is saved where it is left out
	Params map[string]string `json:"params,omitempty"`
}

// Preview is how a text would look, and what is wrong with the draft of it.
type Preview = admin.Preview

// Preview shows the text of a campaign as it would be sent, also of a draft that
// is not saved or not valid; id need not exist where there is a draft.
func (c *Client) Preview(ctx context.Context, id string, r PreviewRequest) (Preview, error) {
	var p Preview
	err := c.ask(ctx, call{
		doing: "preview campaign " + id, method: http.MethodPost, path: path("campaigns", id, "preview"), body: r,
	}, &p)
	return p, err
}

// Revision is one version of a campaign and how it came about; it has the
// campaign itself where one is read, not in lists.
type Revision = campaigns.Revision

// Change is one part of a campaign that another version has otherwise.
type Change = campaigns.Change

// History lists the versions of a campaign, newest first; cursor is Next of the
// page before.
func (c *Client) History(ctx context.Context, id, cursor string, limit int) (List[Revision], error) {
	var found List[Revision]
	err := c.ask(ctx, call{
		doing: "read the history of campaign " + id, method: http.MethodGet, path: path("campaigns", id, "history"),
		query: query("limit", number(limit), "cursor", cursor),
	}, &found)
	return found, err
}

// Revision reads one version of a campaign.
func (c *Client) Revision(ctx context.Context, id string, version int64) (Revision, error) {
	var r Revision
	err := c.ask(ctx, call{
		doing: "read a version of campaign " + id, method: http.MethodGet,
		path: path("campaigns", id, "history", strconv.FormatInt(version, 10)),
	}, &r)
	return r, err
}

// RestoreRevision makes an old version of a campaign the newest, on top of the
// version named or of Any.
func (c *Client) RestoreRevision(ctx context.Context, id string, old, version int64) (*campaigns.Campaign, error) {
	return c.campaign(ctx, call{
		doing: "go back to a version of campaign " + id, method: http.MethodPost,
		path: path("campaigns", id, "history", strconv.FormatInt(old, 10), "restore"), header: match(version),
	})
}
