// Package client asks the HTTP API of a deflectd, in Go: what the SMS
// Management page and the command line do, they do over it.
//
// Every method is one operation of the API (docs/openapi.json). What the API
// refuses comes back as *admin.Problem; what is no answer of the API at all, as
// *AnswerError; and what did not arrive, as the error of the transport. None of
// them holds a number of a person, a text or a token, unless the API itself
// says so in the Problem: they may be logged.
//
// A method waits as long as its context lets it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"deflectd/campaigns/admin"
)

const (
	jsonType    = "application/json"
	patchType   = "application/merge-patch+json" // RFC 7396
	csvType     = "text/csv"                     // RFC 4180
	problemType = "application/problem+json"     // RFC 9457

	// maxAnswer bounds what is read of an answer as JSON: a page of 500 campaigns
	// as large as they may be has less.
	maxAnswer = 128 << 20
)

// Any is the version for writes that mean whatever is there now.
const Any = 0

// ErrUnknownField says that an answer has a field that this version does not know
// (see Client.Strict).
var ErrUnknownField = errors.New("the answer has a field that is not known")

// Client asks one deflectd. It may be used by many at once.
type Client struct {
	base   string
	token  string
	http   *http.Client
	strict bool
}

// New makes a Client of the API at base ("http://127.0.0.1:8080"), which asks
// with a token; "" where the transport knows who asks. A nil transport is
// http.DefaultTransport.
func New(base, token string, transport http.RoundTripper) *Client {
	return &Client{
		base: strings.TrimSuffix(base, "/"), token: token,
		http: &http.Client{
			Transport: transport,
			// The API redirects nobody; what does so is something else, and
			// does not get the token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Strict is a Client that refuses answers with fields it does not know
// (ErrUnknownField): for programs that write back what they read, and would lose
// what a newer deflectd says beside it.
func (c *Client) Strict() *Client {
	strict := *c
	strict.strict = true
	return &strict
}

// AnswerError says that what answered did not answer as the API does: it may be
// another program, or something that stands before deflectd.
type AnswerError struct {
	Doing  string // what was asked for, in words
	Status int    // the HTTP status of the answer
}

// Error implements error.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("%s: the answer (%d %s) is not one of deflectd's API", e.Doing, e.Status, http.StatusText(e.Status))
}

// Is says whether an error is a Problem with this HTTP status.
func Is(err error, status int) bool {
	var p *admin.Problem
	return errors.As(err, &p) && p.Status == status
}

// call is one request to the API.
type call struct {
	doing  string // in words, for errors; it names no number
	method string
	path   string
	query  url.Values
	header http.Header
	body   any       // as JSON; nil: none
	stream io.Reader // instead of body, as CSV
}

// path makes an address of parts, which are escaped.
func path(parts ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}

// ask sends a request and reads its answer as JSON, nil: there is none.
func (c *Client) ask(ctx context.Context, q call, answer any) error {
	response, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer == nil || response.StatusCode == http.StatusNoContent {
		return nil
	}
	if media(response) != jsonType {
		return &AnswerError{Doing: q.doing, Status: response.StatusCode}
	}
	decoder := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	if c.strict {
		decoder.DisallowUnknownFields()
	}
	err = decoder.Decode(answer)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case c.strict && strings.HasPrefix(err.Error(), "json: unknown field "):
		// encoding/json has no type for it.
		err = fmt.Errorf("%w: %s", ErrUnknownField, strings.TrimPrefix(err.Error(), "json: unknown field "))
	}
	return fmt.Errorf("%s: read the answer: %w", q.doing, err)
}

// send sends a request. The body of the answer is the caller's to close; an
// answer that says that it did not work is an error.
func (c *Client) send(ctx context.Context, q call) (*http.Response, error) {
	request, err := c.request(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.doing, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.doing, withoutAddress(err))
	}
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	return nil, wrong(q, response)
}

func (c *Client) request(ctx context.Context, q call) (*http.Request, error) {
	body, kind := q.stream, csvType
	if q.body != nil {
		encoded, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body, kind = bytes.NewReader(encoded), jsonType
		if q.method == http.MethodPatch {
			kind = patchType
		}
	}
	address := c.base + q.path
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, q.method, address, body)
	if err != nil {
		return nil, withoutAddress(err)
	}
	if q.stream != nil {
		request.ContentLength = -1 // not known, also to a transport within this process
	}
	for name, values := range q.header {
		request.Header[name] = values
	}
	request.Header.Set("Accept", jsonType+", "+problemType+", "+csvType)
	if body != nil {
		request.Header.Set("Content-Type", kind)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	return request, nil
}

// withoutAddress takes the address out of an error: it may hold a number.
func withoutAddress(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// wrong makes an error of an answer.
func wrong(q call, response *http.Response) error {
	if media(response) == problemType {
		p := new(admin.Problem)
		err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(p)
		if err == nil && p.Status == response.StatusCode {
			p.Headers = response.Header
			return p
		}
	}
	return &AnswerError{Doing: q.doing, Status: response.StatusCode}
}

func media(response *http.Response) string {
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// query makes a query of names and values; what is empty is left out.
func query(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return values
}

// number writes a number for a query; zero is empty.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// yes writes a switch for a query; off is empty.
func yes(on bool) string {
	if on {
		return "true"
	}
	return ""
}

// match is If-Match for a version.
func match(version int64) http.Header {
	tag := "*"
	if version != Any {
		tag = `"` + strconv.FormatInt(version, 10) + `"`
	}
	return http.Header{"If-Match": {tag}}
}

// once is the header that makes repeating a request harmless.
func once(key string) http.Header {
	if key == "" {
		return nil
	}
	return http.Header{"Idempotency-Key": {key}}
}
