package client

import (
	"context"
	"net/http"
	"time"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

// SendMessage sends one text; with a key, repeating it is harmless.
func (c *Client) SendMessage(ctx context.Context, campaign string, r admin.MessageRequest, key string) (message.Message, error) {
	var m message.Message
	err := c.ask(ctx, call{
		doing: "send a text of campaign " + campaign, method: http.MethodPost,
		path: path("campaigns", campaign, "messages"), body: r, header: once(key),
	}, &m)
	return m, err
}

// MessageQuery selects texts; what is empty selects all.
type MessageQuery struct {
	To       string
	Campaign string
	State    string
	From     time.Time // made then or later
	Until    time.Time // made before
	Limit    int       // 50 when 0
	Cursor   string
}

// Messages lists texts, the latest first.
func (c *Client) Messages(ctx context.Context, q MessageQuery) (List[message.Message], error) {
	var found List[message.Message]
	err := c.ask(ctx, call{
		doing: "list texts", method: http.MethodGet, path: path("messages"),
		query: query("to", q.To, "campaign", q.Campaign, "state", q.State, "from", instant(q.From), "until", instant(q.Until),
			"limit", number(q.Limit), "cursor", q.Cursor),
	}, &found)
	return found, err
}

// instant writes a time for a query; zero is empty.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// Message reads one text and its history.
func (c *Client) Message(ctx context.Context, id string) (message.Message, error) {
	var m message.Message
	err := c.ask(ctx, call{doing: "read a text", method: http.MethodGet, path: path("messages", id)}, &m)
	return m, err
}

// CallQuery selects calls; what is empty selects all.
type CallQuery struct {
	Campaign string
	ANI      string
	Outcome  string
	Active   bool // those under way instead
	Limit    int  // 50 when 0
	Cursor   string
}

// Calls lists calls, the latest first.
func (c *Client) Calls(ctx context.Context, q CallQuery) (List[report.Call], error) {
	var found List[report.Call]
	err := c.ask(ctx, call{
		doing: "list calls", method: http.MethodGet, path: path("calls"),
		query: query("campaign", q.Campaign, "ani", q.ANI, "outcome", q.Outcome, "active", yes(q.Active), "limit", number(q.Limit), "cursor", q.Cursor),
	}, &found)
	return found, err
}

// Decide says what would become of a call, and why, step by step. Nothing is
// sent, counted or recorded.
func (c *Client) Decide(ctx context.Context, q report.Question) (report.Decision, error) {
	var d report.Decision
	err := c.ask(ctx, call{doing: "decide about a call", method: http.MethodPost, path: path("decisions"), body: q}, &d)
	return d, err
}
