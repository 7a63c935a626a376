package intercept

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // Redis is broken on purpose
	goleak.VerifyTestMain(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

const (
	dialled = "+18005550100"
	mobile  = "+14155550123"
)

var arrival = Arrival{
	Channel: "1700000000.1", Node: "pbx1", Created: time.UnixMilli(1700000000000),
	Args: []string{"dnis=" + dialled, "ani=" + mobile, "pres=allowed", "rdnis="},
}

// goneError is what the switch's client answers when the channel has left.
type goneError struct{}

func (goneError) Error() string { return "channel has left" }
func (goneError) Gone() bool    { return true }

// refusedError is what it answers when the switch says no.
type refusedError struct{}

func (refusedError) Error() string { return "500 from the switch" }
func (refusedError) Refused() bool { return true }

// errBroken is a command whose answer did not come.
var errBroken = errors.New("connection reset by peer")

// channel is a scripted channel. It plays every prompt for as long as the
// script says and does as it is told, except where a function of the script
// stands in.
type channel struct {
	events chan arilib.Event

	mu       sync.Mutex
	said     []string      // the commands, in order
	length   time.Duration // of every prompt
	plays    int
	closed   bool
	err      error
	instead  map[string]func(context.Context) error // by command
	variable string
	// silentFrom is the number of the first command that is never answered, and
	// none is after it; silentSince is when that was. Below 0: all are answered.
	silentFrom  int
	silentSince time.Time
	vars        map[string]string
	finish      *time.Timer
}

func newChannel() *channel {
	return &channel{
		events: make(chan arilib.Event, 64), length: 2 * time.Second,
		silentFrom: -1, instead: map[string]func(context.Context) error{}, vars: map[string]string{}, variable: "allowed",
	}
}

func (ch *channel) ID() string                  { return arrival.Channel }
func (ch *channel) Node() string                { return arrival.Node }
func (ch *channel) Events() <-chan arilib.Event { return ch.events }

func (ch *channel) Err() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.err
}

// say notes a command and carries out what stands in for it.
func (ch *channel) say(ctx context.Context, command string) (instead bool, err error) {
	ch.mu.Lock()
	ch.said = append(ch.said, command)
	closed := ch.closed
	silent := ch.silentFrom >= 0 && len(ch.said) > ch.silentFrom
	if silent && ch.silentSince.IsZero() {
		ch.silentSince = time.Now()
	}
	verb, _, _ := strings.Cut(command, " ")
	f := ch.instead[command]
	if f == nil {
		f = ch.instead[verb]
	}
	ch.mu.Unlock()
	if silent {
		return true, hang(ctx)
	}
	if f != nil {
		return true, f(ctx)
	}
	if closed {
		return true, goneError{}
	}
	return false, nil
}

// on puts something in the place of a command; nil takes it away again.
func (ch *channel) on(command string, f func(context.Context) error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.instead[command] = f
}

func (ch *channel) Answer(ctx context.Context) error {
	_, err := ch.say(ctx, "answer")
	return err
}

func (ch *channel) Play(ctx context.Context, media ...string) (string, error) {
	ch.mu.Lock()
	ch.plays++
	id := fmt.Sprintf("playback-%d", ch.plays)
	ch.mu.Unlock()
	instead, err := ch.say(ctx, "play "+strings.Join(media, "&"))
	if instead {
		return id, err
	}
	ch.mu.Lock()
	ch.finish = time.AfterFunc(ch.length, func() { ch.finished(id, "done") })
	ch.mu.Unlock()
	return id, nil
}

func (ch *channel) Stop(ctx context.Context, playback string) error {
	instead, err := ch.say(ctx, "stop")
	if instead {
		return err
	}
	ch.finished(playback, "done")
	return nil
}

func (ch *channel) Set(ctx context.Context, names, values []string) error {
	if instead, err := ch.say(ctx, "set"); instead {
		return err
	}
	for n := range names {
		ch.vars[names[n]] = values[n]
	}
	return nil
}

func (ch *channel) Continue(ctx context.Context) error {
	if instead, err := ch.say(ctx, "continue"); instead {
		return err
	}
	ch.leave()
	return nil
}

func (ch *channel) Hangup(ctx context.Context) error {
	if instead, err := ch.say(ctx, "hangup"); instead {
		return err
	}
	ch.hangUp()
	return nil
}

func (ch *channel) Variable(ctx context.Context, name string) (string, error) {
	if instead, err := ch.say(ctx, "variable "+name); instead {
		return "", err
	}
	return ch.variable, nil
}

func (ch *channel) send(events ...arilib.Event) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, ev := range events {
		if !ch.closed {
			ch.events <- ev
		}
	}
}

func (ch *channel) key(digit string) { ch.send(&arilib.ChannelDtmfReceived{Digit: digit}) }

func (ch *channel) finished(playback, state string) {
	ch.send(&arilib.PlaybackFinished{Playback: arilib.PlaybackData{ID: playback, State: state}})
}

// hangUp is the caller hanging up, or us.
func (ch *channel) hangUp() {
	ch.send(&arilib.ChannelHangupRequest{})
	ch.finished("", "failed")
	ch.leave()
}

// leave is the channel leaving the application.
func (ch *channel) leave() {
	ch.send(&arilib.StasisEnd{})
	ch.close(nil)
}

func (ch *channel) close(err error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.closed {
		return
	}
	ch.closed, ch.err = true, err
	if ch.finish != nil {
		ch.finish.Stop()
	}
	close(ch.events)
}

// hang is a command that the switch never answers.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func refuse(context.Context) error { return refusedError{} }

func breaks(context.Context) error { return errBroken }

// phoneBook is a directory of one campaign.
type phoneBook struct {
	campaign  *campaigns.Campaign
	off, away bool
}

func (p *phoneBook) Lookup(dnis string) *campaigns.Campaign {
	if p.campaign != nil && dnis == dialled {
		return p.campaign
	}
	return nil
}
func (p *phoneBook) ServiceOn() bool { return !p.off }
func (p *phoneBook) Ready() bool     { return !p.away }

// mailbox is an outbox of which every text passes the states of the script.
type mailbox struct {
	mu        sync.Mutex
	sent      []message.Request
	err       error
	slow      bool // the store never answers
	states    []message.State
	every     time.Duration // between two states
	cancelled message.State // what Cancel answers
	cancelErr error
	cancels   int
	down      bool
	downAfter bool // the provider counts as down once a text was tried
	closes    bool // the states end without a conclusion
	measured  int  // how often a text was measured
}

func (b *mailbox) Send(ctx context.Context, r message.Request) (promise, error) {
	if b.slow {
		<-ctx.Done()
		return promise{}, fmt.Errorf("%w: %w", message.ErrStore, ctx.Err())
	}
	if b.err != nil {
		return promise{}, b.err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, r)
	b.down = b.down || b.downAfter
	states := make(chan message.State, 8)
	for n, s := range b.states {
		time.AfterFunc(time.Duration(n+1)*b.every, func() { states <- s })
	}
	if b.closes {
		time.AfterFunc(time.Duration(len(b.states)+1)*b.every, func() { close(states) })
	}
	return promise{message: "message-1", states: states}, nil
}

func (b *mailbox) Cancel(context.Context, string) (message.State, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cancels++
	return b.cancelled, b.cancelErr
}

// Segments takes every ten characters for one.
func (b *mailbox) Segments(c *campaigns.Campaign) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.measured++
	return len(c.Text) / 10
}

func (b *mailbox) ProviderUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.down
}

// ledger keeps the records.
type ledger struct {
	mu      sync.Mutex
	records []report.Call
}

func (l *ledger) Record(c report.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, c)
}

// scene is one call with all it needs.
type scene struct {
	*channel
	arrival  Arrival
	campaign *campaigns.Campaign
	book     *phoneBook
	door     *doorman
	wishes   *wishes
	box      *mailbox
	ledger   *ledger
	registry *prometheus.Registry
	options  Options
	i        *Interceptor
	ctx      context.Context
}

func newScene(t *testing.T) *scene {
	t.Helper()
	c := &campaigns.Campaign{
		ID: "billing", DNIS: []string{dialled},
		Interaction: campaigns.Interaction{URL: "https://visual.example.com/start"}, Text: "Pay here {link}",
	}
	c.SetDefaults()
	s := &scene{
		channel: newChannel(), arrival: arrival, campaign: c, book: &phoneBook{campaign: c},
		door: &doorman{}, wishes: &wishes{},
		box: &mailbox{
			states: []message.State{message.Sending, message.Accepted}, every: 50 * time.Millisecond,
			cancelled: message.Cancelled,
		},
		ledger: &ledger{}, registry: prometheus.NewRegistry(), ctx: t.Context(),
	}
	logger := slog.New(slog.DiscardHandler)
	if os.Getenv("DEFLECTD_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	s.options = Options{
		Directory: s.book, Guards: s.door, OptOuts: s.wishes, Recorder: s.ledger, Region: "US",
		Secret: func() []byte { return []byte("secret") }, Logger: logger, Registerer: s.registry,
	}
	return s
}

// start makes the interceptor, if there is none yet.
func (s *scene) start() *Interceptor {
	if s.i == nil {
		s.i = newInterceptor(s.options, s.box)
	}
	return s.i
}

// after makes something happen later.
func (s *scene) after(d time.Duration, what func()) { time.AfterFunc(d, what) }

// play takes the call through and returns its record and how long it took.
func (s *scene) play(t *testing.T) (report.Call, time.Duration) {
	t.Helper()
	began := time.Now()
	s.start().Handle(s.ctx, s, s.arrival)
	took := time.Since(began)
	require.Len(t, s.ledger.records, 1, "one record for every call")
	require.Zero(t, s.i.gate.active.Load())
	require.Zero(t, s.i.gate.setting.Load())
	require.Empty(t, s.i.Active())
	return s.ledger.records[0], took
}
