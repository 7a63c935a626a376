package optout

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

func TestANumberIsPutOnTheListAndTakenOff(t *testing.T) {
	l := newList(connect(t))
	ctx := t.Context()
	_, err := l.Get(ctx, number(1))
	require.ErrorIs(t, err, ErrNotFound)

	begin := time.Now().Add(-time.Minute)
	added, err := l.Add(ctx, Entry{Number: number(1), Source: API, Reason: "wrote a letter", By: "ops"})
	require.NoError(t, err)
	assert.True(t, added)
	first, err := l.Get(ctx, number(1))
	require.NoError(t, err)
	assert.Equal(t, Entry{
		Number: number(1), Hash: campaigns.Pseudonym(secret, number(1)), Since: first.Since,
		Source: API, Reason: "wrote a letter", By: "ops",
	}, first)
	assert.WithinRange(t, first.Since, begin, time.Now().Add(time.Minute))

	// The second time changes nothing.
	added, err = l.Add(ctx, Entry{Number: number(1), Source: Keypress})
	require.NoError(t, err)
	assert.False(t, added)
	again, err := l.Get(ctx, number(1))
	require.NoError(t, err)
	assert.Equal(t, first, again)

	_, err = l.Get(ctx, number(2))
	require.ErrorIs(t, err, ErrNotFound)

	removed, err := l.Remove(ctx, number(1))
	require.NoError(t, err)
	assert.True(t, removed)
	removed, err = l.Remove(ctx, number(1))
	require.NoError(t, err)
	assert.False(t, removed)
	_, err = l.Get(ctx, number(1))
	require.ErrorIs(t, err, ErrNotFound)
	assert.Empty(t, all(t, l, Query{}))
	keys, err := server.Keys(ctx, "*")
	require.NoError(t, err)
	assert.Empty(t, keys)
}

func TestSinceMayBeEarlierButNotLaterThanNow(t *testing.T) {
	l := newList(connect(t))
	before := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.UTC)
	add(t, l, Entry{Number: number(1), Source: Import, Since: before})
	add(t, l, Entry{Number: number(2), Source: Import, Since: time.Now().AddDate(1, 0, 0)})
	e, err := l.Get(t.Context(), number(1))
	require.NoError(t, err)
	assert.Equal(t, before, e.Since)
	e, err = l.Get(t.Context(), number(2))
	require.NoError(t, err)
	assert.Less(t, time.Until(e.Since), time.Hour)
}

func TestNewEntriesAreCountedBySource(t *testing.T) {
	l := newList(connect(t))
	add(t, l, Entry{Number: number(1), Source: Keypress})
	add(t, l, Entry{Number: number(2), Source: Keypress})
	_, err := l.Add(t.Context(), Entry{Number: number(2), Source: Inbound})
	require.NoError(t, err)
	l.Count(Provider)
	_, err = l.Import(t.Context(), strings.NewReader("+14155550101\n+14155550102\n+14155550102"), ImportOptions{Region: "US"})
	require.NoError(t, err)
	for source, n := range map[Source]float64{Keypress: 2, Provider: 1, Import: 2, Inbound: 0} {
		assert.Equal(t, n, testutil.ToFloat64(l.added.WithLabelValues(string(source))), source)
	}
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	l := newList(connect(t))
	for name, test := range map[string]struct {
		entry   Entry
		pointer string
	}{
		"no number":                {Entry{Source: API}, "/number"},
		"national":                 {Entry{Number: "4155550132", Source: API}, "/number"},
		"letters":                  {Entry{Number: "+1415555ACME", Source: API}, "/number"},
		"too long":                 {Entry{Number: "+1234567890123456", Source: API}, "/number"},
		"no source":                {Entry{Number: number(1)}, "/source"},
		"other source":             {Entry{Number: number(1), Source: "dream"}, "/source"},
		"long reason":              {Entry{Number: number(1), Source: API, Reason: strings.Repeat("é", 201)}, "/reason"},
		"reason of two lines":      {Entry{Number: number(1), Source: API, Reason: "a\nb"}, "/reason"},
		"reason in no valid UTF-8": {Entry{Number: number(1), Source: API, Reason: "a\xff"}, "/reason"},
		"long name":                {Entry{Number: number(1), Source: API, By: strings.Repeat("x", 101)}, "/by"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.Add(t.Context(), test.entry)
			var invalid campaigns.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Len(t, invalid, 1)
			assert.Equal(t, test.pointer, invalid[0].Pointer)
			if test.entry.Number != "" {
				assert.NotContains(t, err.Error(), test.entry.Number)
			}
		})
	}
	assert.Empty(t, all(t, l, Query{}))
	add(t, l, Entry{Number: number(1), Source: API, Reason: strings.Repeat("é", 200)})
}

func TestAForgottenPersonStaysOptedOut(t *testing.T) {
	rdb := connect(t)
	l := newList(rdb)
	ctx := t.Context()
	known, err := l.Forget(ctx, number(1))
	require.NoError(t, err)
	assert.False(t, known)

	add(t, l, Entry{Number: number(1), Source: Inbound, Reason: "call " + number(1) + " not, said Ms. Doe"})
	before, err := l.Get(ctx, number(1))
	require.NoError(t, err)
	known, err = l.Forget(ctx, number(1))
	require.NoError(t, err)
	assert.True(t, known)

	e, err := l.Get(ctx, number(1))
	require.NoError(t, err)
	assert.Equal(t, Entry{Hash: before.Hash, Since: before.Since, Source: Inbound}, e)
	noneOf(t, rdb, number(1)[1:], "Doe")

	// What comes later does not bring the number back.
	added, err := l.Add(ctx, Entry{Number: number(1), Source: Provider})
	require.NoError(t, err)
	assert.False(t, added)
	noneOf(t, rdb, number(1)[1:])
	assert.Equal(t, []Entry{e}, all(t, l, Query{}))
	assert.Equal(t, []Entry{e}, all(t, l, Query{Number: number(1)}))

	removed, err := l.Remove(ctx, number(1))
	require.NoError(t, err)
	assert.True(t, removed)
}

// noneOf looks into every key and value in Redis.
func noneOf(t *testing.T, rdb redis.UniversalClient, words ...string) {
	t.Helper()
	keys, err := server.Keys(t.Context(), "*")
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	for _, key := range keys {
		value, err := rdb.Dump(t.Context(), key).Result() // as it is in memory
		require.NoError(t, err)
		fields, _ := rdb.HGetAll(t.Context(), key).Result()
		members, _ := rdb.ZRange(t.Context(), key, 0, -1).Result()
		for _, word := range words {
			assert.NotContains(t, key, word)
			assert.NotContains(t, value, word)
			for name, value := range fields {
				assert.NotContains(t, name+" "+value, word)
			}
			for _, member := range members {
				assert.NotContains(t, member, word)
			}
		}
	}
}

func TestNothingIsDoneWithoutTheSecretOrRedis(t *testing.T) {
	l := newList(connect(t), func(o *Options) { o.Secret = func() []byte { return nil } })
	for name, err := range eachFails(t, l) {
		if name != "list" && name != "export" { // these two need no number
			require.ErrorIs(t, err, ErrStore, name)
			require.NotErrorIs(t, err, ErrNotFound, name)
		}
	}

	r, err := lab.StartRedis(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Stop() })
	l = newList(labtest.Dial(t, r, labtest.Patience), func(o *Options) { o.StoreTimeout = 100 * time.Millisecond })
	require.NoError(t, r.Freeze())
	t.Cleanup(func() { _ = r.Thaw() })
	for name, err := range eachFails(t, l) {
		require.ErrorIs(t, err, ErrStore, name)
		assert.NotContains(t, err.Error(), number(1)[1:], name)
	}
}

// eachFails calls every method at once and gathers what they say.
func eachFails(t *testing.T, l *List) map[string]error {
	ctx := t.Context()
	var wg sync.WaitGroup
	var mu sync.Mutex
	errs := map[string]error{}
	for name, call := range map[string]func() error{
		"add":         func() error { _, err := l.Add(ctx, Entry{Number: number(1), Source: API}); return err },
		"remove":      func() error { _, err := l.Remove(ctx, number(1)); return err },
		"forget":      func() error { _, err := l.Forget(ctx, number(1)); return err },
		"get":         func() error { _, err := l.Get(ctx, number(1)); return err },
		"get by list": func() error { _, _, err := l.List(ctx, Query{Number: number(1)}); return err },
		"list":        func() error { _, _, err := l.List(ctx, Query{}); return err },
		"export":      func() error { return l.Export(ctx, io.Discard) },
		"import": func() error {
			_, err := l.Import(ctx, strings.NewReader("+14155550132"), ImportOptions{})
			return err
		},
	} {
		wg.Go(func() {
			err := call()
			mu.Lock()
			defer mu.Unlock()
			errs[name] = err
		})
	}
	wg.Wait()
	return errs
}

// A request that the client repeats, because the connection broke before the
// answer, says that the entry is new as it did the first time.
func TestARepeatedRequestIsAnsweredTheSame(t *testing.T) {
	rdb := connect(t)
	rdb.AddHook(labtest.Twice{})
	l := newList(rdb)
	add(t, l, Entry{Number: number(1), Source: Keypress})
	added, err := l.Add(t.Context(), Entry{Number: number(1), Source: Keypress})
	require.NoError(t, err)
	assert.False(t, added)
}

func TestTheFunctionsServeOtherScripts(t *testing.T) {
	rdb := connect(t)
	l := newList(rdb)
	hash := campaigns.Pseudonym(secret, number(1))
	script := redis.NewScript(Lua + `
		local before = optout_has(ARGV[1])
		local first = optout_add(ARGV[1], ARGV[2], tonumber(ARGV[3]), 'provider', '')
		local second = optout_add(ARGV[1], ARGV[2], tonumber(ARGV[3]) + 5, 'inbound', 'x')
		return { tostring(before), first, second, tostring(optout_has(ARGV[1])) }`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	answer, err := script.Run(t.Context(), rdb, []string{listKey}, hash, number(1), at.UnixMilli()).Slice()
	require.NoError(t, err)
	assert.Equal(t, []any{"false", int64(1), int64(0), "true"}, answer)
	e, err := l.Get(t.Context(), number(1))
	require.NoError(t, err)
	assert.Equal(t, Entry{Number: number(1), Hash: hash, Since: at, Source: Provider}, e)
	assert.Equal(t, []Entry{e}, all(t, l, Query{}))
}
