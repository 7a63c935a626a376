package message

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Provider hands texts to the network.
type Provider interface {
	// Name is the provider's name in records and metrics.
	Name() string
	// Send submits one text once and returns the provider's id for it. It ends
	// when ctx does. Its errors are *SendError; any other error is taken as
	// Ambiguous, for the text may have gone out.
	Send(ctx context.Context, t Text) (providerID string, err error)
}

// Text is what a provider is given.
type Text struct {
	Reference  string // our id of the message, which the provider's reports carry
	To         string // E.164
	Originator string
	Body       string
	Unicode    bool          // UCS-2; else the GSM 7-bit alphabet (3GPP TS 23.038)
	Validity   time.Duration // how long it is worth delivering
}

// Verdict says what an error means for the text.
type Verdict int

// The verdicts. The zero value is the careful one.
const (
	Ambiguous    Verdict = iota // it may have gone out: never sent again by itself
	NotProcessed                // it certainly did not go out: to be tried again
	Refused                     // it did not and will not go out
)

// String is the verdict's name in logs and metrics.
func (v Verdict) String() string {
	switch v {
	case NotProcessed:
		return "not_processed"
	case Refused:
		return "refused"
	default:
		return "ambiguous"
	}
}

// SendError is why a provider did not, or may not have, taken a text.
type SendError struct {
	Verdict    Verdict
	Reason     string        // one of a closed set of words: it is a metric label
	RetryAfter time.Duration // when the provider asks to be left alone for so long
	// Permanent says that texts to the number will go on being refused: it is
	// left alone for a while (guard.Policy.Suppress).
	Permanent bool
	// Healthy says that the provider works and has something against this one
	// text or its rate: no cause to stop sending others.
	Healthy bool
	Err     error
}

// Error implements error.
func (e *SendError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s (%s)", e.Reason, e.Verdict)
	}
	return fmt.Sprintf("%s (%s): %v", e.Reason, e.Verdict, e.Err)
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }

// sendError gives every error of a provider a verdict.
func sendError(err error) *SendError {
	var known *SendError
	if errors.As(err, &known) {
		return known
	}
	return &SendError{Verdict: Ambiguous, Reason: "unclassified", Err: err}
}
