package link

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
)

var (
	// ErrUnknown says that there is no such link, or that it expired so long
	// ago that it was forgotten.
	ErrUnknown = errors.New("unknown link")
	// ErrExpired says that the link led somewhere until it expired.
	ErrExpired = errors.New("link has expired")
)

// The fields of a link's hash in Redis. The script that makes a text durable
// writes the first five, and sets the key to expire after TTL.
const (
	FieldURL      = "url"      // the interaction URL
	FieldCampaign = "campaign" // id
	FieldMessage  = "message"  // id of the text that carries the link; may be empty
	FieldCreated  = "created"  // Unix milliseconds
	FieldExpires  = "expires"  // Unix milliseconds
	FieldOpens    = "opens"    // times a person opened it
	FieldBots     = "bots"     // times a preview or a scanner opened it
)

// grace is how long an expired link is still known as expired.
const grace = 30 * 24 * time.Hour

// Key is the name of a link's hash in Redis.
func Key(code string) string {
	return campaigns.Key("link", code)
}

// TTL is how long a link that expires after d is kept: long enough to tell
// those who come late that it has expired.
func TTL(d time.Duration) time.Duration {
	return d + grace
}

// Link is one short code that leads one recipient to one interaction URL.
type Link struct {
	Code     string    `json:"code"`
	URL      string    `json:"url"`
	Campaign string    `json:"campaign"`
	Message  string    `json:"message,omitempty"`
	Created  time.Time `json:"created_at"`
	Expires  time.Time `json:"expires_at"`
	Opens    int64     `json:"opens"` // by persons
	Bots     int64     `json:"bots"`  // by previews and scanners
}

//go:embed scripts/open.lua
var openLua string

var openScript = redis.NewScript(openLua)

// Store reads links. They are written together with the text that carries them.
type Store struct {
	rdb redis.UniversalClient
}

// NewStore reads links from rdb.
func NewStore(rdb redis.UniversalClient) *Store {
	return &Store{rdb: rdb}
}

// Get reads a link without counting. The errors are ErrUnknown, ErrExpired
// (the link is given all the same), or those of Redis.
func (s *Store) Get(ctx context.Context, code string) (Link, error) {
	return s.open(ctx, code, nobody)
}

// open reads a link and counts who opened it. Errors as in Get.
func (s *Store) open(ctx context.Context, code string, by visitor) (Link, error) {
	if !isCode(code) {
		return Link{}, ErrUnknown
	}
	answer, err := openScript.Run(ctx, s.rdb, []string{Key(code)}, string(by)).StringSlice()
	switch {
	case errors.Is(err, redis.Nil):
		return Link{}, ErrUnknown
	case err != nil:
		return Link{}, fmt.Errorf("read link: %w", err)
	}
	return parse(code, answer)
}

// parse reads the answer of scripts/open.lua.
func parse(code string, a []string) (Link, error) {
	if len(a) != 8 {
		return Link{}, fmt.Errorf("read link: unexpected answer of %d values", len(a))
	}
	l := Link{
		Code: code, URL: a[0], Campaign: a[1], Message: a[2],
		Created: millis(a[3]), Expires: millis(a[4]),
		Opens: number(a[5]), Bots: number(a[6]),
	}
	if a[7] == "1" {
		return l, ErrExpired
	}
	return l, nil
}

func millis(s string) time.Time {
	return time.UnixMilli(number(s)).UTC()
}

// number reads a counter; one that is not there yet is zero.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
