package client

import (
	"context"
	"net/http"
	"strings"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/sender"
)

// Service says whether texts are offered and sent.
func (c *Client) Service(ctx context.Context) (admin.Service, error) {
	var s admin.Service
	err := c.ask(ctx, call{doing: "read the service switch", method: http.MethodGet, path: path("service")}, &s)
	return s, err
}

// SwitchService switches offering and sending on or off, for all campaigns.
func (c *Client) SwitchService(ctx context.Context, enabled bool) (admin.Service, error) {
	var s admin.Service
	err := c.ask(ctx, call{
		doing: "switch the service", method: http.MethodPut, path: path("service"), body: admin.Switch{Enabled: enabled},
	}, &s)
	return s, err
}

// Senders lists what texts come from.
func (c *Client) Senders(ctx context.Context) (admin.SenderList, error) {
	var s admin.SenderList
	err := c.ask(ctx, call{doing: "list senders", method: http.MethodGet, path: path("senders")}, &s)
	return s, err
}

// AvailableNumbers finds numbers that can be obtained.
func (c *Client) AvailableNumbers(ctx context.Context, q sender.Query) ([]sender.Available, error) {
	var found List[sender.Available]
	err := c.ask(ctx, call{
		doing: "find numbers to obtain", method: http.MethodGet, path: path("senders", "available"),
		query: query("country", q.Country, "area", q.Area, "pattern", q.Pattern, "match", q.Match,
			"features", strings.Join(q.Features, ","), "limit", number(q.Limit)),
	}, &found)
	return found.Items, err
}

// ObtainSender obtains a number, which costs money every month; with a key,
// repeating it is harmless.
func (c *Client) ObtainSender(ctx context.Context, number, country, key string) (sender.Sender, error) {
	var s sender.Sender
	err := c.ask(ctx, call{
		doing: "obtain a sender", method: http.MethodPost, path: path("senders"),
		body: admin.SenderRequest{Number: number, Country: country}, header: once(key),
	}, &s)
	return s, err
}

// ReleaseSender gives a number back. Where campaigns stop without it the answer
// is a Problem with the reason confirm and their names, unless confirm is true.
func (c *Client) ReleaseSender(ctx context.Context, id string, confirm bool) error {
	return c.ask(ctx, call{
		doing: "release a sender", method: http.MethodDelete, path: path("senders", id), query: query("confirm", yes(confirm)),
	}, nil)
}
