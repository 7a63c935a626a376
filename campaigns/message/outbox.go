package message

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

// Options are what an Outbox needs; the zero value of most means its default.
type Options struct {
	Redis     redis.UniversalClient
	Provider  Provider
	PublicURL string // where short links lead: scheme and host
	// Guards say where and how often texts may go, and OptOuts who gets none.
	// Where there are none, in tests, nothing is guarded.
	Guards  *guard.Guards
	OptOuts *optout.List
	// Senders say what a text comes from. Where there are none it is what the
	// request names, else the campaign, else Originator.
	Senders    Senders
	Originator string
	// Secret is the service secret, nil until Redis was reached; the digests of
	// requests are keyed with it.
	Secret    func() []byte
	Retention time.Duration // how long a message is kept after it could last be sent; 90 days
	// Workers is how many texts are with the provider at once on their first
	// attempt (256); further attempts have a quarter of that beside them.
	Workers        int
	AttemptTimeout time.Duration // how long the provider may take to answer; 10 s
	StoreTimeout   time.Duration // how long Redis may take to answer; campaigns.StoreTimeout when zero
	// Lease is how long a message that a worker holds is left alone after the
	// worker was last heard of; 30 s.
	Lease    time.Duration
	Shutdown time.Duration // how long texts in flight may take to finish at the end; 5 s
	Backoff  Backoff
	Breaker  Breaker
	// TextsPerSecond is how many texts one sender sends in a second, of all
	// daemons on this Redis together; 0 for as many as there are. A fifth of a
	// second's may go at once.
	TextsPerSecond float64
	// ResendAfter is how long a text that is unknown waits for a delivery report
	// before it is sent once more, where its campaign wants that; 1 minute.
	ResendAfter time.Duration

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Senders choose what a text comes from.
type Senders interface {
	// For answers the number or name a text of the campaign to this number comes
	// from, where asked for ("" for any): "" where there is none.
	For(c *campaigns.Campaign, asked string, to phone.Number) string
	// Foresee answers what For would, of a text that is only looked at.
	Foresee(c *campaigns.Campaign, to phone.Number) string
}

// Backoff is how long a text that the provider did not process waits.
type Backoff struct {
	Initial time.Duration // before the second attempt, on average; 500 ms. It doubles from then on
	Max     time.Duration // at most, on average; 60 s
}

// Breaker says when the provider counts as down.
type Breaker struct {
	Failures uint32 // in a row; 10
	// Pause is how long it is left alone then, and after how long texts that are
	// queued look again whether the service is switched on; 5 s.
	Pause time.Duration
}

func (o *Options) setDefaults() {
	defaultTo(&o.Retention, 90*24*time.Hour)
	defaultTo(&o.Workers, 256)
	defaultTo(&o.AttemptTimeout, 10*time.Second)
	defaultTo(&o.StoreTimeout, campaigns.StoreTimeout)
	defaultTo(&o.Lease, 30*time.Second)
	defaultTo(&o.Shutdown, 5*time.Second)
	defaultTo(&o.Backoff.Initial, 500*time.Millisecond)
	defaultTo(&o.Backoff.Max, time.Minute)
	defaultTo(&o.Breaker.Failures, 10)
	defaultTo(&o.Breaker.Pause, 5*time.Second)
	defaultTo(&o.ResendAfter, time.Minute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// burstOf is for how long a sender may have been silent and send at once what it
// did not send then.
const burstOf = 200 * time.Millisecond

func defaultTo[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}

// Outbox makes texts durable and sees to it that each is sent once.
type Outbox struct {
	opts    Options
	rdb     redis.UniversalClient
	log     *slog.Logger
	metrics *metrics
	clock   *clock
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]

	// pace is the time between two texts of one sender (µs), 0 for no limit, and
	// burst how much sooner one may go.
	pace, burst int64

	worker  string        // this process, among all that work on the same queue
	names   atomic.Int64  // how many words unique has made
	claimed atomic.Int64  // claimed messages in flight, at most a quarter of Workers
	listed  atomic.Int64  // those of lists among them, at most half
	backlog atomic.Bool   // more was due than could be claimed
	live    chan struct{} // a slot for each first attempt
	nudges  chan time.Duration
	// draining is closed when nothing new begins, killed when what has begun
	// must end.
	draining, killed chan struct{}

	mu      sync.Mutex
	closed  bool
	wg      sync.WaitGroup // the goroutines that work on a message
	flights map[*flight]struct{}
	pending map[string]*Pending // by message id, until it has settled
	// withdrawals are by message id, until Redis has been told of them.
	withdrawals map[string]*withdrawal
}

// NewOutbox makes an Outbox. Send works from then on; retries, and whatever a
// dead worker left behind, need Run.
func NewOutbox(o Options) (*Outbox, error) {
	if o.Redis == nil || o.Provider == nil {
		return nil, errors.New("make outbox: a Redis client and a provider are needed")
	}
	if u, err := url.Parse(o.PublicURL); err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("make outbox: the public URL %q is no absolute URL", o.PublicURL)
	}
	o.setDefaults()
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	x := &Outbox{
		opts:        o,
		rdb:         o.Redis,
		log:         o.Logger,
		metrics:     newMetrics(o.Registerer),
		clock:       newClock(),
		worker:      rand.Text(),
		live:        make(chan struct{}, o.Workers),
		nudges:      make(chan time.Duration, 64),
		draining:    make(chan struct{}),
		killed:      make(chan struct{}),
		flights:     map[*flight]struct{}{},
		pending:     map[string]*Pending{},
		withdrawals: map[string]*withdrawal{},
	}
	if o.TextsPerSecond > 0 {
		x.pace = max(1, int64(float64(time.Second/time.Microsecond)/o.TextsPerSecond))
		x.burst = x.pace * int64(o.TextsPerSecond*burstOf.Seconds())
	}
	x.breaker = x.newBreaker()
	return x, nil
}

func (o *Outbox) newBreaker() *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        o.opts.Provider.Name(),
		MaxRequests: 3,
		Timeout:     o.opts.Breaker.Pause,
		IsExcluded:  func(err error) bool { return errors.Is(err, errNotTried) },
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= o.opts.Breaker.Failures },
		OnStateChange: func(name string, from, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				o.log.Warn("the provider fails; texts wait", "provider", name)
			case gobreaker.StateClosed:
				o.log.Info("the provider works again", "provider", name)
			case gobreaker.StateHalfOpen: // a few texts try it
			}
		},
	})
}

// ProviderUp is false while the provider fails so often that texts wait.
func (o *Outbox) ProviderUp() bool {
	return o.breaker.State() != gobreaker.StateOpen
}

// unique is a word that is never used again: this process and a number. It names
// the holder of one claim or of one first attempt, so that nothing that was held
// up is taken for what holds the message now; and a request, so that a script
// knows it again.
func (o *Outbox) unique() string {
	return o.worker + "/" + strconv.FormatInt(o.names.Add(1), 10)
}

// begin runs work in a goroutine that Run waits for at its end; it answers
// false, and runs nothing, when the outbox is closed.
func (o *Outbox) begin(work func()) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.wg.Go(work)
	return true
}

// stopping says whether nothing new may begin.
func (o *Outbox) stopping() bool {
	select {
	case <-o.draining:
		return true
	default:
		return false
	}
}

// Run takes up what is due, extends the leases of what this process holds and
// keeps the figures of the queue, until ctx ends. Then nothing new begins, what
// waits is given back, and the texts in flight, and those that are yet to be
// withdrawn, have a while to finish. The outbox cannot be used again.
func (o *Outbox) Run(ctx context.Context) error {
	o.loop(ctx)

	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	close(o.draining)
	done := make(chan struct{})
	go func() {
		o.wg.Wait()
		close(done)
	}()
	budget := time.NewTimer(o.opts.Shutdown)
	defer budget.Stop()
	select {
	case <-done:
		close(o.killed)
	case <-budget.C:
		o.log.Warn("texts in flight are cut short", "count", o.cutShort())
		<-done // every wait of theirs is bounded
	}
	o.closeAll()
	return nil
}

// cutShort ends the provider calls in flight and answers how many there are.
func (o *Outbox) cutShort() int {
	close(o.killed)
	o.mu.Lock()
	defer o.mu.Unlock()
	for f := range o.flights {
		f.abort()
	}
	return len(o.flights)
}

// change is a state that a message has entered here.
type change struct {
	message, campaign, call string
	state                   State
	cause                   string
	test                    bool
}

// changed counts, logs and tells whoever follows that a message changed here.
func (o *Outbox) changed(c change) {
	o.count(c)
	write := o.log.Debug
	if c.state == Failed || c.state == Unknown || c.state == Expired {
		write = o.log.Warn
	}
	write("message "+string(c.state), "message", c.message, "campaign", c.campaign, "call", c.call, "reason", c.cause)
	o.notify(c.message, c.state)
}

func (o *Outbox) count(c change) {
	if !c.test {
		o.metrics.entered(c.campaign, c.state)
	}
}
