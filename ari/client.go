// Package ari is the switch: one connection to one Asterisk node over the
// Asterisk REST Interface, the events of each of its channels, and the few
// verbs on a channel.
//
// It owns the websocket itself: a connection that is lost is made again, and
// after each connect, and every few seconds, it compares the calls it owns
// with the channels Asterisk has in the application and repairs the
// difference. A channel that no live call owns is let go to the dialplan.
// Types and decoding are those of github.com/CyCoreSystems/ari/v5.
package ari

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of Options.
const (
	DefaultCommandTimeout = 2 * time.Second
	DefaultPoll           = 3 * time.Second
	DefaultLostAfter      = 1500 * time.Millisecond
	DefaultQueueSize      = 64
)

const (
	// drainFor is how long Run waits for calls under way after its context
	// has ended.
	drainFor = 5 * time.Second
	// leaveGrace is how long a channel whose Handle has returned may stay in
	// the application before it is let go.
	leaveGrace = time.Second
	// repairers is how many channels are let go or looked at concurrently.
	repairers = 32
)

// Options of a Client.
type Options struct {
	// Name of the node, as metrics and logs show it.
	Name string
	// URL of the REST interface, such as http://127.0.0.1:8088/ari.
	URL string
	// Username and Password of a user in ari.conf.
	Username, Password string
	// Application is the name of the Stasis application.
	Application string

	// CommandTimeout is the deadline of every command, beside the caller's
	// context.
	CommandTimeout time.Duration
	// Poll is the time between two comparisons with Asterisk.
	Poll time.Duration
	// LostAfter is how long the event stream may be away before the calls
	// under way are given up with ErrSwitchLost.
	LostAfter time.Duration
	// QueueSize is how many events of one call may wait for its owner.
	QueueSize int

	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is registered

	// Handle owns one call: it runs in a goroutine of its own from the
	// channel's StasisStart on. Its context ends when that of Run does. When
	// it returns and the channel does not leave the application, the channel
	// is let go.
	Handle func(ctx context.Context, ch *Channel)
	// Orphan is told of each channel that was found in the application with
	// no call owning it, once, after it was let go or is gone by itself. It
	// may be nil. Several may run at once.
	Orphan func(ctx context.Context, o Orphan)
}

// Client is the connection to one Asterisk node.
type Client struct {
	o   Options
	log *slog.Logger
	m   *metrics

	base      string // REST interface, no slash at the end
	app       string // application, path-escaped
	header    http.Header
	jsonHead  http.Header
	transport *http.Transport // commands
	socket    *http.Client    // websocket
	instance  string          // tells our heartbeats from those of others

	latency atomic.Int64  // nanoseconds, smoothed, since this session is ready
	serving atomic.Uint64 // number of the session that is ready, 0 without
	beats   atomic.Uint64 // heartbeats sent
	up      atomic.Bool

	mu       sync.Mutex
	calls    map[string]*Channel // by channel id
	gen      uint64              // number of the websocket in use
	attached bool                // it is open
	running  int                 // Handle goroutines
	late     int                 // those of calls that entered while stopping
	stopping bool                // Run's context has ended
	closing  bool                // no more calls are taken
	orphaned map[string]*orphan  // orphans that may still be there

	ended chan struct{} // told when a Handle goroutine ends
	done  chan struct{} // closed when Run is over

	// Only the goroutine that keeps the connection touches this.
	started time.Time // Asterisk's start, as of the last connect
}

// New checks the options and makes a client; it does not connect.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, errors.New("ari: the URL of the node cannot be read")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("ari: the URL is not http(s)://host:port/ari")
	case u.User != nil:
		return nil, errors.New("ari: the URL must not hold a username or password")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("ari: the URL must not have a query or fragment")
	case o.Name == "":
		return nil, errors.New("ari: the node has no name")
	case o.Application == "" || strings.ContainsAny(o.Application, ","):
		return nil, fmt.Errorf("ari: application name %q: want one name", o.Application)
	}
	setDefault(&o.CommandTimeout, DefaultCommandTimeout)
	setDefault(&o.Poll, DefaultPoll)
	setDefault(&o.LostAfter, DefaultLostAfter)
	if o.QueueSize <= 0 {
		o.QueueSize = DefaultQueueSize
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Registerer, o.Name)
	if err != nil {
		return nil, fmt.Errorf("ari: register metrics of node %s: %w", o.Name, err)
	}
	auth := "Basic " + base64.StdEncoding.EncodeToString([]byte(o.Username+":"+o.Password))
	return &Client{
		o:         o,
		log:       o.Logger.With("node", o.Name),
		m:         m,
		base:      strings.TrimRight(u.String(), "/"),
		app:       url.PathEscape(o.Application),
		header:    http.Header{"Authorization": {auth}},
		jsonHead:  http.Header{"Authorization": {auth}, "Content-Type": {"application/json"}},
		transport: commandTransport(),
		socket:    socketClient(),
		instance:  "deflectd." + rand.Text(),
		calls:     map[string]*Channel{},
		ended:     make(chan struct{}, 1),
		done:      make(chan struct{}),
		orphaned:  map[string]*orphan{},
	}, nil
}

func setDefault(d *time.Duration, def time.Duration) {
	if *d <= 0 {
		*d = def
	}
}

// Run keeps the connection and runs Handle for each call until ctx ends. Then
// it waits for the calls under way (their context has ended, too), with their
// events still being delivered, for at most five seconds, closes the
// connection, for which Asterisk gets one second, and lets go whatever is left
// in the application. It runs once. It returns an error if calls did not end in
// time, or could not be let go.
func (c *Client) Run(ctx context.Context) error {
	if c.o.Handle == nil {
		return errors.New("ari: Run without Options.Handle")
	}
	defer close(c.done)
	// The connection outlives ctx: the calls need it to end well.
	connCtx, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	disconnected := make(chan struct{})
	go func() {
		defer close(disconnected)
		c.stayConnected(connCtx, ctx)
	}()

	<-ctx.Done()
	left := c.drain()
	wasUp := c.Up() // else the application may be another client's by now
	hangUp()
	<-disconnected
	err := c.sweep(context.WithoutCancel(ctx), wasUp)
	c.Close()
	if left > 0 {
		err = errors.Join(fmt.Errorf("%d calls did not end within %v", left, drainFor), err)
	}
	if err != nil {
		return fmt.Errorf("ari: node %s: %w", c.o.Name, err)
	}
	return nil
}

// drain waits for the calls that entered before it, takes no more once they
// are over, and says how many of them did not end in time. The calls that come
// meanwhile are waited for as well, but they are no failure: they are swept.
func (c *Client) drain() (left int) {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	timeout := time.NewTimer(drainFor)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		left = c.running - c.late
		c.closing = left == 0
		all := c.running
		c.mu.Unlock()
		if all == 0 {
			return 0
		}
		select {
		case <-c.ended:
		case <-timeout.C:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.closing = true
			for id := range c.calls {
				c.log.Error("call did not end in time, letting it go", "channel", id)
			}
			return c.running - c.late
		}
	}
}

// Close releases idle connections. Run does it by itself; it is for a client
// that was used for commands only.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	c.socket.CloseIdleConnections()
}

// Up reports whether events are known to arrive: the websocket is open, and
// the last heartbeat came through it.
func (c *Client) Up() bool { return c.up.Load() }

func (c *Client) setUp(up bool) {
	c.up.Store(up)
	if up {
		c.m.up.Set(1)
	} else {
		c.m.up.Set(0)
	}
}

// CommandLatency is how long commands take lately (exponentially smoothed,
// failed ones included); 0 while there is no connection, for then no calls
// come from this node, and before the first command of a new one.
func (c *Client) CommandLatency() time.Duration {
	if c.serving.Load() == 0 {
		return 0
	}
	return time.Duration(c.latency.Load())
}

// serve says that calls come through a session from now on; none does with 0.
func (c *Client) serve(session uint64) {
	c.latency.Store(0)
	c.serving.Store(session)
	c.setUp(session != 0)
}
