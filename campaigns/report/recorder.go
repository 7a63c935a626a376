package report

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"
)

const (
	// backlog is how many records are kept in memory while Redis is away: at
	// 100 calls a second more than a quarter of an hour, in about 100 MB.
	backlog = 100_000
	// groupSize is how many records go to Redis in one write: Redis does nothing
	// else meanwhile, which is to be for less than a millisecond.
	groupSize = 128
	// writeTimeout bounds one write.
	writeTimeout = 3 * time.Second
	// flushBudget bounds what is still written when Run is told to end.
	flushBudget = 5 * time.Second
	// trimEvery is how often the index loses what is past its retention.
	trimEvery = time.Minute
	// numberGrace is how much longer a call has its place in the index of a
	// number than in that of all: a record is kept from when it was written,
	// places go by when the call began, and as long as there is a record with a
	// number, it must be found to be forgotten.
	numberGrace = 24 * time.Hour
)

// Options are what a Recorder needs.
type Options struct {
	Redis      redis.UniversalClient
	Retention  time.Duration // how long a record is kept; 90 days when zero
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Recorder keeps one record of every call in Redis and counts the calls.
type Recorder struct {
	rdb       redis.UniversalClient
	retention time.Duration
	log       *slog.Logger
	backlog   int

	calls   *prometheus.CounterVec
	dropped prometheus.Counter

	wake chan struct{}
	mu   sync.Mutex
	// queue holds the records not yet written, oldest first.
	queue []record
	// pushed and written count the records that came into the queue and left it.
	pushed, written int
}

// record is one call on its way to Redis.
type record struct {
	id    string
	score float64
	body  []byte
	// numbers are those that the record is found by.
	numbers []string
	// count is counted when this turns out to be the first record of its call.
	count prometheus.Counter
	// orphan says that the call may have its record already, second that this
	// one has been given an id of its own.
	orphan, second bool
}

// NewRecorder makes a Recorder; it writes while Run runs.
func NewRecorder(o Options) *Recorder {
	if o.Retention <= 0 {
		o.Retention = 90 * 24 * time.Hour
	}
	r := &Recorder{
		rdb: o.Redis, retention: o.Retention, log: o.Logger, backlog: backlog,
		wake: make(chan struct{}, 1),
	}
	metrics := promauto.With(o.Registerer)
	r.calls = metrics.NewCounterVec(prometheus.CounterOpts{
		Name: "deflectd_calls_total",
		Help: "Calls that ended, by campaign and by what became of them and why.",
	}, []string{"campaign", "outcome", "reason"})
	r.dropped = metrics.NewCounter(prometheus.CounterOpts{
		Name: "deflectd_call_records_dropped_total",
		Help: "Records of calls lost because Redis was away for too long.",
	})
	metrics.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "deflectd_call_records_pending",
		Help: "Records of calls in memory that are not in Redis yet.",
	}, func() float64 { return float64(r.pending()) })
	return r
}

// Record queues the record of a call that ended; the call is counted when the
// record is written. It never blocks and never fails: what Redis cannot take
// now is written later, in order.
//
// The first record of a call stays. That of an orphan is forgotten where there
// is one: whoever finds an orphan cannot know. Any other second record is that
// of a channel which the dialplan has led here again, and is kept under an id of
// its own.
func (r *Recorder) Record(c Call) { r.record(c, false) }

func (r *Recorder) record(c Call, second bool) {
	if !allowed(c.Outcome, c.Reason) {
		r.log.Error("a call ended with an outcome and a reason that do not belong together",
			"call", c.ID, "campaign", c.Campaign, "outcome", c.Outcome, "reason", c.Reason)
		c.Outcome, c.Reason = Failed, Internal
	}
	if c.Started.IsZero() {
		c.Started = time.Now()
	}
	utc(&c)
	body, err := json.Marshal(c)
	if err != nil {
		r.log.Error("a record of a call cannot be written as JSON", "call", c.ID, "error", err)
		r.dropped.Inc()
		return
	}
	r.push(record{
		id: c.ID, score: score(c.Started), body: body, numbers: c.numbers(),
		orphan: c.Reason == Orphaned, second: second,
		count: r.calls.WithLabelValues(c.Campaign, string(c.Outcome), string(c.Reason)),
	})
}

func (r *Recorder) push(next record) {
	r.mu.Lock()
	full := len(r.queue) >= r.backlog
	if !full {
		r.queue = append(r.queue, next)
		r.pushed++
	}
	r.mu.Unlock()
	if full {
		r.dropped.Inc()
		next.count.Inc() // it cannot be known better any more
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run writes the records until ctx ends, and then what is left within a few
// seconds; it fails when some could not be written.
func (r *Recorder) Run(ctx context.Context) error {
	trim := time.NewTicker(trimEvery)
	defer trim.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-r.wake:
			r.drain(ctx)
		case <-trim.C:
			r.trim(ctx)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushBudget)
	defer cancel()
	r.drain(ctx)
	if left := r.pending(); left > 0 {
		return fmt.Errorf("%d records of calls could not be written", left)
	}
	return nil
}

// drain writes what is queued, in order, and comes back when nothing is left
// or ctx has ended. While Redis is away it tries again and again.
func (r *Recorder) drain(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 2*time.Second
	failing := false
	for {
		group := r.head()
		if len(group) == 0 {
			return
		}
		err := r.write(ctx, group)
		if err == nil {
			r.drop(len(group))
			if failing {
				r.log.Info("records of calls are written again", "pending", r.pending())
				failing = false
			}
			pause.Reset()
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if !failing {
			r.log.Warn("records of calls cannot be written; they are kept in memory", "error", err)
			failing = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// head gives the oldest records without taking them off the queue: they leave
// it once they are written. Only drain takes any off.
func (r *Recorder) head() []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue[:min(len(r.queue), groupSize):min(len(r.queue), groupSize)]
}

// drop takes the n oldest records off the queue.
func (r *Recorder) drop(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written += n
	clear(r.queue[:n])
	r.queue = r.queue[n:]
	if len(r.queue) == 0 {
		r.queue = nil
	}
}

func (r *Recorder) pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// trim takes out of the index what is past its retention; the records
// themselves expire.
func (r *Recorder) trim(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := r.rdb.ZRemRangeByScore(ctx, indexKey, "-inf", "("+r.oldest(0)).Err(); err != nil && ctx.Err() == nil {
		r.log.Warn("the index of calls cannot be trimmed", "error", err)
	}
}

// oldest is the score below which an index keeps nothing.
func (r *Recorder) oldest(grace time.Duration) string {
	return scoreText(score(time.Now().Add(-r.retention - grace)))
}

func utc(c *Call) {
	for _, t := range []*time.Time{&c.Started, &c.Answered, &c.Ended} {
		*t = t.UTC()
	}
	if c.Steps == nil {
		return
	}
	steps := make([]Step, len(c.Steps))
	for i, s := range c.Steps {
		s.At = s.At.UTC()
		steps[i] = s
	}
	c.Steps = steps
}
