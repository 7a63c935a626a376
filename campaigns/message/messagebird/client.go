package messagebird

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	messagebird "github.com/messagebird/go-rest-api/v9"
)

const (
	// maxAnswer is how much of an answer is read.
	maxAnswer = 64 << 10
	// maxRetryAfter is the longest a server is believed that asks for patience.
	maxRetryAfter = time.Hour
)

// Options are what a Client needs.
type Options struct {
	AccessKey string
	URL       string // base URL; the public service's when empty
	// NumbersURL is the base URL of the Numbers API; the public service's when
	// empty.
	NumbersURL string
	// Connections is how many idle connections are kept; 256 when zero.
	Connections int
}

// Client speaks HTTP with MessageBird for the library, whose own client knows
// no context, reads without limit and throws the status away.
type Client struct {
	key     string
	base    string
	numbers string
	http    *http.Client
}

// NewClient makes a Client. Close gives its connections back.
func NewClient(o Options) (*Client, error) {
	if o.URL == "" {
		o.URL = messagebird.Endpoint
	}
	if o.NumbersURL == "" {
		o.NumbersURL = numbersRoot
	}
	for _, base := range []string{o.URL, o.NumbersURL} {
		u, err := url.Parse(base)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return nil, errors.New("make MessageBird client: the URL must be an absolute one of http or https")
		}
	}
	if o.AccessKey == "" {
		return nil, errors.New("make MessageBird client: an access key is needed")
	}
	if o.Connections <= 0 {
		o.Connections = 256
	}
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}
	return &Client{
		key:     o.AccessKey,
		base:    strings.TrimRight(o.URL, "/"),
		numbers: strings.TrimRight(o.NumbersURL, "/"),
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				DialContext:            dialer.DialContext,
				TLSHandshakeTimeout:    3 * time.Second,
				MaxIdleConns:           o.Connections,
				MaxIdleConnsPerHost:    o.Connections,
				IdleConnTimeout:        90 * time.Second,
				MaxResponseHeaderBytes: maxAnswer,
				ForceAttemptHTTP2:      true,
			},
			// A redirect is no answer to a text that costs money.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// With is the client as the library wants it, bound to ctx: its requests end
// when ctx does.
func (c *Client) With(ctx context.Context) messagebird.Client {
	return bound{c, ctx}
}

// bound is a Client for the requests of one context.
type bound struct {
	*Client
	ctx context.Context //nolint:containedctx // the library's interface has no place for it
}

var _ messagebird.Client = bound{}

// RequestError says that there was no answer.
type RequestError struct {
	Written bool // the whole request may have reached the server
	Err     error
}

// Error implements error.
func (e *RequestError) Error() string {
	if e.Written {
		return fmt.Sprintf("no answer: %v", e.Err)
	}
	return fmt.Sprintf("the request was not sent: %v", e.Err)
}

// Unwrap returns the cause.
func (e *RequestError) Unwrap() error { return e.Err }

// StatusError is an answer other than "done".
type StatusError struct {
	Status     int
	RetryAfter time.Duration // zero where the server does not say
	Errors     []messagebird.Error
}

// Error implements error. It names the codes and parameters of the answer but
// repeats none of its text, which may contain the recipient's number.
func (e *StatusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "status %d", e.Status)
	for _, inner := range e.Errors {
		fmt.Fprintf(&b, ", error %d", inner.Code)
		if isWord(inner.Parameter) {
			fmt.Fprintf(&b, " (%s)", inner.Parameter)
		}
	}
	return b.String()
}

// AnswerError says that the server reports success in a way that cannot be read.
type AnswerError struct {
	Status int
	Err    error
}

// Error implements error.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("status %d with an unreadable answer: %v", e.Status, e.Err)
}

// Unwrap returns the cause.
func (e *AnswerError) Unwrap() error { return e.Err }

// Request implements messagebird.Client: a path without a host is one below
// the base URL. Its errors are *RequestError, *StatusError and *AnswerError.
func (b bound) Request(v any, method, path string, data any) error {
	request, err := b.request(method, path, data)
	if err != nil {
		return &RequestError{Err: err}
	}
	var written writes
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), written.trace()))
	response, err := b.http.Do(request)
	if err != nil {
		return &RequestError{Written: written.maybe(), Err: withoutURL(err)}
	}
	defer func() { _ = response.Body.Close() }()
	return read(response, v)
}

// request makes the HTTP request.
func (b bound) request(method, path string, data any) (*http.Request, error) {
	if below, ok := strings.CutPrefix(path, numbersRoot+"/"); ok {
		path = b.numbers + "/" + below
	} else if !strings.HasPrefix(path, "https://") && !strings.HasPrefix(path, "http://") {
		path = b.base + "/" + path
	}
	var body io.Reader
	contentType := ""
	switch data := data.(type) {
	case nil:
	case string:
		body, contentType = strings.NewReader(data), "application/x-www-form-urlencoded"
	default:
		encoded, err := json.Marshal(data)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body, contentType = bytes.NewReader(encoded), "application/json"
	}
	request, err := http.NewRequestWithContext(b.ctx, method, path, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Authorization", "AccessKey "+b.key)
	request.Header.Set("User-Agent", "deflectd")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	return request, nil
}

// withoutURL drops method and URL, which say nothing new.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// writes watches how far a request came. The HTTP client may try a second
// connection where nothing was written on the first: the last one counts.
type writes struct {
	connected, failed atomic.Bool
}

func (w *writes) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			w.connected.Store(false)
			w.failed.Store(false)
		},
		GotConn:      func(httptrace.GotConnInfo) { w.connected.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) { w.failed.Store(info.Err != nil) },
	}
}

// maybe is false only where the server cannot have the whole request: no
// connection, or writing to it failed.
func (w *writes) maybe() bool {
	return w.connected.Load() && !w.failed.Load()
}

// read reads an answer into v.
func read(response *http.Response, v any) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("longer than %d bytes", maxAnswer)
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted:
		if err == nil {
			err = decode(body, v)
		}
		if err != nil {
			return &AnswerError{Status: response.StatusCode, Err: withoutURL(err)}
		}
		return nil
	case http.StatusNoContent:
		return nil
	}
	failure := &StatusError{Status: response.StatusCode, RetryAfter: retryAfter(response.Header.Get("Retry-After"), time.Now())}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); err == nil && kind != "text/html" {
		var answer messagebird.ErrorResponse
		if json.Unmarshal(body, &answer) == nil {
			failure.Errors = answer.Errors
		}
	}
	return failure
}

// decode reads JSON. A field of another type than the library expects is no
// reason to lose the others. What the answer says is in no error: it contains
// the recipient's number.
func decode(body []byte, v any) error {
	if v == nil {
		return nil
	}
	err := json.Unmarshal(body, v)
	var mismatch *json.UnmarshalTypeError
	if err == nil || errors.As(err, &mismatch) {
		return nil
	}
	return errors.New("not the JSON expected")
}

// retryAfter reads the header Retry-After (RFC 9110, section 10.2.3).
func retryAfter(s string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// isWord tells a parameter's name from anything that might be a value.
func isWord(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}
