package ari

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
)

// ErrGone means that the channel has left the application: the caller hung
// up, or the call went on in the dialplan.
var ErrGone error = goneError{}

// goneError is recognised by its method wherever this package is not imported.
type goneError struct{}

func (goneError) Error() string { return "channel has left the application" }

// Gone says that the call is over for whoever sent the command: no fault.
func (goneError) Gone() bool { return true }

// StatusError is a command that Asterisk refused.
type StatusError struct {
	Command string // such as "play"
	Status  int    // HTTP status
	Message string // what Asterisk says
}

// Refused tells a command that Asterisk answered and did not carry out from one
// of which that is not known, wherever this package is not imported.
func (e *StatusError) Refused() bool { return true }

// Error names the command, the status and Asterisk's words.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: Asterisk answered %d %s", e.Command, e.Status, e.Message)
}

// verb is a command, as metrics and errors name it.
type verb string

const (
	verbAnswer      verb = "answer"
	verbPlay        verb = "play"
	verbStop        verb = "stop"
	verbSet         verb = "set"
	verbVariable    verb = "variable"
	verbContinue    verb = "continue"
	verbHangup      verb = "hangup"
	verbChannel     verb = "channel"
	verbPlayback    verb = "playback"
	verbInfo        verb = "info"
	verbApplication verb = "application"
	verbFilter      verb = "filter"
	verbBeat        verb = "heartbeat"
	verbSound       verb = "sound"
)

var verbs = []verb{
	verbAnswer, verbPlay, verbStop, verbSet, verbVariable, verbContinue, verbHangup,
	verbChannel, verbPlayback, verbInfo, verbApplication, verbFilter, verbBeat,
	verbSound,
}

const (
	// maxConns stays below the 100 sessions that Asterisk's http.conf allows
	// by default (sessionlimit), with room for others.
	maxConns = 80
	// idleConn is below the 15 s after which Asterisk closes a connection by
	// default (session_keep_alive), so that no command is written to one that
	// is being closed.
	idleConn = 10 * time.Second
	// maxAnswer is how much of an answer is read: the list of channels of a
	// busy application is the longest.
	maxAnswer = 8 << 20
	// maxQuery stays below the 4,096 bytes that Asterisk takes as the first
	// line of a request.
	maxQuery = 3000
	// maxDrain is how much of an answer that nobody wants is read to keep the
	// connection.
	maxDrain = 64 << 10
)

func commandTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConns:        maxConns,
		MaxIdleConnsPerHost: maxConns,
		MaxConnsPerHost:     maxConns,
		IdleConnTimeout:     idleConn,
		DisableCompression:  true,
		WriteBufferSize:     2 << 10,
		ReadBufferSize:      2 << 10,
	}
}

// command sends one request and reads the answer into the value given, if
// any. Its path begins with a slash and is escaped, query included.
func (c *Client) command(ctx context.Context, v verb, method, path string, into any) error {
	return c.exchange(ctx, v, method, path, nil, into)
}

func (c *Client) exchange(ctx context.Context, v verb, method, path string, body []byte, into any) error {
	began, session := time.Now(), c.serving.Load()
	err := c.roundTrip(ctx, v, method, path, body, into)
	c.measure(v, time.Since(began), session)
	return err
}

func (c *Client) roundTrip(ctx context.Context, v verb, method, path string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.CommandTimeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return fmt.Errorf("%s: make request: %w", v, err)
	}
	req.Header = c.header
	if body != nil {
		req.Header = c.jsonHead
	}
	// The transport is used directly: Asterisk neither redirects nor sets
	// cookies, and nothing should follow it if it did.
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s: %w", v, err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return refusal(v, res)
	}
	if into != nil {
		if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into); err != nil {
			return fmt.Errorf("%s: read answer: %w", v, err)
		}
	}
	if res.ContentLength != 0 {
		_, _ = io.CopyN(io.Discard, res.Body, maxDrain)
	}
	return nil
}

// refusal turns an answer that is not 2xx into a StatusError, with Asterisk's
// message in it.
func refusal(v verb, res *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(res.Body, maxDrain))
	var said struct{ Message, Error string }
	if json.Unmarshal(raw, &said) != nil {
		said.Message = http.StatusText(res.StatusCode)
	}
	message := said.Message
	if message == "" {
		message = said.Error
	}
	const enough = 200
	if len(message) > enough {
		message = message[:enough]
	}
	return &StatusError{Command: string(v), Status: res.StatusCode, Message: message}
}

// measure feeds the histogram and the smoothed latency, that with commands
// alone which were sent while this session was ready, and which are a call's: to
// look for a sound is to read folders. Two that end at the same moment may lose one
// of the two updates, which does not matter.
func (c *Client) measure(v verb, took time.Duration, session uint64) {
	c.m.commands[v].Observe(took.Seconds())
	if session == 0 || session != c.serving.Load() || v == verbSound {
		return
	}
	const weight = 8
	old := c.latency.Load()
	if old == 0 {
		c.latency.Store(int64(took))
		return
	}
	c.latency.Store(old + (int64(took)-old)/weight)
}

// gone reports whether an error says that the thing does not exist (404), the
// channel is in no application (409) or is hung up already (412).
func gone(err error) bool {
	var refused *StatusError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Status {
	case http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed:
		return true
	}
	// So Asterisk says of a command that was waiting, for instance behind a
	// playback, when the caller hung up. A variable or function that cannot be
	// set is no such case: it answers 204 all the same.
	return refused.Command == string(verbAnswer) && refused.Message == "Failed to answer channel" ||
		refused.Command == string(verbSet) && refused.Message == "Failed to execute function"
}

// Info is what Asterisk says of itself.
type Info struct {
	Version  string
	EntityID string
	Started  time.Time
}

// Info asks the node who it is. It needs no connection: it also serves to
// check address, username and password (*StatusError with status 401).
func (c *Client) Info(ctx context.Context) (Info, error) {
	var said arilib.AsteriskInfo
	if err := c.command(ctx, verbInfo, http.MethodGet, "/asterisk/info", &said); err != nil {
		return Info{}, fmt.Errorf("ari: %w", err)
	}
	return Info{
		Version:  said.SystemInfo.Version,
		EntityID: said.SystemInfo.EntityID,
		Started:  time.Time(said.StatusInfo.StartupTime),
	}, nil
}

// channels lists the channels that are in the application. Asterisk names
// there what the application is subscribed to: a channel is subscribed just
// before its StasisStart is sent, and unsubscribed just before its StasisEnd.
func (c *Client) channels(ctx context.Context) ([]string, error) {
	var said struct {
		Channels []string `json:"channel_ids"`
	}
	if err := c.command(ctx, verbApplication, http.MethodGet, "/applications/"+c.app, &said); err != nil {
		return nil, err
	}
	return said.Channels, nil
}

// filter lets Asterisk send only the types of events in use.
func (c *Client) filter(ctx context.Context) error {
	return c.exchange(ctx, verbFilter, http.MethodPut, "/applications/"+c.app+"/eventFilter", eventFilter, nil)
}

// describe reads who is on a channel that no call of ours owns. What cannot be
// read is left out; an error that is gone says that it is not there any more.
func (c *Client) describe(ctx context.Context, id string) (Orphan, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareFor)
	defer cancel()
	o := Orphan{Node: c.o.Name, Channel: id}
	var said struct {
		Caller   struct{ Number string }
		RDNIS    string `json:"caller_rdnis"`
		Dialplan struct {
			Exten   string
			AppName string `json:"app_name"`
			AppData string `json:"app_data"`
		}
		Created arilib.DateTime `json:"creationtime"`
	}
	if err := c.command(ctx, verbChannel, http.MethodGet, channelPath(id), &said); err != nil {
		return o, err
	}
	o.Extension, o.Created = said.Dialplan.Exten, time.Time(said.Created).UTC()
	o.CallerNumber, o.RDNIS = said.Caller.Number, said.RDNIS
	if _, args, ok := strings.Cut(said.Dialplan.AppData, ","); ok && said.Dialplan.AppName == "Stasis" {
		o.Args = strings.Split(args, ",")
	}
	var err error
	o.Presentation, err = c.variable(ctx, id, "CALLERID(num-pres)")
	return o, err
}

// variable reads a channel variable or function; one that is not set is empty.
func (c *Client) variable(ctx context.Context, id, name string) (string, error) {
	var said struct{ Value string }
	err := c.command(ctx, verbVariable, http.MethodGet,
		channelPath(id)+"/variable?variable="+url.QueryEscape(name), &said)
	var refused *StatusError
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound && strings.Contains(refused.Message, "variable") {
		return "", nil // a missing channel is 404, too, but "Provided channel was not found"
	}
	return said.Value, err
}

// stop ends a playback. For a moment after it has begun to play Asterisk
// cannot stop it, and says so.
func (c *Client) stop(ctx context.Context, playback string) error {
	const firstWait, lastWait = 5 * time.Millisecond, 100 * time.Millisecond
	for wait := firstWait; ; wait *= 2 {
		err := c.command(ctx, verbStop, http.MethodDelete, "/playbacks/"+url.PathEscape(playback), nil)
		var refused *StatusError
		if !errors.As(err, &refused) || refused.Message != "Could not stop playback" || wait > lastWait {
			return err
		}
		sleep(ctx, wait)
	}
}

// set sets variables, several in one request by the function ARRAY. Where
// Asterisk lacks that (module func_strings) it sets none and answers 204.
func (c *Client) set(ctx context.Context, id string, names, values []string) error {
	if len(names) != len(values) || len(names) == 0 {
		return fmt.Errorf("set: %d names and %d values", len(names), len(values))
	}
	name, value := names[0], values[0]
	if len(names) > 1 {
		name, value = "ARRAY("+strings.Join(names, ",")+")", joinValues(values)
	}
	path := channelPath(id) + "/variable"
	query := "?variable=" + url.QueryEscape(name) + "&value=" + url.QueryEscape(value)
	if len(path)+len(query) < maxQuery {
		return c.command(ctx, verbSet, http.MethodPost, path+query, nil)
	}
	body, err := json.Marshal(map[string]string{"variable": name, "value": value})
	if err != nil {
		return fmt.Errorf("set: make request: %w", err)
	}
	return c.exchange(ctx, verbSet, http.MethodPost, path, body, nil)
}

func (c *Client) proceed(ctx context.Context, id string) error {
	return c.command(ctx, verbContinue, http.MethodPost, channelPath(id)+"/continue", nil)
}

func channelPath(id string) string { return "/channels/" + url.PathEscape(id) }

// joinValues makes the value of Asterisk's ARRAY() function: it separates at
// commas outside of quotes, parentheses and brackets, drops quotes, and takes
// a character after a backslash as it is.
func joinValues(values []string) string {
	var b strings.Builder
	for i, value := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		for j := range len(value) {
			if strings.IndexByte(`,"\()[]`, value[j]) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(value[j])
		}
	}
	return b.String()
}
