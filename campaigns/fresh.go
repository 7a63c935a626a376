package campaigns

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// DefaultRefresh is how often what is in memory is read again though nobody told of
// a change.
const DefaultRefresh = 30 * time.Second

const (
	retryRefresh = time.Second           // while Redis is away
	gather       = 20 * time.Millisecond // notices that come together, as of a whole file applied, are one
)

// Fresh keeps in memory what is in Redis: it is read at once, whenever a change
// is noticed, and every so often. A notice is only a hint, for it may be lost:
// what counts is what is read.
type Fresh struct {
	Redis   redis.UniversalClient
	Notices string        // the channel on which changes are told
	Every   time.Duration // between reads that nobody asked for; DefaultRefresh when zero
	What    string        // what it is, in the log
	Read    func(context.Context) error
	Logger  *slog.Logger
}

// Run reads until ctx ends. While Redis is away it tries every second; what was
// read last stays.
func (f Fresh) Run(ctx context.Context) error {
	if f.Every <= 0 {
		f.Every = DefaultRefresh
	}
	pubsub := f.Redis.Subscribe(ctx, f.Notices)
	defer func() { _ = pubsub.Close() }()
	notices := pubsub.Channel(redis.WithChannelSize(1))

	var lost, soon bool
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-notices:
			if !soon {
				soon = true
				next.Reset(gather)
			}
			continue
		case <-next.C:
		}
		soon = false
		if err := f.Read(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if !lost {
				f.Logger.ErrorContext(ctx, "what is in Redis cannot be read, going on with what is in memory", "what", f.What, "error", err)
			}
			lost = true
			next.Reset(retryRefresh)
			continue
		}
		if lost {
			f.Logger.InfoContext(ctx, "what is in Redis can be read again", "what", f.What)
		}
		lost = false
		next.Reset(f.Every)
	}
}
