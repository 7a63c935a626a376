package lab

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// arrivalMark begins the lines of the log that LogArrival writes.
const arrivalMark = "LAB context="

// LogArrival is the dialplan step that logs an arrival, for contexts of your
// own in AsteriskOptions.Dialplan. The line is a URL query, since the numbers
// and names in it are written by strangers.
const LogArrival = `Log(NOTICE,` + arrivalMark + `${CONTEXT}&extension=${URIENCODE(${EXTEN})}` +
	`&channel=${UNIQUEID}&call_id=${URIENCODE(${CHANNEL(pjsip,call-id)})}&state=${CHANNEL(state)}` +
	`&caller=${URIENCODE(${CALLERID(num)})}&status=${STASISSTATUS}` +
	`&DEFLECTD_DNIS=${URIENCODE(${DEFLECTD_DNIS})}&DEFLECTD_CALL=${URIENCODE(${DEFLECTD_CALL})}` +
	`&DEFLECTD_CAMPAIGN=${URIENCODE(${DEFLECTD_CAMPAIGN})}&DEFLECTD_OUTCOME=${URIENCODE(${DEFLECTD_OUTCOME})}` +
	`&DEFLECTD_REASON=${URIENCODE(${DEFLECTD_REASON})}&DEFLECTD_MESSAGE=${URIENCODE(${DEFLECTD_MESSAGE})}` +
	`&DEFLECTD_TRANSFER=${URIENCODE(${DEFLECTD_TRANSFER})})`

// Arrival is a call that came out of deflectd's dialplan into a context of the
// lab.
type Arrival struct {
	At           time.Time
	Context      string // ivr, agents, loop, or one of your own
	Extension    string
	Channel      string // Asterisk's id of the channel
	CallID       string // SIP Call-ID, as in Result.CallID
	State        string // of the channel: Ring (never answered) or Up
	Caller       string // the caller's number
	StasisStatus string // SUCCESS, FAILED, or empty
	// Variables are the DEFLECTD_ variables of the channel, by their whole
	// name; one that is not set is empty.
	Variables map[string]string
}

// Arrivals returns all arrivals so far, in order. Asterisk writes its log a
// moment after the fact; use AwaitArrival for a call that has just ended.
func (a *Asterisk) Arrivals() ([]Arrival, error) {
	text, err := os.ReadFile(filepath.Join(a.dir, "log/messages"))
	if err != nil {
		return nil, fmt.Errorf("read the log of asterisk: %w", err)
	}
	var arrivals []Arrival
	for line := range strings.Lines(string(text)) {
		if arrival, ok := parseArrival(line); ok {
			arrivals = append(arrivals, arrival)
		}
	}
	return arrivals, nil
}

// AwaitArrival waits for the first arrival of the call with this SIP Call-ID.
func (a *Asterisk) AwaitArrival(ctx context.Context, callID string) (Arrival, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		arrivals, err := a.Arrivals()
		if err != nil {
			return Arrival{}, err
		}
		for _, arrival := range arrivals {
			if arrival.CallID == callID {
				return arrival, nil
			}
		}
		select {
		case <-ctx.Done():
			return Arrival{}, fmt.Errorf("await the arrival of call %s in the dialplan: %w", callID, ctx.Err())
		case <-tick.C:
		}
	}
}

func parseArrival(line string) (Arrival, bool) {
	_, query, ok := strings.Cut(line, arrivalMark)
	if !ok {
		return Arrival{}, false
	}
	values, err := url.ParseQuery("context=" + strings.TrimSpace(query))
	if err != nil {
		return Arrival{}, false
	}
	date, _, _ := strings.Cut(strings.TrimPrefix(line, "["), "]")
	at, err := time.Parse("2006-01-02T15:04:05.000-0700", date)
	if err != nil {
		return Arrival{}, false
	}
	arrival := Arrival{
		At: at, Context: values.Get("context"), Extension: values.Get("extension"),
		Channel: values.Get("channel"), CallID: values.Get("call_id"), State: values.Get("state"),
		Caller: values.Get("caller"), StasisStatus: values.Get("status"), Variables: map[string]string{},
	}
	for name := range values {
		if strings.HasPrefix(name, "DEFLECTD_") {
			arrival.Variables[name] = values.Get(name)
		}
	}
	return arrival, true
}
