// Package intercept is one live call, from its arrival in the Stasis
// application to its hangup or its return to the dialplan: whether it is
// intercepted, what the caller hears and answers, the text, and the end.
//
// A call is one goroutine that waits in one place for all that can happen to
// it. Whatever breaks, it ends within seconds: hung up by decision, or let go
// to the next priority of the dialplan, with one record that says why.
package intercept

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/prometheus/client_golang/prometheus"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
)

// Channel is a call's channel on the switch. A command that finds that the
// channel is no longer in the application answers an error with a method
// Gone() bool that says true; that is the caller hanging up, not a fault. One
// that the switch answers and does not carry out has a method Refused() bool
// that says true.
type Channel interface {
	ID() string
	Node() string
	// Events are the channel's events in order; it is closed when the channel
	// has left the application or is lost, and Err then says which: nil when
	// it left. An error with a method Overflow() bool that says true means that
	// the events were not taken in time.
	Events() <-chan arilib.Event
	Err() error
	Answer(ctx context.Context) error
	// Play starts media one after another and returns the playback's id, also
	// with an error where a playback may have begun all the same.
	Play(ctx context.Context, media ...string) (playback string, err error)
	Stop(ctx context.Context, playback string) error
	// Set sets channel variables in one request.
	Set(ctx context.Context, names, values []string) error
	// Continue lets the channel go to the dialplan's next priority.
	Continue(ctx context.Context) error
	Hangup(ctx context.Context) error
	Variable(ctx context.Context, name string) (string, error)
}

// Directory finds campaigns in memory.
type Directory interface {
	Lookup(dnis string) *campaigns.Campaign
	ServiceOn() bool
	// Ready is false until the campaigns have been read once.
	Ready() bool
}

// Guards say whether a number may be texted. Permit needs no history and asks
// nobody. Check asks the history, once for each call that nothing else speaks
// against, for a text of so many segments, and counts the call for the surge of
// its number; when it fails, nobody knows, and the call is let go. Timeout is how
// long it may take, while the caller hears the ringing go on. Refused counts a
// refusal.
type Guards interface {
	Surveyor
	Permit(c *campaigns.Campaign, n phone.Number) guard.Refusal
	Check(ctx context.Context, c *campaigns.Campaign, n phone.Number, segments int) (guard.Refusal, error)
	Timeout() time.Duration
	Refused(r guard.Refusal, at string)
}

// Surveyor tells all that guards have against a number, for a look at what would be
// decided: Forbidden all that Permit would refuse, Look all that Check would. It
// counts nothing.
type Surveyor interface {
	Forbidden(c *campaigns.Campaign, n phone.Number) []guard.Refusal
	Look(ctx context.Context, c *campaigns.Campaign, n phone.Number, segments int) ([]guard.Refusal, error)
}

// OptOuts is the list of numbers never to be texted. Later is told what Add
// could not write, and sees to it that it is written; it does not wait.
type OptOuts interface {
	Add(ctx context.Context, e optout.Entry) (added bool, err error)
	Later(e optout.Entry)
}

// Senders tell whether a campaign has anything that its texts can come from.
type Senders interface {
	Sends(c *campaigns.Campaign) bool
}

// Recorder keeps the record of a call that ended.
type Recorder interface {
	Record(report.Call)
}

// Options are what an Interceptor works with.
type Options struct {
	Directory Directory
	Guards    Guards
	OptOuts   OptOuts
	// Senders keep a caller from being offered a text that could come from
	// nowhere; where they are nil, that is found out when it is to be sent.
	Senders  Senders
	Outbox   *message.Outbox
	Recorder Recorder
	// Secret is the service's secret, which call ids are made with; nil until
	// it is known.
	Secret   func() []byte
	Region   string        // how a number without + is read: ISO 3166-1 alpha-2
	MaxCalls int           // calls at once, more are passed on; 0: no limit
	Grace    time.Duration // what live calls get to finish by themselves on Drain; 3 s by default
	// Latency is how long the switch takes for a command at present; nil where
	// that is not known.
	Latency func() time.Duration
	// StoreUp tells whether Redis answers, as far as is known; nil where that is
	// not watched. While it does not, no text can be made durable, and none is
	// offered.
	StoreUp    func() bool
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// defaultGrace lets a caller who is about to press a key do so, and leaves two
// of the five seconds in which every call must be out of our hands.
const defaultGrace = 3 * time.Second

// cutBudget is what calls get, once they are cut short, to be gone.
const cutBudget = 2 * time.Second

// Interceptor handles calls. It is safe for use by many goroutines.
type Interceptor struct {
	rules    rules
	texts    texts
	segments segments
	optOuts  OptOuts
	records  Recorder
	secret   func() []byte
	storeUp  func() bool
	// spare makes call ids unguessable while the service's secret is unknown.
	spare   []byte
	grace   time.Duration
	gate    gate
	log     *slog.Logger
	metrics metrics

	// cut is closed when live calls are to end now.
	cut     chan struct{}
	cutOnce sync.Once

	mu       sync.Mutex
	draining bool
	calls    map[*call]struct{}
}

// New makes an Interceptor.
func New(o Options) *Interceptor {
	return newInterceptor(o, outbox{o.Outbox})
}

func newInterceptor(o Options, t texts) *Interceptor {
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.Latency == nil {
		o.Latency = func() time.Duration { return 0 }
	}
	i := &Interceptor{
		rules:    rules{directory: o.Directory, guards: o.Guards, senders: o.Senders, region: o.Region},
		texts:    t,
		segments: segments{measure: t.Segments, known: make(map[string]measured)},
		optOuts:  o.OptOuts,
		records:  o.Recorder,
		secret:   o.Secret,
		storeUp:  o.StoreUp,
		spare:    []byte(rand.Text()),
		grace:    o.Grace,
		gate:     gate{max: int64(o.MaxCalls), latency: o.Latency},
		log:      o.Logger,
		cut:      make(chan struct{}),
		calls:    make(map[*call]struct{}),
	}
	i.metrics = newMetrics(o.Registerer, &i.gate)
	// The numbering plans are unpacked when the first number is read, which
	// takes a good part of a second: not while a caller waits.
	_, _ = phone.Parse("+12015550123", o.Region)
	return i
}

// Handle takes a call through to its end: hung up, or let go to the dialplan.
// It returns when that is done or the call is lost, and has recorded it then.
// Where a command failed, the channel may still be in the application; the
// switch's client sees to it. When ctx ends the call is cut short.
func (i *Interceptor) Handle(ctx context.Context, ch Channel, a Arrival) {
	c := i.enter(ctx, ch, &a)
	defer i.leave(c)
	c.finish(c.run()) //nolint:contextcheck // commands outlive ctx: a call is let go also when it has ended
}

// Orphaned records a call that was found in the application without anybody
// to handle it, and was let go: the one that handled it is gone, or the daemon
// was being stopped when it came.
func (i *Interceptor) Orphaned(_ context.Context, a Arrival) {
	id := a.identity()
	n := i.rules.read(&id)
	now := time.Now()
	rec := i.newRecord(&a, &id, now)
	rec.describe(&id, &n, i.rules.region)
	if campaign := i.rules.directory.Lookup(n.dialled); campaign != nil {
		rec.Campaign = campaign.ID
	}
	if !a.Created.IsZero() {
		rec.Started = a.Created
	}
	rec.Outcome, rec.Reason, rec.Ended = report.Failed, report.Orphaned, now
	if a.Stopping {
		rec.Outcome, rec.Reason = report.Passed, report.ShuttingDown
	}
	i.log.Warn("a call that nobody handled was let go", "call", rec.ID, "campaign", rec.Campaign, "node", rec.Node)
	i.records.Record(rec.Call)
}

// Active lists the calls at hand, the oldest first, as they are now.
func (i *Interceptor) Active() []report.Call {
	i.mu.Lock()
	live := make([]*call, 0, len(i.calls))
	for c := range i.calls {
		live = append(live, c)
	}
	i.mu.Unlock()
	list := make([]report.Call, len(live))
	for n, c := range live {
		list[n] = c.snapshot()
	}
	slices.SortFunc(list, func(a, b report.Call) int { return a.Started.Compare(b.Started) })
	return list
}

// Drain stops taking calls: those that arrive from now on are passed on. The
// live ones have the grace to finish by themselves. Then, or when ctx ends,
// they are cut short: a caller to whom no text was promised is let go, out of
// any prompt, and a call whose text is durable is released at once. Drain
// returns when all calls that were live are gone, or when the time for that is
// up, with an error that names those left.
func (i *Interceptor) Drain(ctx context.Context) error {
	i.mu.Lock()
	i.draining = true
	live := make([]*call, 0, len(i.calls))
	for c := range i.calls {
		live = append(live, c)
	}
	i.mu.Unlock()
	i.log.Info("no more calls are taken", "live", len(live))

	grace := time.NewTimer(i.grace)
	defer grace.Stop()
	if live = awaitGone(live, grace.C, ctx.Done()); len(live) > 0 {
		i.log.Info("live calls are cut short", "live", len(live), "calls", names(live))
	}
	i.cutOnce.Do(func() { close(i.cut) })
	budget := time.NewTimer(cutBudget)
	defer budget.Stop()
	if live = awaitGone(live, budget.C, nil); len(live) > 0 {
		return fmt.Errorf("%d calls are still at hand: %s", len(live), strings.Join(names(live), " "))
	}
	return nil
}

// awaitGone waits until all calls are gone, the time is up, or done is closed,
// and returns those that are left.
func awaitGone(live []*call, timeUp <-chan time.Time, done <-chan struct{}) []*call {
	for n, c := range live {
		select {
		case <-c.over:
			continue
		case <-timeUp:
		case <-done:
		}
		return slices.DeleteFunc(live[n:], func(c *call) bool {
			select {
			case <-c.over:
				return true
			default:
				return false
			}
		})
	}
	return nil
}

func names(live []*call) []string {
	ids := make([]string, len(live))
	for n, c := range live {
		ids[n] = c.id
	}
	return ids
}

// enter makes a call of a channel and counts it in.
func (i *Interceptor) enter(ctx context.Context, ch Channel, a *Arrival) *call {
	now := time.Now()
	c := &call{
		i: i, ch: ch, events: ch.Events(), cut: i.cut, ended: ctx.Done(),
		// Commands that let the call go must outlive the end of ctx.
		ctx:  context.WithoutCancel(ctx),
		over: make(chan struct{}),
		who:  a.identity(),
	}
	c.record = i.newRecord(a, &c.who, now)
	c.id = c.record.ID
	i.gate.enter()
	i.mu.Lock()
	c.draining = i.draining
	i.calls[c] = struct{}{}
	i.mu.Unlock()
	return c
}

// leave counts a call out and records it.
func (i *Interceptor) leave(c *call) {
	if r := recover(); r != nil {
		// Letting it go has failed in a way nobody foresaw; the switch's
		// client lets the channel go.
		i.fault(c, r)
		c.conclude(ending{report.Failed, report.Internal, over, ""})
	}
	if !c.settled {
		i.gate.settled()
	}
	i.gate.leave()
	c.stopTimer()
	i.mu.Lock()
	delete(i.calls, c)
	i.mu.Unlock()
	i.records.Record(c.snapshot())
	close(c.over)
}

// fault logs a fault of this program.
func (i *Interceptor) fault(c *call, what any) {
	i.log.Error("a call met a fault of this program", "call", c.id, "fault", what, "stack", string(debug.Stack()))
}

// newRecord begins the record of a call.
func (i *Interceptor) newRecord(a *Arrival, id *identity, now time.Time) record {
	secret := i.spare
	if i.secret != nil {
		if s := i.secret(); len(s) > 0 {
			secret = s
		}
	}
	return record{report.Call{
		ID:           report.CallID(secret, a.Node, a.Channel, a.Created),
		Node:         a.Node,
		Channel:      a.Channel,
		DNIS:         shown(id.dnis),
		Presentation: shown(id.presentation),
		Started:      now,
	}}
}

// gone tells whether a command failed because the channel is no longer ours.
func gone(err error) bool {
	var g interface{ Gone() bool }
	return errors.As(err, &g) && g.Gone()
}

// refused tells whether a command failed because the switch answered no. Any
// other failure is a switch that does not answer.
func refused(err error) bool {
	var r interface{ Refused() bool }
	return errors.As(err, &r) && r.Refused()
}
