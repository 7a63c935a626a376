package optout

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
)

var (
	//go:embed scripts/clock.lua
	clockLua string
	//go:embed scripts/add.lua
	addLua string
	//go:embed scripts/remove.lua
	removeLua string
	//go:embed scripts/forget.lua
	forgetLua string
	//go:embed scripts/list.lua
	listLua string

	addScript    = redis.NewScript(clockLua + Lua + addLua)
	removeScript = redis.NewScript(clockLua + Lua + removeLua)
	forgetScript = redis.NewScript(forgetLua)
	listScript   = redis.NewScript(Lua + listLua)

	listKey = campaigns.Key("optouts")
)

func entryKey(person string) string { return campaigns.Key("optout", person) }

// Bounds of what people write.
const (
	maxReason = 200
	maxBy     = 100
)

var (
	errNoSecret = errors.New("the service secret is not known yet")
	errAnswer   = errors.New("unexpected answer of a script")
)

func storeError(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, ErrStore, err)
}

// person is the pseudonym of a number.
func (l *List) person(doing, e164 string) (string, error) {
	secret := l.o.Secret()
	if secret == nil {
		return "", storeError(doing, errNoSecret)
	}
	return campaigns.Pseudonym(secret, e164), nil
}

// Add puts a number on the list: Number and Source are needed, Reason and By may
// be given; Since is now, by Redis' clock, unless it is set to an earlier time.
// An entry that is there already stays as it was, and added is false. The errors
// are campaigns.Invalid and ErrStore.
func (l *List) Add(ctx context.Context, e Entry) (added bool, err error) {
	const doing = "put a number on the list of opt-outs"
	if err := e.check(); err != nil {
		return false, err
	}
	person, err := l.person(doing, e.Number)
	if err != nil {
		return false, err
	}
	n, err := l.write(ctx, doing, e.args([]any{rand.Text()}, person))
	if err != nil {
		return false, err
	}
	if n > 0 {
		l.Count(e.Source)
	}
	return n > 0, nil
}

// write runs the script that adds.
func (l *List) write(ctx context.Context, doing string, args []any) (added int, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.StoreTimeout)
	defer cancel()
	added, err = addScript.Run(ctx, l.rdb, []string{listKey}, args...).Int()
	if err != nil {
		return 0, storeError(doing, err)
	}
	return added, nil
}

// args appends what the script that adds needs of an entry.
func (e Entry) args(args []any, person string) []any {
	since := ""
	if !e.Since.IsZero() {
		since = strconv.FormatInt(e.Since.UnixMilli(), 10)
	}
	return append(args, person, e.Number, since, string(e.Source), e.Reason, e.By)
}

// check says what is wrong with an entry that is to be added.
func (e Entry) check() error {
	var problems campaigns.Invalid
	if !isE164(e.Number) {
		problems = append(problems, campaigns.Problem{Pointer: "/number", Message: "a number in E.164 is needed"})
	}
	if !slices.Contains(Sources(), e.Source) {
		problems = append(problems, campaigns.Problem{Pointer: "/source", Message: "is not one of the sources of an opt-out"})
	}
	if !plain(e.Reason, maxReason) {
		problems = append(problems, campaigns.Problem{
			Pointer: "/reason", Message: fmt.Sprintf("must be one line of at most %d characters", maxReason),
		})
	}
	if !plain(e.By, maxBy) {
		problems = append(problems, campaigns.Problem{
			Pointer: "/by", Message: fmt.Sprintf("must be one line of at most %d characters", maxBy),
		})
	}
	if problems != nil {
		return problems
	}
	return nil
}

// isE164 says whether a number has the form of ITU-T E.164: at most 15 digits.
func isE164(s string) bool {
	if len(s) < 4 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// plain says whether s is one line of text that is not too long.
func plain(s string, limit int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > limit {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// Forget takes a number, and what was noted about it, out of its entry, which
// goes on counting, and drops the note of a removal; and says whether there is an
// entry. The error is ErrStore.
func (l *List) Forget(ctx context.Context, e164 string) (bool, error) {
	const doing = "forget a number on the list of opt-outs"
	person, err := l.person(doing, e164)
	if err != nil {
		return false, err
	}
	return l.change(ctx, doing, forgetScript, []string{entryKey(person), removalKey(person)})
}

func (l *List) change(ctx context.Context, doing string, s *redis.Script, keys []string, args ...any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.StoreTimeout)
	defer cancel()
	n, err := s.Run(ctx, l.rdb, keys, args...).Int()
	if err != nil {
		return false, storeError(doing, err)
	}
	return n > 0, nil
}

// Get reads the entry of a number. The errors are ErrNotFound, as a *RemovedError
// where it was on the list and it is noted why it no longer is, and ErrStore.
func (l *List) Get(ctx context.Context, e164 string) (Entry, error) {
	const doing = "read an opt-out"
	person, err := l.person(doing, e164)
	if err != nil {
		return Entry{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.StoreTimeout)
	defer cancel()
	r, err := l.rdb.HMGet(ctx, entryKey(person), "since", "number", "source", "reason", "by").Result()
	switch {
	case err != nil:
		return Entry{}, storeError(doing, err)
	case r[0] == nil:
		return Entry{}, l.missing(ctx, doing, person)
	}
	return entry(append([]any{person}, r...)), nil
}

// entry reads {person, since, number, source, reason, by}.
func entry(r []any) Entry {
	text := func(i int) string {
		s, _ := r[i].(string)
		return s
	}
	ms, _ := strconv.ParseInt(text(1), 10, 64)
	return Entry{
		Hash: text(0), Since: time.UnixMilli(ms).UTC(),
		Number: text(2), Source: Source(text(3)), Reason: text(4), By: text(5),
	}
}
