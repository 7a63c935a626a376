package optout

import (
	"bytes"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"deflectd/campaigns"
)

func TestListIsNewestFirstAndEveryEntryIsOnOnePage(t *testing.T) {
	rdb := connect(t)
	l := newList(rdb)
	rapid.Check(t, func(r *rapid.T) {
		require.NoError(t, server.Flush(t.Context()))
		// Few times for many entries: what is of the same millisecond must not be
		// lost between two pages.
		n := rapid.IntRange(0, 30).Draw(r, "n")
		sources := map[string]Source{}
		for i := range n {
			e := Entry{
				Number: number(i), Source: rapid.SampledFrom(Sources()).Draw(r, "source"),
				Since: time.UnixMilli(1_700_000_000_000 + rapid.Int64Range(0, 3).Draw(r, "since")),
			}
			sources[e.Number] = e.Source
			add(t, l, e)
		}
		q := Query{Limit: rapid.IntRange(1, 12).Draw(r, "limit")}
		if rapid.Bool().Draw(r, "by source") {
			q.Source = rapid.SampledFrom(Sources()).Draw(r, "wanted")
		}
		want := 0
		for _, s := range sources {
			if q.Source == "" || s == q.Source {
				want++
			}
		}
		found := all(t, l, q)
		seen := map[string]bool{}
		for _, e := range found {
			assert.False(t, seen[e.Number], "twice")
			seen[e.Number] = true
			assert.True(t, q.Source == "" || e.Source == q.Source)
		}
		assert.Len(t, seen, want)
		assert.True(t, slices.IsSortedFunc(found, func(a, b Entry) int { return b.Since.Compare(a.Since) }))
	})
}

func TestAPageGoesOnWhereAnEntryHasGone(t *testing.T) {
	l := newList(connect(t))
	since := time.UnixMilli(1_700_000_000_000)
	for i := range 9 {
		add(t, l, Entry{Number: number(i), Source: API, Since: since})
	}
	first, next, err := l.List(t.Context(), Query{Limit: 4})
	require.NoError(t, err)
	require.Len(t, first, 4)

	// The one that the cursor names has gone, and come back as the newest.
	last := first[3].Number
	_, err = l.Remove(t.Context(), last)
	require.NoError(t, err)
	rest := all(t, l, Query{Cursor: next, Limit: 2})
	assert.Len(t, rest, 5)
	add(t, l, Entry{Number: last, Source: API})
	assert.Equal(t, rest, all(t, l, Query{Cursor: next, Limit: 2}))
	for _, e := range first {
		assert.NotContains(t, rest, e)
	}
	assert.Len(t, all(t, l, Query{}), 9, "a search leaves nothing behind")
}

func TestListFindsANumber(t *testing.T) {
	l := newList(connect(t))
	add(t, l, Entry{Number: number(1), Source: Page})
	add(t, l, Entry{Number: number(2), Source: API})
	found := all(t, l, Query{Number: number(2)})
	require.Len(t, found, 1)
	assert.Equal(t, number(2), found[0].Number)
	assert.Empty(t, all(t, l, Query{Number: number(2), Source: Page}))
	assert.Empty(t, all(t, l, Query{Number: number(3)}))
}

func TestListKnowsItsCursors(t *testing.T) {
	l := newList(connect(t))
	for _, cursor := range []string{"x", "12", ".", "12.short", "x." + campaigns.Pseudonym(secret, "x"), "12." + strings.Repeat("!", 22)} {
		_, _, err := l.List(t.Context(), Query{Cursor: cursor})
		require.ErrorIs(t, err, ErrCursor, cursor)
	}
}

func TestAnEntryWithoutItsRecordIsPassedOver(t *testing.T) {
	rdb := connect(t)
	l := newList(rdb)
	add(t, l, Entry{Number: number(1), Source: API, Since: time.UnixMilli(1000)})
	add(t, l, Entry{Number: number(2), Source: API, Since: time.UnixMilli(2000)})
	add(t, l, Entry{Number: number(3), Source: API, Since: time.UnixMilli(3000)})
	require.NoError(t, rdb.Del(t.Context(), entryKey(campaigns.Pseudonym(secret, number(2)))).Err())
	assert.Len(t, all(t, l, Query{Limit: 1}), 2)
	var out bytes.Buffer
	require.NoError(t, l.Export(t.Context(), &out))
	assert.Equal(t, 3, strings.Count(out.String(), "\n"))
}

func TestExportWritesWhatImportReads(t *testing.T) {
	l := newList(connect(t))
	ctx := t.Context()
	add(t, l, Entry{Number: number(1), Source: API, Reason: `said "never", in writing; twice`, By: "ops", Since: time.UnixMilli(1_700_000_000_123)})
	add(t, l, Entry{Number: number(2), Source: Inbound, Since: time.UnixMilli(1_600_000_000_000)})
	add(t, l, Entry{Number: number(3), Source: Keypress, Since: time.UnixMilli(1_650_000_000_000)})
	_, err := l.Forget(ctx, number(3))
	require.NoError(t, err)
	before := all(t, l, Query{})

	var out bytes.Buffer
	require.NoError(t, l.Export(ctx, &out))
	rows, err := csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll()
	require.NoError(t, err)
	h := campaigns.Pseudonym
	assert.Equal(t, [][]string{
		{"number", "hash", "since", "source", "reason", "by"},
		{number(1), h(secret, number(1)), "2023-11-14T22:13:20.123Z", "api", `said "never", in writing; twice`, "ops"},
		{"", h(secret, number(3)), "2022-04-15T05:20:00Z", "keypress", "", ""},
		{number(2), h(secret, number(2)), "2020-09-13T12:26:40Z", "inbound", "", ""},
	}, rows)

	require.NoError(t, server.Flush(ctx))
	done, err := l.Import(ctx, &out, ImportOptions{Region: "DE", By: "other"})
	require.NoError(t, err)
	assert.Equal(t, Imported{Added: 3, Invalid: []Line{}}, done)
	after := all(t, l, Query{})
	for i := range before {
		if before[i].By == "" {
			before[i].By = "other" // who imported, where the file names nobody
		}
	}
	assert.Equal(t, before, after)
	e, err := l.Get(ctx, number(3))
	require.NoError(t, err, "the forgotten one counts again")
	assert.Empty(t, e.Number)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestExportSaysThatItCouldNotWrite(t *testing.T) {
	l := newList(connect(t))
	add(t, l, Entry{Number: number(1), Source: API})
	broken := errors.New("broken pipe")
	require.ErrorIs(t, l.Export(t.Context(), brokenWriter{broken}), broken)
}
