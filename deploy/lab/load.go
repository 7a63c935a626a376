package lab

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Load is many calls of the same kind.
type Load struct {
	// Caller is each of them. Its number is From followed by a count of six
	// digits, so that no two callers are the same.
	Caller
	Rate  float64 // new calls a second
	Calls int     // how many in all
}

// LoadResult is what the callers of a load saw together.
type LoadResult struct {
	Calls    int             // placed
	Good     int             // went as the steps say
	Failed   int             // did not: refused, stuck, or hung up at another time than expected
	Peak     int             // most at once, of those seen each second
	Took     time.Duration   // from the first call to the end of the last
	Setups   []time.Duration // from INVITE to 200 OK of each answered call, sorted
	Talks    []time.Duration // from 200 OK to BYE of each, sorted
	Failures string          // what SIPp says of those that failed, the first few kB
}

// Quantile is the quantile q (0 to 1) of sorted times; 0 if there are none.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// Load places calls at a steady rate, whatever becomes of those before, and
// returns when the last has ended.
func (a *Asterisk) Load(ctx context.Context, l Load) (LoadResult, error) {
	r, err := a.load(ctx, l)
	if err != nil {
		return r, fmt.Errorf("place %d calls at %g a second: %w", l.Calls, l.Rate, err)
	}
	return r, nil
}

func (a *Asterisk) load(ctx context.Context, l Load) (LoadResult, error) {
	if l.Timeout == 0 {
		l.Timeout = 30 * time.Second
	}
	run, err := a.newCallerRun()
	if err != nil {
		return LoadResult{}, err
	}
	defer run.ports.release()
	scenario, err := l.scenario(0)
	if err != nil {
		return LoadResult{}, err
	}
	if err := writeCounts(run.path("numbers.csv"), l.Calls); err != nil {
		return LoadResult{}, err
	}
	begin := time.Now()
	err = run.sipp(ctx, scenario, a.SIPAddr, "-s", l.DNIS, "-inf", run.path("numbers.csv"),
		"-r", strconv.FormatFloat(l.Rate*10, 'f', 0, 64), "-rp", "10000",
		"-m", strconv.Itoa(l.Calls), "-l", strconv.Itoa(l.Calls),
		"-trace_stat", "-stf", run.path("stat.csv"), "-fd", "1", "-f", "60",
		"-trace_shortmsg", "-shortmessage_file", run.path("messages.csv"))
	var exit *exitError
	if err != nil && !errors.As(err, &exit) {
		return LoadResult{}, err
	}
	r := LoadResult{Took: time.Since(begin)}
	if exit != nil {
		r.Failures = exit.tail[:min(len(exit.tail), 4000)]
	}
	if err := r.readStat(run.path("stat.csv")); err != nil {
		return r, err
	}
	return r, r.readMessages(run.path("messages.csv"))
}

// writeCounts writes the file each call takes its own line of.
func writeCounts(path string, n int) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the numbers of the callers: %w", err)
	}
	w := bufio.NewWriter(file)
	_, _ = w.WriteString("SEQUENTIAL\n")
	for i := range n {
		_, _ = fmt.Fprintf(w, "%06d;\n", i)
	}
	return errors.Join(w.Flush(), file.Close())
}

// readStat reads the counts from SIPp's statistics, one line a second.
func (r *LoadResult) readStat(path string) error {
	rows, err := readCSV(path)
	if err != nil {
		return err
	}
	if len(rows) < 2 {
		return errors.New("sipp wrote no statistics")
	}
	column := func(row []string, name string) int {
		i := slices.Index(rows[0], name)
		if i < 0 || i >= len(row) {
			return 0
		}
		n, err := strconv.Atoi(row[i])
		if err != nil {
			return 0
		}
		return n
	}
	last := rows[len(rows)-1]
	r.Calls, r.Good, r.Failed = column(last, "TotalCallCreated"), column(last, "SuccessfulCall(C)"), column(last, "FailedCall(C)")
	for _, row := range rows[1:] {
		r.Peak = max(r.Peak, column(row, "CurrentCall"))
	}
	if r.Calls == 0 {
		return fmt.Errorf("sipp wrote statistics that say nothing: %v", rows[0])
	}
	return nil
}

// readMessages reads how long the calls took to be answered and then to end.
// SIPp's own response times have no parts of a millisecond; its list of
// messages has: date, time, seconds since 1970, S or R, Call-ID, CSeq, and the
// first line of the message, each set off by a tab.
func (r *LoadResult) readMessages(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read what sipp measured: %w", err)
	}
	defer func() { _ = file.Close() }()
	invited, answered, ended := map[string]time.Duration{}, map[string]time.Duration{}, map[string]bool{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		field := strings.Split(lines.Text(), "\t")
		if len(field) < 7 {
			continue
		}
		seconds, err := strconv.ParseFloat(field[2], 64)
		if err != nil {
			continue
		}
		at, call, first := time.Duration(seconds*1e6)*time.Microsecond, field[4], field[6]
		switch {
		case strings.HasPrefix(first, "INVITE"):
			if _, again := invited[call]; !again {
				invited[call] = at
			}
		case field[3] == "R" && strings.HasPrefix(first, "SIP/2.0 200") && strings.HasSuffix(field[5], "INVITE"):
			if _, again := answered[call]; !again {
				answered[call] = at
				r.Setups = append(r.Setups, at-invited[call])
			}
		case strings.HasPrefix(first, "BYE"):
			if since, ok := answered[call]; ok && !ended[call] { // else it is sent again
				ended[call] = true
				r.Talks = append(r.Talks, at-since)
			}
		}
	}
	slices.Sort(r.Setups)
	slices.Sort(r.Talks)
	return lines.Err()
}

func readCSV(path string) ([][]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what sipp measured: %w", err)
	}
	reader := csv.NewReader(strings.NewReader(string(text)))
	reader.Comma, reader.FieldsPerRecord, reader.LazyQuotes = ';', -1, true
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read what sipp measured: %w", err)
	}
	return rows, nil
}
