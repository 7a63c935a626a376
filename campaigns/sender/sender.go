// Package sender knows what numbers and names texts come from.
//
// There are three kinds of senders. The configured one (sms.originator) is the
// service's: texts of a campaign that names no other come from it. A campaign
// or a single request may name its own (originator): whatever the operator has
// arranged with the provider, whether deflectd knows of it or not. And numbers
// are obtained over the API: deflectd searches what the provider has to let,
// rents one and sends from it. Nothing is sent for want of a sender, and what
// has no sender counts as switched off.
//
// Which one a text comes from: the one that was asked for, else the
// campaign's, else the configured one, else an obtained number of the
// recipient's country, else any obtained one. A name goes nowhere in some
// countries (Names): there it gives way to an obtained number, and stays where
// there is none, for an operator may have an arrangement; a warning is logged
// once. Where several obtained numbers would do, one person always gets texts
// from the same one.
//
// An obtained number costs money by the month, so nothing may be lost on the
// way: what is about to be done is written to Redis before the provider is
// asked, and what the provider said is written after. Where deflectd dies in
// between, or no answer comes, it asks the provider what numbers the account
// owns: one that it obtained becomes a sender, one that it does not own is
// given up after five minutes, and one that was to be released and is
// still owned stays a sender. So a number that the account owns already (rented
// on the provider's own page, say) is taken over and not rented a second time; one
// that is neither owned nor to be found at the provider is not bought blind.
//
// To release a number is to lose it for good: somebody else may rent it the
// next day. Campaigns that name it stop, and never fall back on another sender
// by themselves; with the last one, those that name none stop too. Release says
// which and wants that confirmed. Nothing comes from a number that was
// released until it is obtained again, whatever a campaign or the
// configuration says: a daemon that was just started has no sender before it has
// read what was released (Ready), and scripts that send look once more (Lua).
package sender

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The kinds of senders.
const (
	KindNumber = "number" // a telephone number or short code
	KindName   = "name"   // up to 11 letters and digits, which nobody can answer
)

// Where a sender comes from.
const (
	SourceConfiguration = "configuration" // sms.originator
	SourceObtained      = "obtained"      // over the API
)

// FeatureSMS is the feature that a number needs to be a sender.
const FeatureSMS = "sms"

// Sender is what texts come from. Its JSON form is the one of the HTTP API.
type Sender struct {
	ID       string    `json:"id" doc:"The number in E.164, or the name."`
	Kind     string    `json:"kind" enum:"number,name" doc:"A number, or a name that cannot be answered."`
	Country  string    `json:"country,omitempty" doc:"The country of a number (ISO 3166-1 alpha-2)."`
	Features []string  `json:"features,omitempty" doc:"What an obtained number can do: sms, voice, mms."`
	Source   string    `json:"source" enum:"configuration,obtained" doc:"Where it comes from; one that is configured and obtained is obtained."`
	Since    time.Time `json:"since,omitzero" doc:"When it was obtained."`
	By       string    `json:"by,omitempty" doc:"The API token it was obtained with."`
}

// What callers of this package decide on; all of them come wrapped.
var (
	// ErrNotFound says that no sender has that number or name.
	ErrNotFound = errors.New("no such sender")
	// ErrStore says that Redis is away or too slow.
	ErrStore = errors.New("the store of senders is not available")
	// ErrTaken says that the number was obtained already, by another request.
	ErrTaken = errors.New("the number is a sender already")
	// ErrBusy says that the number is being obtained or released at this moment,
	// or was, with an answer that is not known yet.
	ErrBusy = errors.New("the number is being obtained or released")
	// ErrConflict says that the idempotency key belongs to another request.
	ErrConflict = errors.New("the idempotency key was used for another request")
	// ErrConfigured says that the sender is in the configuration and can be
	// removed only there.
	ErrConfigured = errors.New("the sender is in the configuration")
	// ErrQuery says that what was asked for cannot be understood; the error
	// around it says why, and names no number.
	ErrQuery = errors.New("not a valid request")
	// ErrUnavailable says that the provider does not have that number to let, or
	// no longer.
	ErrUnavailable = errors.New("the number is not available")
	// ErrNotAllowed says that the provider does not let this account do that: its
	// key, its balance, or papers that it wants to see.
	ErrNotAllowed = errors.New("the provider does not allow it")
	// ErrProvider says that the provider is away, or does not do as it should.
	ErrProvider = errors.New("the provider is not available")
	// ErrUncertain says that the provider may have done what it was asked for,
	// though it did not say so. It always comes together with ErrProvider.
	// Whether it did is looked up until it is known.
	ErrUncertain = errors.New("whether it was done is being looked up")
)

// ConfirmError says what stops when a sender is released, and that this wants
// to be confirmed.
type ConfirmError struct {
	// Campaigns are the ids of the enabled campaigns that cannot send without
	// it, in order.
	Campaigns []string
	// Last says that it is the last sender: without it only campaigns that name
	// one of their own can send.
	Last bool
}

// Error implements error.
func (e *ConfirmError) Error() string {
	parts := make([]string, 0, 2)
	if e.Last {
		parts = append(parts, "it is the last sender")
	}
	if len(e.Campaigns) > 0 {
		parts = append(parts, "these campaigns stop without it: "+strings.Join(e.Campaigns, ", "))
	}
	return fmt.Sprintf("to release the sender wants to be confirmed: %s", strings.Join(parts, "; "))
}
