package optout

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

func TestImportReadsWhatPeopleHave(t *testing.T) {
	hash := campaigns.Pseudonym(secret, "+14155550190")
	for name, test := range map[string]struct {
		file    string
		numbers []string // those on the list after it; "" for one without number
		invalid []Line
	}{
		"nothing":                    {"", nil, nil},
		"one number":                 {"+14155550101", []string{"+14155550101"}, nil},
		"national":                   {"(415) 555-0101\n415.555.0102\n", []string{"+14155550101", "+14155550102"}, nil},
		"header":                     {"Number\n+14155550101\n", []string{"+14155550101"}, nil},
		"header of another name":     {"Telefon;Name\n+14155550101;Doe\n", []string{"+14155550101"}, nil},
		"header, other order":        {"Reason;Number\n\"a;b,c\";+14155550101\n", []string{"+14155550101"}, nil},
		"byte order mark and CRLF":   {"\ufeffnumber,reason\r\n+14155550101,x\r\n\r\n+14155550102,y", []string{"+14155550101", "+14155550102"}, nil},
		"byte order mark, no header": {"\ufeff+14155550101\r\n", []string{"+14155550101"}, nil},
		"semicolons":                 {"+14155550101;a,b\n+14155550102;\n", []string{"+14155550101", "+14155550102"}, nil},
		"tabs":                       {"+14155550101\ta,b;c\n", []string{"+14155550101"}, nil},
		"quotes":                     {"\"+14155550101\" , \"x \"\"y\"\"\"\n", []string{"+14155550101"}, nil},
		"separator seen late":        {"+14155550101\n+14155550102;x\n", []string{"+14155550101", "+14155550102"}, nil},
		"empty rows":                 {",,\n\n+14155550101,,\n ;\n", []string{"+14155550101"}, []Line{{4, "the number is not valid"}}},
		"bad among good": {
			"+14155550101\nDoe\n123\n+14155550102,\n\"+14155550103\n+1415555010344444\n,x\n+14155550104\nanonymous",
			[]string{"+14155550101", "+14155550102", "+14155550104"},
			[]Line{
				{2, "the number is not valid"},
				{3, "the number is not valid"},
				{5, "has a quote that does not end"},
				{6, "the number is not valid"},
				{7, "has no number"},
				{9, "the number is not valid"},
			},
		},
		"a line without end": {
			"+14155550101\n" + strings.Repeat("9", 3*maxLine) + "\n+14155550102",
			[]string{"+14155550101", "+14155550102"},
			[]Line{{2, "is longer than 4096 bytes"}},
		},
		"a last line without end": {
			"+14155550101\n" + strings.Repeat("9", maxLine+1),
			[]string{"+14155550101"},
			[]Line{{2, "is longer than 4096 bytes"}},
		},
		"hash alone":     {"number,hash\n," + hash + "\n", []string{""}, nil},
		"hash of nobody": {"hash,number\nx,\n,\n" + hash + "!,\n", nil, []Line{{2, "has no number, and its hash is none of this service's"}, {4, "has no number, and its hash is none of this service's"}}},
		"hash without a header is a note": {
			"," + hash + "\n", nil,
			[]Line{{1, "has no number"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newList(connect(t))
			// However the file comes in.
			done, err := l.Import(t.Context(), iotest.OneByteReader(strings.NewReader(test.file)), ImportOptions{Region: "US", By: "ops"})
			require.NoError(t, err)
			if test.invalid == nil {
				test.invalid = []Line{}
			}
			assert.Equal(t, Imported{Added: len(test.numbers), Rejected: len(test.invalid), Invalid: test.invalid}, done)
			var found []string
			for _, e := range all(t, l, Query{}) {
				found = append(found, e.Number)
				assert.Equal(t, Import, e.Source)
				assert.Equal(t, "ops", e.By)
			}
			assert.ElementsMatch(t, test.numbers, found)
		})
	}
}

func TestImportKeepsWhatIsOnTheListAndReadsTheOtherColumns(t *testing.T) {
	l := newList(connect(t))
	add(t, l, Entry{Number: "+14155550101", Source: Keypress})
	before, err := l.Get(t.Context(), "+14155550101")
	require.NoError(t, err)
	file := "number,since,source,reason,by\n" +
		"+14155550101,2020-01-02T03:04:05Z,inbound,other,other\n" +
		"+14155550102,2020-01-02T03:04:05+01:00,inbound,a note,bob\n" +
		"+14155550102,2021-01-02T03:04:05Z,api,again,bob\n" +
		"+14155550103,yesterday,gossip," + strings.Repeat("x", 300) + ",\n"
	done, err := l.Import(t.Context(), strings.NewReader(file), ImportOptions{Region: "US", By: "ops"})
	require.NoError(t, err)
	assert.Equal(t, Imported{Added: 2, Known: 2, Invalid: []Line{}}, done)

	e, err := l.Get(t.Context(), "+14155550101")
	require.NoError(t, err)
	assert.Equal(t, before, e)
	e, err = l.Get(t.Context(), "+14155550102")
	require.NoError(t, err)
	assert.Equal(t, Entry{
		Number: "+14155550102", Hash: e.Hash, Since: time.Date(2020, 1, 2, 2, 4, 5, 0, time.UTC),
		Source: Inbound, Reason: "a note", By: "bob",
	}, e)
	e, err = l.Get(t.Context(), "+14155550103")
	require.NoError(t, err)
	assert.Equal(t, Entry{Number: "+14155550103", Hash: e.Hash, Since: e.Since, Source: Import, By: "ops"}, e)
	assert.WithinDuration(t, time.Now(), e.Since, time.Minute)
}

func TestImportHonoursWhatItReadBeforeAReadFailed(t *testing.T) {
	l := newList(connect(t))
	broken := errors.New("connection reset")
	r := io.MultiReader(strings.NewReader("+14155550101\n+14155550102\n"), iotest.ErrReader(broken))
	done, err := l.Import(t.Context(), r, ImportOptions{Region: "US"})
	require.ErrorIs(t, err, broken)
	assert.Equal(t, 2, done.Added)
	assert.Len(t, all(t, l, Query{}), 2)
}

func TestImportNamesALimitedNumberOfBadLines(t *testing.T) {
	l := newList(connect(t))
	done, err := l.Import(t.Context(), strings.NewReader(strings.Repeat("nobody\n", 5000)), ImportOptions{Region: "US"})
	require.NoError(t, err)
	assert.Equal(t, 4999, done.Rejected) // the first line might be a header
	require.Len(t, done.Invalid, maxInvalid)
	assert.Equal(t, 2, done.Invalid[0].Line)
}

// rows is a file of n numbers that is made as it is read.
type rows struct {
	n, at int
	heap  uint64 // the most that was in use while it was read, beyond what was before
	base  uint64
	left  []byte
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (r *rows) measure() {
	if now := inUse(); now > r.base {
		r.heap = max(r.heap, now-r.base)
	}
}

func (r *rows) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		if r.at == r.n {
			return 0, io.EOF
		}
		if r.at%10_000 == 0 {
			r.measure()
		}
		r.left = fmt.Appendf(r.left[:0], "+1415%07d,,2020-01-02T03:04:05Z,import,from the old system\n", 2_000_000+r.at)
		r.at++
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// lines counts what is written, and measures as rows does.
type lines struct {
	rows
	written int
}

func (w *lines) Write(p []byte) (int, error) {
	before := w.written / 10_000
	w.written += bytes.Count(p, []byte("\n"))
	if w.written/10_000 > before {
		w.measure()
	}
	return len(p), nil
}

func TestALongListTakesLittleMemory(t *testing.T) {
	const n, most = 100_000, 4 << 20
	l := newList(connect(t))
	in := &rows{n: n, base: inUse()}
	begin := time.Now()
	done, err := l.Import(t.Context(), in, ImportOptions{Region: "US"})
	require.NoError(t, err)
	assert.Equal(t, Imported{Added: n, Invalid: []Line{}}, done)
	assert.Less(t, in.heap, uint64(most))
	imported := time.Since(begin)

	out := &lines{rows: rows{base: inUse()}}
	require.NoError(t, l.Export(t.Context(), out))
	assert.Equal(t, n+1, out.written)
	assert.Less(t, out.heap, uint64(most))
	t.Logf("%d rows: imported in %s with %d kB, exported in %s with %d kB", n,
		imported, in.heap>>10, time.Since(begin)-imported, out.heap>>10)
}

// What comes in is outside input: whatever it is, no line keeps the others from
// being honoured, and what RFC 4180 says is one row is read as such.
func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		"number,hash\n+14155550101,\n", "\ufeff\"+14155550101\";x\r\n", "a\tb", "\"", "\"\"\"", ",;\t,\n\n", "+\x00\n", " \"a\"\"b\" ,c",
	} {
		f.Add(seed)
	}
	l := newList(nil)
	f.Fuzz(func(t *testing.T, file string) {
		const good = "+14155550199"
		i := &importer{list: l, o: ImportOptions{Region: "US"}, result: Imported{Invalid: []Line{}}}
		n := 0
		for line := range strings.Lines(file) {
			n++
			line = strings.TrimRight(line, "\r\n")
			if line != "" {
				i.line(n, line, len(line) > maxLine)
			}
			if row, ok := split(line, ','); ok && utf8.ValidString(line) {
				sameAsRFC(t, line, row)
			}
		}
		assert.LessOrEqual(t, i.waiting+i.result.Rejected, n)
		at, taken := i.columns["number"], i.waiting
		comma := i.comma
		if comma == 0 {
			comma = ','
		}
		i.line(n+1, strings.Repeat(string(comma), at)+good, false)
		assert.Equal(t, taken+1, i.waiting, "a good line is honoured")
		for k := 1; k < len(i.args); k += 6 {
			assert.True(t, isHash(i.args[k].(string)))
			if e164 := i.args[k+1].(string); e164 != "" {
				assert.True(t, isE164(e164), e164)
			}
		}
	})
}

// sameAsRFC compares a row with what encoding/csv makes of it, where it is
// written strictly.
func sameAsRFC(t *testing.T, line string, row []string) {
	t.Helper()
	r := csv.NewReader(strings.NewReader(line))
	want, err := r.Read()
	if err != nil || strings.ContainsAny(line, "\r\n") || strings.Contains(line, " \"") {
		return
	}
	for i := range want {
		want[i] = strings.TrimSpace(want[i])
	}
	assert.Equal(t, want, row)
}
