package link

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
)

var (
	// errUnknown says that there is no such link, or that it expired so long
	// ago that it was forgotten.
	errUnknown = errors.New("unknown link")
	// errExpired says that the link led somewhere until it expired.
	errExpired = errors.New("link has expired")
)

// The fields of a link's hash in Redis. The scripts that make a text durable, or a
// link alone, write them and set the key to expire after TTL; scripts/open.lua
// counts in "opens" and "bots".
const (
	FieldCampaign = "campaign" // id
	FieldMessage  = "message"  // id of the text that carries the link
	FieldBy       = "by"       // of a link alone: the name of the token that asked for it
)

// grace is how long an expired link is still known as expired.
const grace = 30 * 24 * time.Hour

// Key is the name of a link's hash in Redis. It says nothing about who the link
// is for.
func Key(code string) string {
	return campaigns.Key("link", code)
}

// URLKey is the name of the key in Redis that holds where a link leads. It is
// set to expire with the link: there may be a caller's number in it.
func URLKey(code string) string {
	return campaigns.Key("link", code, "url")
}

// TTL is how long the hash of a link that expires after d is kept: long enough
// to tell those who come late that it has expired.
func TTL(d time.Duration) time.Duration {
	return d + grace
}

// link is what is known of a code.
type link struct {
	campaign string
	url      string // where it leads
}

//go:embed scripts/open.lua
var openLua string

var openScript = redis.NewScript(openLua)

// open looks a link up and counts who opened it. The errors are errUnknown,
// errExpired, or those of Redis.
func open(ctx context.Context, rdb redis.UniversalClient, code string, by visitor) (link, error) {
	answer, err := openScript.Run(ctx, rdb, []string{Key(code), URLKey(code)}, string(by)).StringSlice()
	switch {
	case err != nil:
		return link{}, fmt.Errorf("read link: %w", err)
	case len(answer) == 0:
		return link{}, errUnknown
	case len(answer) == 1:
		return link{}, errExpired
	}
	return link{campaign: answer[0], url: answer[1]}, nil
}
