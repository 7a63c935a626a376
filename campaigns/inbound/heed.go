package inbound

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

const (
	// replyEvery is how long an answer stands: a text that comes again gets the
	// same one, and help is not sent twice.
	replyEvery = time.Hour
	// repliesPerDay is how many replies a number gets in 24 hours at most.
	repliesPerDay = 6
	// memory is for how long a provider may hand over a text late: after that
	// nothing is known of the words that came before it, and all that stands
	// against one that opts in is an opt-out that is later.
	memory = 48 * time.Hour
)

//go:embed scripts/word.lua
var wordLua string

var wordScript = redis.NewScript(optout.Lua + wordLua)

var (
	errNoSecret = errors.New("the service secret is not known yet")
	errAnswer   = errors.New("unexpected answer of a script")
)

// heeded is what became of a word.
type heeded struct {
	counts bool   // nothing came before it that is later
	reply  string // the idempotency key of the reply; "" where there is to be none
}

// heed does what a word asks for, in one step: nothing comes between a word that
// opts out and one that takes that back. Whether there is a text to answer with
// is said by replies.
func (i *Inbox) heed(ctx context.Context, k kind, t Text, from phone.Number, replies bool) (heeded, error) {
	secret := i.o.Secret()
	if len(secret) == 0 {
		return heeded{}, storeError(errNoSecret)
	}
	person, id := campaigns.Pseudonym(secret, from.E164), identity(t)
	sent := millis(t.At)
	if k == stop && t.Local {
		sent = 0 // now: it is not to be overtaken for an hour that may be another one
	}
	// A STOP that nothing tells from an earlier one may be a new one.
	known := k != stop || t.ID != "" || !t.At.IsZero()
	ctx, cancel := context.WithTimeout(ctx, i.o.StoreTimeout)
	defer cancel()
	answer, err := wordScript.Run(ctx, i.o.Redis, []string{wordsKey(person)},
		person, from.E164, string(k), id, sent, replies,
		replyEvery.Milliseconds(), repliesPerDay, memory.Milliseconds(),
		string(optout.Inbound), rand.Text(), known).Int64Slice()
	if err == nil && len(answer) != 3 {
		err = errAnswer
	}
	if err != nil {
		return heeded{}, storeError(fmt.Errorf("heed a word: %w", err))
	}
	if answer[1] == 1 {
		i.o.OptOuts.Count(optout.Inbound)
	}
	h := heeded{counts: answer[0] == 1}
	if answer[2] > 0 {
		h.reply = strings.Join([]string{"inbound", string(k), person, strconv.FormatInt(answer[2], 10), id}, " ")
	}
	return h, nil
}

// Forget drops what is known of a person's words: when which was texted, and
// what was answered. The error is ErrStore.
func (i *Inbox) Forget(ctx context.Context, e164 string) error {
	secret := i.o.Secret()
	if len(secret) == 0 {
		return storeError(errNoSecret)
	}
	ctx, cancel := context.WithTimeout(ctx, i.o.StoreTimeout)
	defer cancel()
	if err := i.o.Redis.Del(ctx, wordsKey(campaigns.Pseudonym(secret, e164))).Err(); err != nil {
		return storeError(fmt.Errorf("forget the words of a person: %w", err))
	}
	return nil
}

// wordsKey is the key of what is known of a person's words.
func wordsKey(person string) string { return campaigns.Key("inbound", person) }

// identity is what tells a text from another one of the same person: the
// provider's id, or else all there is of it.
func identity(t Text) string {
	whole := "id " + t.ID
	if t.ID == "" {
		whole = strings.Join([]string{strconv.FormatInt(millis(t.At), 10), t.To, t.Body}, "\x00")
	}
	sum := sha256.Sum256([]byte(whole))
	return hex.EncodeToString(sum[:16])
}

// millis is t in Unix milliseconds, 0 where nobody says when it was.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
