package optout

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const (
	defaultLimit = 50
	maxLimit     = 500
	// pageSize is how many entries are read at once, scanMost how many one List
	// looks at: its answer may be short, or even empty, before the end.
	pageSize = 250
	scanMost = 5000
)

// Query selects entries; empty fields select all.
type Query struct {
	Number string // E.164
	Source Source
	Limit  int    // at most 500; 50 when zero
	Cursor string // where the previous page ended
}

// List answers the entries that match, newest first, and a cursor for those that
// follow ("" at the end). It looks at a limited number of entries: a page may be
// short and have a successor. The errors are ErrCursor and ErrStore.
func (l *List) List(ctx context.Context, q Query) (found []Entry, next string, err error) {
	at, err := parsePosition(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	if q.Number != "" {
		return l.one(ctx, q)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	for range scanMost / pageSize {
		// One more than is wanted tells whether anything follows.
		size := pageSize
		if q.Source == "" {
			size = limit + 1
		}
		entries, ends, err := l.page(ctx, at, size)
		if err != nil {
			return nil, "", err
		}
		for i, e := range entries {
			at = ends[i]
			if e.Source == "" || q.Source != "" && e.Source != q.Source {
				continue
			}
			found = append(found, e)
			if len(found) < limit {
				continue
			}
			if i == len(entries)-1 && len(entries) < size {
				return found, "", nil
			}
			return found, at.String(), nil
		}
		if len(entries) < size {
			return found, "", nil
		}
	}
	return found, at.String(), nil
}

// one answers a query for one number.
func (l *List) one(ctx context.Context, q Query) ([]Entry, string, error) {
	e, err := l.Get(ctx, q.Number)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, "", nil
	case err != nil:
		return nil, "", err
	case q.Source != "" && e.Source != q.Source:
		return nil, "", nil
	}
	return []Entry{e}, "", nil
}

// page reads the entries that follow a position, and the position of each. One
// without a source lost its record and is to be passed over.
func (l *List) page(ctx context.Context, after position, size int) ([]Entry, []position, error) {
	const doing = "list opt-outs"
	ctx, cancel := context.WithTimeout(ctx, l.o.StoreTimeout)
	defer cancel()
	answer, err := listScript.Run(ctx, l.rdb, []string{listKey}, after.since, after.person, size).Slice()
	if err != nil {
		return nil, nil, storeError(doing, err)
	}
	entries, ends := make([]Entry, 0, len(answer)), make([]position, 0, len(answer))
	for _, a := range answer {
		r, ok := a.([]any)
		if !ok || len(r) < 2 {
			return nil, nil, storeError(doing, errAnswer)
		}
		for len(r) < 6 {
			r = append(r, "")
		}
		e := entry(r)
		entries = append(entries, e)
		ends = append(ends, position{since: strconv.FormatInt(e.Since.UnixMilli(), 10), person: e.Hash})
	}
	return entries, ends, nil
}

// position is an entry's place in the list; the zero value is before the first.
type position struct {
	since  string // Unix ms
	person string
}

func (p position) String() string { return p.since + "." + p.person }

// hashLength is how long a pseudonym is.
const hashLength = 22

func parsePosition(cursor string) (position, error) {
	if cursor == "" {
		return position{}, nil
	}
	since, person, _ := strings.Cut(cursor, ".")
	if _, err := strconv.ParseInt(since, 10, 64); err != nil || !isHash(person) {
		return position{}, fmt.Errorf("list opt-outs: %w", ErrCursor)
	}
	return position{since, person}, nil
}

// isHash says whether s has the form of a pseudonym.
func isHash(s string) bool {
	if len(s) != hashLength {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// columns are those of an export, in order.
var columns = []string{"number", "hash", "since", "source", "reason", "by"}

// Export writes the list as CSV (RFC 4180) with a header: number, hash, since
// (RFC 3339), source, reason, by; newest first. It is written as it is read. What
// is changed meanwhile may be in it or not; everything else is, once. The errors
// are ErrStore and those of w.
func (l *List) Export(ctx context.Context, w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(columns); err != nil {
		return fmt.Errorf("export opt-outs: %w", err)
	}
	var at position
	for {
		entries, ends, err := l.page(ctx, at, pageSize)
		if err != nil {
			return err
		}
		for i, e := range entries {
			at = ends[i]
			if e.Source == "" {
				continue
			}
			row := []string{e.Number, e.Hash, e.Since.Format(time.RFC3339Nano), string(e.Source), e.Reason, e.By}
			if err := out.Write(row); err != nil {
				return fmt.Errorf("export opt-outs: %w", err)
			}
		}
		if out.Flush(); out.Error() != nil {
			return fmt.Errorf("export opt-outs: %w", out.Error())
		}
		if len(entries) < pageSize {
			return nil
		}
	}
}
