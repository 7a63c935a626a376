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
	Kind    string `json:"kind,omitempty" doc:"What the text is: service answers what the caller asked for."`
	// DNIS are the dialled numbers it answers: E.164, a short number of up to
	// seven digits as dialled, a prefix ending in "*", or "*" alone.
	DNIS        []string    `json:"dnis" doc:"The dialled numbers it answers: E.164 or national, a short number as dialled, a prefix ending in *, or * for all others."`
	Interaction Interaction `json:"interaction" doc:"The visual flow the link opens."`
	Text        string      `json:"text" doc:"What the caller reads; {link} is where the short link goes."`
	Originator  string      `json:"originator,omitempty" doc:"The sender: up to 11 letters and digits, or a number; the configured one where it is left out."`
	Validity    Duration    `json:"validity,omitempty" doc:"How long the text is worth delivering; 15m where it is left out."`
	OnUnknown   string      `json:"on_unknown,omitempty" doc:"What to do with a text whose fate is unknown: drop does not send it again."`
	LineTypes   []string    `json:"line_types,omitempty" doc:"Not available yet."`
	Link        LinkPolicy  `json:"link,omitzero" doc:"The short link."`
	Offer       Offer       `json:"offer,omitzero" doc:"What the caller hears before the text."`
	Prompts     Prompts     `json:"prompts,omitzero" doc:"What the caller hears after the offer; an empty one is not played."`
	Release     Release     `json:"release,omitzero" doc:"How the call ends after the text."`
	Hours       *Hours      `json:"hours,omitempty" doc:"Not available yet."`
	Limits      *Limits     `json:"limits,omitempty" doc:"Not available yet."`
	Shadow      bool        `json:"shadow,omitempty" doc:"Not available yet."`
	Holdout     int         `json:"holdout_percent,omitempty" doc:"Not available yet."`

	// Kept by the store, not by people.
	Version   int64      `json:"version,omitempty" readOnly:"true" doc:"Counts the changes; in double quotes it is the ETag."`
	CreatedAt time.Time  `json:"created_at,omitzero" readOnly:"true" doc:"When it was created."`
	UpdatedAt time.Time  `json:"updated_at,omitzero" readOnly:"true" doc:"When it was changed last."`
	DeletedAt *time.Time `json:"deleted_at,omitempty" readOnly:"true" doc:"When it was removed; absent while it lives."`
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
	OptOut      string   `json:"opt_out,omitempty" doc:"Not available yet."`
	Timeout     Duration `json:"timeout,omitempty" doc:"How long a key is waited for after the prompt; 6s where it is left out."`
	Attempts    int      `json:"attempts,omitempty" doc:"How often the offer is played at most; 2 where it is left out."`
	OtherNumber bool     `json:"other_number,omitempty" doc:"Not available yet."`
}

// Prompts are played after the offer; an empty one is not played.
type Prompts struct {
	Sent     string `json:"sent,omitempty" doc:"Played when the text is on its way."`
	Failed   string `json:"failed,omitempty" doc:"Played when it could not be sent."`
	OptedOut string `json:"opted_out,omitempty" doc:"Not available yet."`
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

// Limits are the caps of a campaign. Not built yet: refused.
type Limits struct {
	Cooldown        Duration `json:"cooldown,omitempty"`
	PerCallerPerDay int      `json:"per_caller_per_day,omitempty"`
	PerDay          int      `json:"per_day,omitempty"`
}
