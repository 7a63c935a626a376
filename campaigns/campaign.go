// Package campaigns holds what is said to whom: the campaigns that admins
// edit, where they are kept, and the directory a call is looked up in.
package campaigns

import "time"

// Campaign is a text message with a link, the numbers (DNIS) it answers, and
// how the call is handled. Its JSON form is the one of the HTTP API.
type Campaign struct {
	ID      string `json:"id" doc:"A short name, also in metrics and addresses; it never changes."`
	Name    string `json:"name,omitempty" doc:"For people."`
	Enabled *bool  `json:"enabled,omitempty" doc:"Whether its calls are answered; true where it is left out."`
	Kind    string `json:"kind,omitempty" doc:"What the text is: service answers what the caller asked for, which it is where it is left out; marketing advertises, and goes out at the hours for that alone (limits.marketing_hours)."`
	// DNIS are the dialled numbers it answers: E.164, a short number of up to
	// seven digits as dialled, a prefix ending in "*", or "*" alone.
	DNIS        []string    `json:"dnis" doc:"The dialled numbers it answers: E.164 or national, a short number as dialled, a prefix ending in *, or * for all others."`
	Interaction Interaction `json:"interaction" doc:"The visual flow the link opens."`
	Text        string      `json:"text" doc:"What the caller reads; {link} is where the short link goes, {name} the value of the interaction's param of that name."`
	Originator  string      `json:"originator,omitempty" doc:"The sender: up to 11 letters and digits, or a number; the configured one where it is left out."`
	Validity    Duration    `json:"validity,omitempty" doc:"How long the text is worth delivering; 15m where it is left out."`
	OnUnknown   string      `json:"on_unknown,omitempty" doc:"What to do with a text whose fate is unknown: drop does not send it again; resend_once sends it once more where no delivery report came in time, so that somebody may get it twice."`
	// LineTypes are the kinds of line a text goes to: phone.Line, as words.
	LineTypes []string   `json:"line_types,omitempty" doc:"To what kinds of line it is sent: mobile, fixed, voip, other (toll-free, premium rate, pagers and the like), unknown (fixed or mobile: North America does not say which); mobile and unknown where it is left out."`
	Link      LinkPolicy `json:"link,omitzero" doc:"The short link."`
	Offer     Offer      `json:"offer,omitzero" doc:"What the caller hears before the text."`
	Prompts   Prompts    `json:"prompts,omitzero" doc:"What the caller hears after the offer; an empty one is not played."`
	Release   Release    `json:"release,omitzero" doc:"How the call ends after the text."`
	Hours     *Hours     `json:"hours,omitempty" doc:"Not available yet."`
	Limits    *Limits    `json:"limits,omitempty" doc:"How often it is sent; what is left out is as the configuration says for all campaigns."`
	Shadow    bool       `json:"shadow,omitempty" doc:"Not available yet."`
	Holdout   int        `json:"holdout_percent,omitempty" doc:"Not available yet."`

	// Kept by the store, not by people.
	Version   int64      `json:"version,omitempty" readOnly:"true" doc:"Counts the changes; in double quotes it is the ETag."`
	CreatedAt time.Time  `json:"created_at,omitzero" readOnly:"true" doc:"When it was created."`
	UpdatedAt time.Time  `json:"updated_at,omitzero" readOnly:"true" doc:"When it was changed last."`
	DeletedAt *time.Time `json:"deleted_at,omitempty" readOnly:"true" doc:"When it was removed; absent while it lives."`

	// Warnings are what can be saved and may not be meant. They are made for
	// each answer of the API, never stored, and ignored where they are sent.
	Warnings []Problem `json:"warnings,omitempty" readOnly:"true" doc:"What works but may not be meant, such as a character that makes the text longer."`
	// Texts are counted for each answer of the API, like Warnings.
	Texts *Texts `json:"texts,omitempty" readOnly:"true" doc:"What became of its texts lately, in lists and where it is read by itself; absent where that cannot be said at the moment."`
}

// Texts are the texts of a campaign in the last days, and what became of them.
// Tests are not among them.
type Texts struct {
	Days      int   `json:"days" doc:"How many days they are of: UTC, today among them."`
	Sent      int64 `json:"sent" doc:"How many the provider took."`
	Delivered int64 `json:"delivered" doc:"How many of them arrived."`
	Failed    int64 `json:"failed" doc:"How many could not be sent or delivered."`
	Unknown   int64 `json:"unknown" doc:"Of how many it is not known whether they were sent."`
}

// Interaction is the visual flow the link opens.
type Interaction struct {
	ID            string            `json:"id,omitempty" doc:"What {interaction_id} in the URL stands for."`
	URL           string            `json:"url" doc:"Where the link leads, before params and the caller id are added."`
	Params        map[string]string `json:"params,omitempty" doc:"Added to the query of the URL."`
	CallerID      string            `json:"caller_id,omitempty" doc:"How the caller's number goes into the URL: plain or none."`
	CallerIDParam string            `json:"caller_id_param,omitempty" doc:"The name it has in the query; callerId where it is left out."`
}

// LinkPolicy says how long a short link leads anywhere.
type LinkPolicy struct {
	ExpiresAfter Duration `json:"expires_after,omitempty" doc:"How long it leads anywhere; 72h where it is left out."`
}

// Offer is what the caller hears before the text.
type Offer struct {
	Mode        string   `json:"mode,omitempty" doc:"ask: the caller presses a key for the text; send: the text is sent without asking."`
	Prompt      string   `json:"prompt,omitempty" doc:"What is played: sound: and a file of Asterisk, several separated by commas."`
	Accept      string   `json:"accept,omitempty" doc:"The key that asks for the text."`
	Decline     string   `json:"decline,omitempty" doc:"The key that declines it."`
	OptOut      string   `json:"opt_out,omitempty" doc:"The key that asks never to be texted again; there is none where it is left out."`
	Timeout     Duration `json:"timeout,omitempty" doc:"How long a key is waited for after the prompt; 6s where it is left out."`
	Attempts    int      `json:"attempts,omitempty" doc:"How often the offer is played at most; 2 where it is left out."`
	OtherNumber bool     `json:"other_number,omitempty" doc:"Not available yet."`
}

// Prompts are played after the offer; an empty one is not played.
type Prompts struct {
	Sent     string `json:"sent,omitempty" doc:"Played when the text is on its way."`
	Failed   string `json:"failed,omitempty" doc:"Played when it could not be sent."`
	OptedOut string `json:"opted_out,omitempty" doc:"Played when the caller is on the list of those never to be texted, by the key offer.opt_out."`
}

// Release says how the call ends after the text.
type Release struct {
	Action    string   `json:"action,omitempty" doc:"hangup, or transfer: go on in the dialplan."`
	WaitFor   string   `json:"wait_for,omitempty" doc:"How far the text must have come before that: accepted by the provider, or only queued (not with transfer)."`
	Wait      Duration `json:"wait,omitempty" doc:"How long that is waited for; 5s where it is left out."`
	OnTimeout string   `json:"on_timeout,omitempty" doc:"What happens to the call when it did not come so far."`
	Transfer  Transfer `json:"transfer,omitzero" doc:"Where the call goes on; empty: at the next priority."`
}

// Transfer is a place in the dialplan; empty means the next priority.
type Transfer struct {
	Context   string `json:"context,omitempty" doc:"A context of the dialplan."`
	Extension string `json:"extension,omitempty" doc:"An extension in it."`
	Priority  int    `json:"priority,omitempty" doc:"A priority; 1 where it is left out."`
}

// Hours are the opening hours of a campaign. Not built yet: refused.
type Hours struct {
	Timezone string              `json:"timezone,omitempty"`
	Weekly   map[string][]string `json:"weekly,omitempty"`
	Closed   []string            `json:"closed,omitempty"`
}

// Limits are how often a campaign's text may go out. What is nil is as the
// service's configuration says; zero means no limit.
type Limits struct {
	Cooldown        *Pause `json:"cooldown,omitempty" pattern:"^([0-9]+d|([0-9]+(\\.[0-9]+)?(h|m|s|ms))+)$" patternDescription:"a duration like \"90s\", \"15m\", \"72h\" or \"90d\"" doc:"The time between two texts of this campaign to the same caller; 0s for none."`
	PerCallerPerDay *int   `json:"per_caller_per_day,omitempty" doc:"How many texts of this campaign a caller gets within 24 hours, beside the configured limit over all campaigns; 0 for no limit of its own."`
	PerDay          *int   `json:"per_day,omitempty" doc:"How many texts of this campaign go out within 24 hours; 0 for no limit."`
}
