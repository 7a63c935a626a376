package ari

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

const (
	// pingEvery is the time between two pings of ours. Only the client pings:
	// Asterisk has been seen to crash on a pong that it had not asked for.
	pingEvery = 2 * time.Second
	// readLimit is the longest message taken. Asterisk's events are a few kB.
	readLimit = 4 << 20
	// closeWithin is how long the farewell of a connection may take.
	closeWithin = time.Second

	// settle is how long Asterisk is left to notice the end of a websocket before
	// the next is opened. Of 1500 that were opened at once, 5 never got an event,
	// for its clean-up let go of the application that they had just taken over; of
	// those opened 1 ms later, none.
	settle       = 20 * time.Millisecond
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
)

var (
	errReplaced  = errors.New("another client has taken the application over")
	errZombie    = errors.New("the websocket is open, and events do not arrive")
	errForgotten = errors.New("the websocket is open, and the application is not registered")
)

func socketClient() *http.Client {
	t := commandTransport()
	t.MaxConnsPerHost = 0
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// session is one websocket, from its dialling to its end.
type session struct {
	c       *Client
	ws      *websocket.Conn
	conn    net.Conn // below the websocket
	gen     uint64
	callCtx context.Context // of the calls that come through it
	fail    context.CancelCauseFunc

	beats     chan string     // heartbeats that came back
	received  atomic.Uint64   // messages
	strangers map[string]bool // channels without a call, as of the last look
}

// generation is the number of the websocket in use.
func (c *Client) generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

// stayConnected keeps a websocket open until ctx ends. Calls run under
// callCtx.
func (c *Client) stayConnected(ctx, callCtx context.Context) {
	var (
		failures int
		since    = time.Now() // of the outage
		said     string       // last failure logged
		once     bool         // was connected before
	)
	lost := time.AfterFunc(c.o.LostAfter, c.loseCalls)
	defer lost.Stop()
	for ctx.Err() == nil {
		ready, began := false, time.Now()
		err := c.connect(ctx, callCtx, func() {
			ready = true
			lost.Stop()
			c.serve(c.generation())
			if once {
				c.m.reconnects.Inc()
			}
			once = true
			c.log.Info("connected to Asterisk", "url", c.base, "application", c.o.Application)
		})
		c.serve(0)
		if ctx.Err() != nil {
			return
		}
		if ready {
			since, said = time.Now(), ""
			lost.Reset(c.o.LostAfter)
			if time.Since(began) > maxBackoff {
				failures = 0
			}
		} else if time.Since(since) > c.o.LostAfter {
			c.loseCalls()
		}
		// Events that never arrived are not somebody else's (see settle): the
		// websocket is opened once more.
		if errors.Is(err, errReplaced) || ready && errors.Is(err, errZombie) {
			c.log.Error("another client has taken the application: give each daemon an application name of its own, or stop one; waiting until the other has gone",
				"application", c.o.Application, "error", err)
			c.yield(ctx)
			continue
		}
		if text := err.Error(); text != said {
			c.log.Warn("connection to Asterisk failed, trying again until it is there", "error", err)
			said = text
		}
		if failures > 0 || !ready {
			sleep(ctx, backoff(failures))
		} else {
			sleep(ctx, settle) // calls are waiting
		}
		failures++
	}
}

// backoff is the time before the next attempt: exponential, with full jitter,
// so that many daemons do not come all at once.
func backoff(failures int) time.Duration {
	limit := maxBackoff
	if failures < 6 {
		limit = min(limit, firstBackoff<<failures)
	}
	return rand.N(limit) + time.Millisecond //nolint:gosec // no secret
}

// sleep reports whether it slept in full.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// yield waits for the client that has taken the application over to go: until
// Asterisk has forgotten the application, which it does when there is neither a
// client nor a channel in it. Calls of ours that are over and still there are
// let go meanwhile. Where the other has died, its last calls go by hanging up
// or by the time limit that the dialplan sets.
func (c *Client) yield(ctx context.Context) {
	for pause := firstBackoff; ; pause = min(2*pause, maxBackoff) {
		if _, err := c.channels(ctx); err != nil && gone(err) {
			return
		}
		c.seeOffOverdue(ctx)
		if !sleep(ctx, pause) {
			return
		}
	}
}

// loseCalls gives up the calls whose event stream has been away too long.
// They stay known until they are seen to have left.
func (c *Client) loseCalls() {
	c.mu.Lock()
	before := c.gen + 1
	if c.attached {
		before = c.gen
	}
	var lost []*Channel
	for _, ch := range c.calls {
		if ch.gen < before {
			lost = append(lost, ch)
		}
	}
	c.mu.Unlock()
	for _, ch := range lost {
		ch.lose()
	}
	if len(lost) > 0 {
		c.log.Error("connection to Asterisk is away, giving its calls up", "calls", len(lost))
	}
}

// connect opens a websocket, sets it up, calls ready, and serves it until it
// fails or ctx ends.
func (c *Client) connect(ctx, callCtx context.Context, ready func()) error {
	ws, conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer ws.CloseNow() //nolint:errcheck // it is being thrown away
	// Only a failure ends the reader: at the end of ctx it goes on reading
	// until the farewell is over.
	failed, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	s := &session{
		c: c, ws: ws, conn: conn, gen: c.attach(), callCtx: callCtx, fail: fail,
		beats: make(chan string, 4),
	}
	defer c.detach()
	g, gctx := errgroup.WithContext(failed)
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return s.farewell()
		case <-gctx.Done():
			return nil
		}
	})
	g.Go(func() error { return s.read(gctx) })
	g.Go(func() error { return s.ping(gctx) })
	g.Go(func() error { return s.watch(gctx, ready) })
	err = g.Wait()
	if cause := context.Cause(failed); cause != nil {
		return cause
	}
	return err
}

func (c *Client) attach() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	c.attached = true
	return c.gen
}

func (c *Client) detach() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attached = false
}

// dial opens a websocket, and returns also the connection below it.
func (c *Client) dial(ctx context.Context) (ws *websocket.Conn, conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.CommandTimeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { conn = got.Conn },
	})
	var res *http.Response
	ws, res, err = websocket.Dial(ctx, //nolint:bodyclose // the library closes it
		c.base+"/events?app="+url.QueryEscape(c.o.Application)+"&subscribeAll=false",
		&websocket.DialOptions{HTTPClient: c.socket, HTTPHeader: c.header})
	if err != nil {
		if res != nil && res.StatusCode == http.StatusUnauthorized {
			return nil, nil, errors.New("open event stream: Asterisk refuses the username or password")
		}
		return nil, nil, fmt.Errorf("open event stream: %w", err)
	}
	ws.SetReadLimit(readLimit)
	return ws, conn, nil
}

// farewell closes the websocket with a handshake: afterwards Asterisk knows
// that the application is not there any more. When it takes too long the
// connection below is cut: the library waits up to 5 s for the handshake, and
// once that has begun its CloseNow only waits, too.
func (s *session) farewell() error {
	timer := time.AfterFunc(closeWithin, func() { _ = s.conn.Close() })
	defer timer.Stop()
	if err := s.ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		return fmt.Errorf("close event stream: %w", err)
	}
	return errors.New("event stream closed")
}

func (s *session) read(ctx context.Context) error {
	var buf bytes.Buffer
	for {
		kind, r, err := s.ws.Reader(ctx)
		if err != nil {
			return fmt.Errorf("read event stream: %w", err)
		}
		buf.Reset()
		if _, err := buf.ReadFrom(r); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		s.received.Add(1)
		if kind != websocket.MessageText {
			s.c.m.malformed.Inc()
			continue
		}
		s.dispatch(buf.Bytes())
	}
}

func (s *session) ping(ctx context.Context) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.pingOnce(ctx); err != nil {
			return fmt.Errorf("no answer to a ping: %w", err)
		}
	}
}

func (s *session) pingOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.c.o.CommandTimeout)
	defer cancel()
	return s.ws.Ping(ctx)
}
