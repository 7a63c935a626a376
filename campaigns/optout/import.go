package optout

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"deflectd/campaigns/phone"
)

const (
	// batchSize is how many numbers are written at once.
	batchSize = 500
	// maxLine is how long a line may be (bytes).
	maxLine = 4096
	// maxInvalid is how many lines an answer names at most.
	maxInvalid = 1000
)

// ImportOptions are the settings of one import.
type ImportOptions struct {
	Region string // how a number without "+" is read (ISO 3166-1 alpha-2)
	By     string // the name of the token that imports, where the file names nobody
}

// Imported says what became of the lines of a file.
type Imported struct {
	Added    int    `json:"added" doc:"How many numbers are new on the list."`
	Known    int    `json:"known" doc:"How many were on it already, or were in the file before."`
	Rejected int    `json:"rejected" doc:"How many lines could not be taken."`
	Invalid  []Line `json:"invalid" doc:"Which lines could not be taken, and why: the first 1000 of them."`
}

// Line is one line of a file that could not be taken.
type Line struct {
	Line   int    `json:"line" doc:"Its number in the file, from 1 on."`
	Detail string `json:"detail" doc:"What is wrong with it."`
}

// Import puts the numbers of a CSV file on the list: the first column, or the
// one a header calls "number". The columns that Export writes are taken too,
// where a header names them; a row with a hash and no number restores an entry
// whose number was forgotten, which means something only to the installation it
// came from. Columns are separated by commas, semicolons or tabs; a byte order
// mark and any line ends are tolerated; what is in quotes must end on its line.
//
// A line that cannot be taken is named and does not keep the others from being
// honoured; and a date, source or note that makes no sense does not keep its
// number from being. What is on the list already stays as it was.
//
// The errors are ErrStore and those of r: what was counted until then is on the
// list, and the whole may be repeated.
func (l *List) Import(ctx context.Context, r io.Reader, o ImportOptions) (Imported, error) {
	if _, err := l.person("import opt-outs", ""); err != nil {
		return Imported{}, err
	}
	i := &importer{list: l, o: o, result: Imported{Invalid: []Line{}}}
	lines := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		line, long, err := readLine(lines)
		if line != "" || long {
			i.line(n, line, long)
		}
		if i.waiting >= batchSize {
			if err := i.flush(ctx); err != nil {
				return i.result, err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return i.result, i.flush(ctx)
		case err != nil:
			return i.result, errors.Join(fmt.Errorf("import opt-outs: %w", err), i.flush(ctx))
		}
	}
}

// readLine reads one line without its end. One that is too long is read over.
func readLine(r *bufio.Reader) (line string, long bool, err error) {
	raw, err := r.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		long = true
		_, err = r.ReadSlice('\n')
	}
	if long {
		return "", true, err
	}
	return strings.TrimRight(string(raw), "\r\n"), false, err
}

// importer is one import under way.
type importer struct {
	list    *List
	o       ImportOptions
	comma   byte           // 0 until a line has shown it
	columns map[string]int // by name; nil until the first line was read
	args    []any          // what is to be written next
	waiting int            // how many numbers that is
	result  Imported
}

func (i *importer) invalid(line int, detail string) {
	i.result.Rejected++
	if len(i.result.Invalid) < maxInvalid {
		i.result.Invalid = append(i.result.Invalid, Line{line, detail})
	}
}

// line takes one line that is not empty.
func (i *importer) line(n int, line string, long bool) {
	if long {
		i.invalid(n, fmt.Sprintf("is longer than %d bytes", maxLine))
		return
	}
	if i.columns == nil {
		line = strings.TrimPrefix(line, "\ufeff")
	}
	if i.comma == 0 {
		i.comma = separator(line)
	}
	row, ok := split(line, i.comma)
	switch {
	case !ok:
		i.invalid(n, "has a quote that does not end")
		return
	case allEmpty(row):
		return
	case i.columns == nil && i.header(row):
		return
	}
	e, person, problem := i.read(row)
	if problem != "" {
		i.invalid(n, problem)
		return
	}
	if i.waiting == 0 {
		i.args = append(i.args[:0], "") // no request: see scripts/add.lua
	}
	i.args = e.args(i.args, person)
	i.waiting++
}

// header says whether the first row names the columns, and notes where they are.
func (i *importer) header(row []string) bool {
	i.columns = map[string]int{"number": 0}
	named := map[string]int{}
	for at, name := range row {
		name = strings.ToLower(name)
		if _, twice := named[name]; !twice && slices.Contains(columns, name) {
			named[name] = at
		}
	}
	if _, has := named["number"]; has {
		i.columns = named
		return true
	}
	// Other names for the first column are as good as none: no number is
	// written without a digit.
	return row[0] != "" && !strings.ContainsAny(row[0], "0123456789")
}

// read makes an entry of a row, or says what is wrong with it.
func (i *importer) read(row []string) (e Entry, person, problem string) {
	column := func(name string) string {
		if at, has := i.columns[name]; has && at < len(row) {
			return row[at]
		}
		return ""
	}
	e = Entry{Source: Import, By: i.o.By}
	number, hash := column("number"), column("hash")
	switch {
	case number != "":
		parsed, err := phone.Parse(number, i.o.Region)
		if err != nil {
			return Entry{}, "", "the number is not valid"
		}
		e.Number = parsed.E164
		person, err = i.list.person("import opt-outs", e.Number)
		if err != nil {
			return Entry{}, "", "the number could not be read"
		}
	case isHash(hash):
		person = hash
	case hash != "":
		return Entry{}, "", "has no number, and its hash is none of this service's"
	default:
		return Entry{}, "", "has no number"
	}
	if since, err := time.Parse(time.RFC3339Nano, column("since")); err == nil && since.Unix() > 0 {
		e.Since = since
	}
	if s := Source(column("source")); slices.Contains(Sources(), s) {
		e.Source = s
	}
	if s := column("reason"); plain(s, maxReason) {
		e.Reason = s
	}
	if s := column("by"); s != "" && plain(s, maxBy) {
		e.By = s
	}
	return e, person, ""
}

// flush writes what waits.
func (i *importer) flush(ctx context.Context) error {
	if i.waiting == 0 {
		return nil
	}
	added, err := i.list.write(ctx, "import opt-outs", i.args)
	if err != nil {
		return err
	}
	i.list.added.WithLabelValues(string(Import)).Add(float64(added))
	i.result.Added += added
	i.result.Known += i.waiting - added
	i.waiting = 0
	return nil
}

// separator is what separates the columns of a line; 0 where it has only one.
func separator(line string) byte {
	quoted := false
	for _, c := range []byte(line) {
		switch c {
		case '"':
			quoted = !quoted
		case ',', ';', '\t':
			if !quoted {
				return c
			}
		}
	}
	return 0
}

// split reads the columns of a line (RFC 4180, section 2), less the spaces around
// them; it is false where a quote does not end.
func split(line string, comma byte) (row []string, ok bool) {
	for {
		line = strings.TrimLeft(line, " ")
		var field string
		if strings.HasPrefix(line, `"`) {
			if field, line, ok = unquote(line[1:]); !ok {
				return nil, false
			}
		}
		end := -1
		if comma != 0 {
			end = strings.IndexByte(line, comma)
		}
		if end < 0 {
			return append(row, strings.TrimSpace(field+line)), true
		}
		row = append(row, strings.TrimSpace(field+line[:end]))
		line = line[end+1:]
	}
}

// unquote reads up to the quote that ends a field, and what follows it.
func unquote(s string) (field, rest string, ok bool) {
	for {
		at := strings.IndexByte(s, '"')
		if at < 0 {
			return "", "", false
		}
		field += s[:at]
		s = s[at+1:]
		if !strings.HasPrefix(s, `"`) {
			return field, s, true
		}
		field += `"`
		s = s[1:]
	}
}

func allEmpty(row []string) bool {
	return !slices.ContainsFunc(row, func(s string) bool { return s != "" })
}
