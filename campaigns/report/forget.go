package report

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/forget.lua
var forgetSource string

var forgetScript = redis.NewScript(forgetSource)

const (
	// forgetTimeout bounds each request of Forget, and what it waits for the
	// records that are still on their way to Redis.
	forgetTimeout = 3 * time.Second
	// forgetLook is how often it looks whether those have been written.
	forgetLook = 5 * time.Millisecond
	// forgetTries is how often a record is read again that changes meanwhile.
	// A record changes when a number of it is forgotten, so twice at most.
	forgetTries = 3
)

// Forget takes a number (E.164) out of the records of all calls that ended, as
// the caller's and as the one that forwarded the call, and says how many had
// it. What became of these calls stays known. A call that is under way keeps
// the number, as does one that another daemon could not write yet: forget the
// number once more when it has ended.
//
// After an error some records may still have it, and it is safe to repeat.
func (r *Recorder) Forget(ctx context.Context, e164 string) (n int, err error) {
	if err := r.awaitWritten(ctx); err != nil {
		return 0, err
	}
	for {
		entries, last, err := r.forgettable(ctx, e164)
		if err != nil {
			return n, err
		}
		for _, id := range entries {
			had, err := r.forgetIn(ctx, id, e164)
			if err != nil {
				return n, err
			}
			if had {
				n++
			}
		}
		if last {
			return n, nil
		}
	}
}

// awaitWritten waits until the records that are queued now have been written.
func (r *Recorder) awaitWritten(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	count := func() (pushed, written int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.pushed, r.written
	}
	look := time.NewTicker(forgetLook)
	defer look.Stop()
	until, written := count()
	for written < until {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for records of calls to be written: %w", ctx.Err())
		case <-look.C:
		}
		_, written = count()
	}
	return nil
}

// forgettable gives some calls of a number, and whether they are the last.
func (r *Recorder) forgettable(ctx context.Context, e164 string) (ids []string, last bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	ids, err = r.rdb.ZRange(ctx, numberKey(e164), 0, scanChunk-1).Result()
	if err != nil {
		return nil, false, fmt.Errorf("search the calls of a number: %w", err)
	}
	return ids, len(ids) < scanChunk, nil
}

// forgetIn takes a number out of one record, and says whether it was in it.
func (r *Recorder) forgetIn(ctx context.Context, id, e164 string) (had bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	for range forgetTries {
		body, err := r.rdb.Get(ctx, recordKey(id)).Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			return false, fmt.Errorf("read the record of a call: %w", err)
		}
		without := body
		if len(body) > 0 { // else it has expired before its place in the index
			if without, had, err = bodyWithout(body, e164); err != nil {
				return false, err
			}
		}
		done, err := forgetScript.Run(
			ctx, r.rdb, []string{recordKey(id), numberKey(e164)}, id, body, without,
		).Bool()
		if err != nil {
			return false, fmt.Errorf("forget a number in the record of a call: %w", err)
		}
		if done {
			return had, nil
		}
	}
	return false, fmt.Errorf("forget a number in the record of a call: %w", errAnswer)
}

// bodyWithout is a record without a number, and whether that was in it.
func bodyWithout(body []byte, e164 string) (without []byte, had bool, err error) {
	c, err := decode(body)
	if err != nil {
		return nil, false, err
	}
	if !c.forget(e164) {
		return body, false, nil
	}
	without, err = json.Marshal(c)
	if err != nil {
		return nil, false, fmt.Errorf("write the record of a call: %w", err)
	}
	return without, true, nil
}
