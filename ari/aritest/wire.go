package aritest

import (
	"encoding/json"
	"time"
)

// timeLayout is how ARI writes times.
const timeLayout = "2006-01-02T15:04:05.000-0700"

// wireTime marshals as ARI does.
type wireTime time.Time

func (t wireTime) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, len(timeLayout)+2)
	b = append(b, '"')
	b = time.Time(t).AppendFormat(b, timeLayout)
	return append(b, '"'), nil
}

type wireParty struct {
	Name   string `json:"name"`
	Number string `json:"number"`
}

type wireDialplan struct {
	Context   string `json:"context"`
	Extension string `json:"exten"`
	Priority  int    `json:"priority"`
	App       string `json:"app_name"`
	AppData   string `json:"app_data"`
}

type wireChannel struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	State     string       `json:"state"`
	Protocol  string       `json:"protocol_id"`
	Caller    wireParty    `json:"caller"`
	Connected wireParty    `json:"connected"`
	Account   string       `json:"accountcode"`
	Dialplan  wireDialplan `json:"dialplan"`
	Created   wireTime     `json:"creationtime"`
	Language  string       `json:"language"`
	RDNIS     string       `json:"caller_rdnis,omitempty"`
}

type wirePlayback struct {
	ID       string `json:"id"`
	Media    string `json:"media_uri"`
	Next     string `json:"next_media_uri,omitempty"`
	Target   string `json:"target_uri"`
	Language string `json:"language"`
	State    string `json:"state"`
}

type wireApplication struct {
	Name       string            `json:"name"`
	Channels   []string          `json:"channel_ids"`
	Bridges    []string          `json:"bridge_ids"`
	Endpoints  []string          `json:"endpoint_ids"`
	Devices    []string          `json:"device_names"`
	Allowed    []json.RawMessage `json:"events_allowed"`
	Disallowed []json.RawMessage `json:"events_disallowed"`
}

// event holds the fields of every event type this server sends; those that a
// type does not have are left out.
type event struct {
	Variable    *string         `json:"variable,omitempty"`
	Value       *string         `json:"value,omitempty"`
	Cause       int             `json:"cause,omitempty"`
	TechCause   int             `json:"tech_cause,omitempty"`
	Soft        bool            `json:"soft,omitempty"`
	Type        string          `json:"type"`
	Timestamp   wireTime        `json:"timestamp"`
	Digit       string          `json:"digit,omitempty"`
	DurationMS  int             `json:"duration_ms,omitempty"`
	Args        *[]string       `json:"args,omitempty"`
	Channel     *wireChannel    `json:"channel,omitempty"`
	Playback    *wirePlayback   `json:"playback,omitempty"`
	EventName   string          `json:"eventname,omitempty"`
	UserEvent   json.RawMessage `json:"userevent,omitempty"`
	AsteriskID  string          `json:"asterisk_id"`
	Application string          `json:"application"`
}

type wireMessage struct {
	Message string `json:"message"`
}

type wireValue struct {
	Value string `json:"value"`
}

type wireSound struct {
	ID      string       `json:"id"`
	Formats []wireFormat `json:"formats"`
}

type wireFormat struct {
	Language string `json:"language"`
	Format   string `json:"format"`
}
