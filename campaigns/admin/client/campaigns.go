package client

import (
	"context"
	"net/http"
	"strconv"

	"deflectd/campaigns"
)

// List is one page of something.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_cursor"` // where the next page begins; "" on the last one
	Total int    `json:"total"`       // of all pages, where the API says so
}

// CampaignQuery selects campaigns; what is empty selects all.
type CampaignQuery struct {
	Q       string // words
	Enabled *bool
	DNIS    string
	Deleted bool // the deleted ones instead
	Limit   int  // 50 when 0
	Cursor  string
}

// Campaigns lists campaigns, in the order of their ids.
func (c *Client) Campaigns(ctx context.Context, q CampaignQuery) (List[*campaigns.Campaign], error) {
	enabled := ""
	if q.Enabled != nil {
		enabled = strconv.FormatBool(*q.Enabled)
	}
	var found List[*campaigns.Campaign]
	err := c.ask(ctx, call{
		doing: "list campaigns", method: http.MethodGet, path: path("campaigns"),
		query: query("q", q.Q, "enabled", enabled, "dnis", q.DNIS, "deleted", yes(q.Deleted), "limit", number(q.Limit), "cursor", q.Cursor),
	}, &found)
	return found, err
}

// Campaign reads one, with its defaults and warnings. Its Version is what a write
// on top of it is made with.
func (c *Client) Campaign(ctx context.Context, id string) (*campaigns.Campaign, error) {
	return c.campaign(ctx, call{doing: "read campaign " + id, method: http.MethodGet, path: path("campaigns", id)})
}

// CreateCampaign creates one. The campaign is a *campaigns.Campaign or whatever
// else is one as JSON; key, where there is one, makes repeating it harmless.
func (c *Client) CreateCampaign(ctx context.Context, campaign any, key string) (*campaigns.Campaign, error) {
	return c.campaign(ctx, call{doing: "create a campaign", method: http.MethodPost, path: path("campaigns"), body: campaign, header: once(key)})
}

// ReplaceCampaign puts a campaign in the place of the version named, or of Any.
func (c *Client) ReplaceCampaign(ctx context.Context, id string, campaign any, version int64) (*campaigns.Campaign, error) {
	return c.campaign(ctx, call{
		doing: "replace campaign " + id, method: http.MethodPut, path: path("campaigns", id), body: campaign, header: match(version),
	})
}

// PatchCampaign changes parts of the version named, or of Any: a JSON merge patch.
func (c *Client) PatchCampaign(ctx context.Context, id string, patch any, version int64) (*campaigns.Campaign, error) {
	return c.campaign(ctx, call{
		doing: "change campaign " + id, method: http.MethodPatch, path: path("campaigns", id), body: patch, header: match(version),
	})
}

// DeleteCampaign removes the version named, or Any. It can be restored for 30
// days.
func (c *Client) DeleteCampaign(ctx context.Context, id string, version int64) error {
	return c.ask(ctx, call{
		doing: "delete campaign " + id, method: http.MethodDelete, path: path("campaigns", id), header: match(version),
	}, nil)
}

// RestoreCampaign brings a deleted campaign back, of the version named or Any.
func (c *Client) RestoreCampaign(ctx context.Context, id string, version int64) (*campaigns.Campaign, error) {
	return c.campaign(ctx, call{
		doing: "restore campaign " + id, method: http.MethodPost, path: path("campaigns", id, "restore"), header: match(version),
	})
}

func (c *Client) campaign(ctx context.Context, q call) (*campaigns.Campaign, error) {
	found := new(campaigns.Campaign)
	if err := c.ask(ctx, q, found); err != nil {
		return nil, err
	}
	return found, nil
}
