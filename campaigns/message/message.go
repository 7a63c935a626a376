// Package message sends texts: it makes each durable with its link before
// anything is promised, hands it to the provider once, and keeps what became
// of it.
package message

import (
	"errors"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

// State is where a message stands.
//
//	queued → sending → accepted → delivered | failed | expired
//	sending → queued            the provider did not process it: to be tried again
//	sending → failed            refused for good
//	sending → unknown           the answer is unknown, or the worker died
//	queued  → cancelled | expired
//	accepted, unknown, sending, queued → delivered | failed | expired   a report says so
//	unknown, sending, queued           → accepted                       likewise
//	unknown → accepted | failed   a worker that was taken for dead knows better
//	unknown → queued            once, where the campaign's on_unknown is resend_once and no report has come
//
// One that was sent a second time because nobody knew of the first goes back to
// unknown instead of failed, expired or cancelled: it may have gone out.
//
// A delivery report on a message that is queued proves that it was taken at an
// earlier try: it is not sent again. That one of two texts did not arrive is no end
// where it may be the other that a report speaks of. Where Redis lost its last
// writes, the outcome of an attempt may find the message queued as before it: queued →
// accepted | failed | unknown.
//
// One that another gateway sends is accepted from the first.
type State string

// The states of a message.
const (
	Queued    State = "queued"
	Sending   State = "sending"
	Accepted  State = "accepted"
	Delivered State = "delivered"
	Failed    State = "failed"
	Expired   State = "expired"
	Unknown   State = "unknown"
	Cancelled State = "cancelled"
)

// States are all states, in the order a message may pass them.
func States() []State {
	return []State{Queued, Sending, Accepted, Delivered, Failed, Expired, Unknown, Cancelled}
}

// Final says whether the state is never left again.
func (s State) Final() bool {
	return s == Delivered || s == Failed || s == Expired || s == Cancelled
}

// settled says whether nothing more will be done here: what follows, if
// anything, comes from the provider's reports.
func (s State) settled() bool {
	return s.Final() || s == Accepted || s == Unknown
}

// ProviderExternal stands for a provider where another gateway sends the text.
const ProviderExternal = "external"

// Message is one text to one number, and what became of it.
type Message struct {
	ID         string `json:"id" doc:"The id of the message."`
	Campaign   string `json:"campaign,omitempty" doc:"The id of its campaign; absent for an answer to what somebody has texted."`
	Call       string `json:"call_id,omitempty" doc:"The call it belongs to."`
	To         string `json:"to,omitempty" doc:"The number it goes to, in E.164; absent once the person was forgotten, as are originator, text and url."`
	Originator string `json:"originator,omitempty" doc:"The sender that is shown."`
	Text       string `json:"text,omitempty" doc:"The text as it is sent."`
	Link       string `json:"link,omitempty" doc:"The code of its short link."`
	URL        string `json:"url,omitempty" doc:"Its short link."`
	Encoding   string `json:"encoding" doc:"How the characters are sent."`
	Segments   int    `json:"segments" doc:"In how many parts it is sent and paid."`
	State      State  `json:"state" enum:"queued,sending,accepted,delivered,failed,expired,unknown,cancelled" doc:"Where it stands."`
	Reason     string `json:"reason,omitempty" doc:"Why it is in its state, where that needs saying."`
	Provider   string `json:"provider,omitempty" doc:"Who it was given to; external where another gateway sends it."`
	ProviderID string `json:"provider_id,omitempty" doc:"The provider's id of it."`
	Attempts   int    `json:"attempts" doc:"How often it was given to the provider."`
	Test       bool   `json:"test,omitempty" doc:"Whether it is kept out of all figures."`

	Created time.Time `json:"created_at" doc:"When it was asked for."`
	Updated time.Time `json:"updated_at" doc:"When its state changed last."`
	Expires time.Time `json:"expires_at" doc:"It is not sent after that."`

	History []Change `json:"history,omitempty" doc:"Its states so far, in order."`
}

// Change is one step of a message's history.
type Change struct {
	At    time.Time `json:"at" doc:"When."`
	State State     `json:"state" enum:"queued,sending,accepted,delivered,failed,expired,unknown,cancelled" doc:"The state it entered."`
	Cause string    `json:"cause,omitempty" doc:"Why."`
}

// Request asks for one text.
type Request struct {
	Campaign *campaigns.Campaign
	To       phone.Number
	Call     string // the call it belongs to; "" for none
	// Key makes repeating the request harmless for 24 hours: with the same
	// content it answers the first message, with other content ErrConflict.
	Key        string
	Originator string // "" for the campaign's, or the service's
	// Params stand for the campaign's interaction.params of the same name, in the
	// link and in the text.
	Params map[string]string
	// Test keeps it out of all figures and limits; opt-outs hold.
	Test bool
	// External says that another gateway sends it: it is made with its link, guarded
	// and counted as any other, is Accepted at once, and is never sent from here. A
	// test cannot be external. What it comes from is not chosen: only what
	// Originator or the campaign names is kept.
	External bool
	// List says that nobody waits for it, it is one of many: there is no first
	// attempt at once, and live texts go first.
	List bool
}

// Reply is a text that answers one a person has sent: the confirmation of an
// opt-out, help. It belongs to no campaign and has no link.
type Reply struct {
	To         phone.Number
	Originator string // whom the person has texted
	Text       string
	Key        string // makes repeating it harmless for 24 hours; needed
	// Limited says that the limits of prefixes and of segments hold for it: where
	// one is reached it is refused. Any reply counts against them.
	Limited bool
}

// Report is what the provider says became of a message it took.
type Report struct {
	Message    string // our id
	ProviderID string
	State      State  // Accepted, Delivered, Failed or Expired
	Reason     string // one of a closed set of words; ReasonOptedOut puts the number on the list of opt-outs
	// Permanent says that texts to the number will go on failing, such as to one
	// that does not exist: it is left alone for a while (guard.Policy.Suppress).
	Permanent bool
}

// Query selects messages; empty fields select all.
type Query struct {
	To       string // E.164
	Campaign string
	State    State
	From     time.Time // made at this time or later; to the millisecond, as all times here
	Until    time.Time // made before this time
	Limit    int       // at most 500; 50 when zero
	Cursor   string    // where the previous page ended
}

// What callers of this package decide on; all of them come wrapped.
var (
	// ErrServiceOff says that the service switch is off: nothing is sent.
	ErrServiceOff = errors.New("the service is switched off")
	// ErrNoSender says that there is no number or name a text could come from.
	ErrNoSender = errors.New("there is no sender")
	// ErrStore says that Redis is away or too slow.
	ErrStore = errors.New("the store of messages is not available")
	// ErrClosed says that the outbox is stopping and takes nothing more.
	ErrClosed = errors.New("the outbox is closed")
	// ErrConflict says that the idempotency key belongs to another request.
	ErrConflict = errors.New("the idempotency key was used for another request")
	// ErrNotFound says that there is no such message, or no longer.
	ErrNotFound = errors.New("no such message")
	// ErrCursor says that a cursor was not made by Search.
	ErrCursor = errors.New("not a cursor of this search")
)
