package client

import (
	"context"
	"io"
	"net/http"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/optout"
)

// OptOutQuery selects opt-outs; what is empty selects all.
type OptOutQuery struct {
	Number string
	Source string
	Limit  int // 50 when 0
	Cursor string
}

// OptOuts lists the numbers that are never texted, the latest first.
func (c *Client) OptOuts(ctx context.Context, q OptOutQuery) (List[optout.Entry], error) {
	var found List[optout.Entry]
	err := c.ask(ctx, call{
		doing: "list opt-outs", method: http.MethodGet, path: path("opt-outs"),
		query: query("number", q.Number, "source", q.Source, "limit", number(q.Limit), "cursor", q.Cursor),
	}, &found)
	return found, err
}

// ExportOptOuts is the whole list as CSV; the caller closes it.
func (c *Client) ExportOptOuts(ctx context.Context) (io.ReadCloser, error) {
	q := call{doing: "export opt-outs", method: http.MethodGet, path: path("opt-outs"), query: query("format", "csv")}
	response, err := c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	if media(response) != csvType {
		_ = response.Body.Close()
		return nil, &AnswerError{Doing: q.doing, Status: response.StatusCode}
	}
	return response.Body, nil
}

// ImportOptOuts takes a list in: CSV whose first column is the number.
func (c *Client) ImportOptOuts(ctx context.Context, list io.Reader) (optout.Imported, error) {
	var done optout.Imported
	err := c.ask(ctx, call{doing: "import opt-outs", method: http.MethodPost, path: path("opt-outs"), stream: list}, &done)
	return done, err
}

// OptOut reads the entry of a number; 404 where it has not opted out.
func (c *Client) OptOut(ctx context.Context, number string) (optout.Entry, error) {
	var e optout.Entry
	err := c.ask(ctx, call{doing: "read an opt-out", method: http.MethodGet, path: path("opt-outs", number)}, &e)
	return e, err
}

// AddOptOut has a number never texted again; why is for people.
func (c *Client) AddOptOut(ctx context.Context, number, why string) (optout.Entry, error) {
	var e optout.Entry
	err := c.ask(ctx, call{
		doing: "add an opt-out", method: http.MethodPut, path: path("opt-outs", number), body: admin.OptOutRequest{Reason: why},
	}, &e)
	return e, err
}

// RemoveOptOut lets a number be texted again; why is for people.
func (c *Client) RemoveOptOut(ctx context.Context, number, why string) error {
	return c.ask(ctx, call{
		doing: "remove an opt-out", method: http.MethodDelete, path: path("opt-outs", number), query: query("reason", why),
	}, nil)
}
