package message

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/sender"
)

//go:embed scripts/*.lua
var scriptFiles embed.FS

// One script for each change of a message; keys, arguments and answers are
// documented on top of each. Every one is harmless when it is run twice, which
// the Redis client does when a connection breaks, and answers the same the
// second time, unless something else has happened to the message in between: so
// what happened is counted once. It is not counted where no answer arrives at
// all: where Redis does not answer in time, or the process ends before.
var (
	enqueueScript = loadScript("common", guards, "enqueue")
	sendingScript = loadScript("common", guards, released, "endings", "rate", "sending")
	settleScript  = loadScript("common", guards, "endings", "settle")
	retryScript   = loadScript("common", guards, "endings", "retry")
	claimScript   = loadScript("common", guards, "endings", "rate", "claim")
	extendScript  = loadScript("common", "extend")
	cancelScript  = loadScript("common", guards, "endings", "cancel")
	reportScript  = loadScript("common", guards, "endings", "report")
	figuresScript = loadScript("common", "figures")
	forgetScript  = loadScript("common", guards, "endings", "forget")
	linkScript    = loadScript("common", guards, "link")
	unlinkScript  = loadScript("common", "unlink")
)

// guards and released stand for what packages optout and guard, and sender, have
// for scripts.
const (
	guards   = "guards"
	released = "released"
)

// loadScript puts embedded scripts together, the last being the one that is run;
// one that is not there is a fault of the build, found by whatever runs the
// program first.
func loadScript(names ...string) *redis.Script {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "local LIVE, LISTS, QUEUED, DOUBTED, TEXTS = '%s', '%s', '%s', '%s', '%s'\n",
		outboxKey, listKey, queuedKey, doubtedKey, textsPrefix)
	for _, name := range names {
		switch name {
		case guards:
			b.WriteString(optout.Lua + guard.Lua)
			continue
		case released:
			b.WriteString(sender.Lua)
			continue
		}
		part, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			panic(err)
		}
		b.Write(part)
	}
	return redis.NewScript(b.String())
}

// The keys of the queue and of the indices.
var (
	// The queue: see scripts/common.lua, where they have other names.
	outboxKey  = campaigns.Key("outbox")
	listKey    = campaigns.Key("outbox", "list")
	queuedKey  = campaigns.Key("outbox", "queued")
	doubtedKey = campaigns.Key("outbox", "unknown")
	// indexKey has the ids of all messages, by when they were made.
	indexKey = campaigns.Key("messages")
	// messagePrefix begins the key of each message's record.
	messagePrefix = campaigns.Key("message", "")
	// textsPrefix begins the keys of the figures of each campaign.
	textsPrefix = campaigns.Key("texts", "")
	// ratePrefix begins the key of each sender's rate.
	ratePrefix = campaigns.Key("rate", "")
)

// claimKeys are those of the claim script.
func claimKeys(holder string) []string {
	return []string{campaigns.ServiceKey, campaigns.Key("outbox", "claim", holder)}
}

func messageKey(id string) string { return messagePrefix + id }

// rateKey is when the next text of a sender is due, at the pace it may send.
func rateKey(originator string) string { return ratePrefix + originator }

// numberKey has the ids of the messages to one number, by when they were made.
func numberKey(e164 string) string { return campaigns.Key("messages", "to", e164) }

// idempotencyKey hashes the key, which is as long as its sender likes.
func idempotencyKey(key string) string {
	return campaigns.Key("idempotency", "message", hashed(key))
}

// linkIdempotencyKey is that of a request for a link alone.
func linkIdempotencyKey(key string) string {
	return campaigns.Key("idempotency", "link", hashed(key))
}

// linksKey has the codes of the links that were made alone for a person, by when
// they expire.
func linksKey(person string) string { return campaigns.Key("links", person) }

// run runs a script within the store's time and gives its answer as a list.
// Every error is an ErrStore.
func (o *Outbox) run(ctx context.Context, s *redis.Script, doing string, keys []string, args ...any) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, o.opts.StoreTimeout)
	defer cancel()
	values, err := s.Run(ctx, o.rdb, keys, args...).Slice()
	if err != nil {
		return nil, storeError(doing, err)
	}
	return values, nil
}

func storeError(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, ErrStore, err)
}

// errAnswer is an answer no script of ours gives.
var errAnswer = errors.New("unexpected answer of a script")

// reply is the answer of a script: strings, numbers and lists of such.
type reply []any

func (r reply) string(i int) string {
	if i < len(r) {
		switch v := r[i].(type) {
		case string:
			return v
		case int64:
			return strconv.FormatInt(v, 10)
		}
	}
	return ""
}

func (r reply) int(i int) int64 {
	if i < len(r) {
		switch v := r[i].(type) {
		case int64:
			return v
		case string:
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}

func (r reply) list(i int) reply {
	if i < len(r) {
		if v, ok := r[i].([]any); ok {
			return v
		}
	}
	return nil
}

func (r reply) millis(i int) time.Duration {
	return time.Duration(r.int(i)) * time.Millisecond
}
