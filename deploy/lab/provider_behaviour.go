package lab

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Behaviour is how the provider answers a request for a text. The zero value
// takes the text at once.
type Behaviour struct {
	Delay       time.Duration // before the answer
	Silent      bool          // accepts the request and never answers
	HangUp      bool          // accepts the request and closes the connection
	Takes       bool          // the text is taken, whatever is answered and whoever hears it
	Status      int           // an HTTP error status; 0 takes the text
	Code        int           // MessageBird's code in the error
	Description string
	Parameter   string
	RetryAfter  string // the header
	Body        string // an HTML page instead of the error
}

// Slow takes the text after a while.
func Slow(d time.Duration) Behaviour { return Behaviour{Delay: d} }

// Rejects refuses the text with an error code of MessageBird, such as 9 (no
// (correct) recipients found), 10 (originator is invalid) or 25 (not enough
// balance).
func Rejects(code int, description, parameter string) Behaviour {
	return Behaviour{
		Status: http.StatusUnprocessableEntity, Code: code, Description: description, Parameter: parameter,
	}
}

// TooMany answers 429 with a Retry-After of so many seconds.
func TooMany(retryAfter int) Behaviour {
	return Behaviour{
		Status: http.StatusTooManyRequests, Code: 98, Description: "Too many requests",
		RetryAfter: strconv.Itoa(retryAfter),
	}
}

// Breaks answers with a status of the 500s and an HTML page, as proxies do.
func Breaks(status int) Behaviour {
	return Behaviour{Status: status, Body: "<html><body><h1>" + http.StatusText(status) + "</h1></body></html>"}
}

// Silent accepts the request and never answers.
func Silent() Behaviour { return Behaviour{Silent: true} }

// HangsUp accepts the request and closes the connection without an answer.
func HangsUp() Behaviour { return Behaviour{HangUp: true} }

// Taking is the behaviour b of a provider that has taken the text all the same:
// only a delivery report tells.
func Taking(b Behaviour) Behaviour {
	b.Takes = true
	return b
}

// DeliveryReport is what MessageBird reports of a text to its reportUrl.
type DeliveryReport struct {
	Status       string    // scheduled, sent, buffered, delivered, expired, delivery_failed
	StatusReason string    // such as "successfully delivered", "unknown subscriber"
	ErrorCode    int       // statusErrorCode; none if 0
	At           time.Time // statusDatetime; now if zero
}

// Report sends a delivery report of a text that was taken, and returns the
// status it was answered with.
func (p *Provider) Report(ctx context.Context, text TextRequest, report DeliveryReport) (int, error) {
	target, err := url.Parse(text.ReportURL)
	if err != nil || text.ReportURL == "" {
		return 0, fmt.Errorf("report delivery: the text has no usable reportUrl (%q)", text.ReportURL)
	}
	if report.At.IsZero() {
		report.At = time.Now()
	}
	query := target.Query()
	for name, value := range map[string]string{
		"id": text.ID, "reference": text.Reference, "status": report.Status, "statusReason": report.StatusReason,
		"statusDatetime": report.At.UTC().Format(time.RFC3339), "mccmnc": "310260", "messagePartCount": "1",
		"price[amount]": "0.05", "price[currency]": "EUR",
	} {
		query.Set(name, value)
	}
	if len(text.Recipients) > 0 {
		query.Set("recipient", text.Recipients[0])
	}
	if report.ErrorCode != 0 {
		query.Set("statusErrorCode", strconv.Itoa(report.ErrorCode))
	}
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return 0, fmt.Errorf("report delivery: %w", err)
	}
	res, err := single.Do(req)
	if err != nil {
		return 0, fmt.Errorf("report delivery: %w", err)
	}
	return res.StatusCode, res.Body.Close()
}
