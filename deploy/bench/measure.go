package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"deflectd/deploy/lab"
)

// way is one way for a call to be answered, hear one second, and be hung up.
type way struct {
	name    string
	dnis    string
	program *lab.Program // beside Asterisk; nil for none
	texted  bool         // each call is to be texted
}

func (r *rig) ways() []way {
	return []way{
		{name: "dialplan alone", dnis: bareExtension},
		{name: "FastAGI in Go", dnis: agiExtension, program: r.fastagi},
		{name: "deflectd, everything on", dnis: textedDNIS, program: r.deflectd, texted: true},
	}
}

// sample is what a load cost, and what its callers saw.
type sample struct {
	lab.LoadResult
	rate     float64
	asterisk time.Duration // processor time a call
	program  time.Duration
	redis    time.Duration
	texted   int
	ended    map[string]int // calls of deflectd, by what became of them and why
	stolen   float64        // share of the machine that its host gave to others meanwhile
}

// passed are the calls that were passed on as too many.
func (s sample) passed() int { return s.ended["passed, overload"] }

// ends says what became of the calls and why, the most frequent first.
func (s sample) ends() string {
	kinds := slices.SortedFunc(maps.Keys(s.ended), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.ended[b], s.ended[a]), cmp.Compare(a, b))
	})
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%s: %d", kind, s.ended[kind])
	}
	return strings.Join(kinds, "; ")
}

// clean tells whether all went well: no call lost or stuck, and each texted
// where it should be.
func (s sample) clean(w way) bool {
	return s.Failed == 0 && s.Good == s.Calls && (!w.texted || s.texted == s.Calls)
}

// load places calls at a rate for a time and measures what they cost.
func (r *rig) load(ctx context.Context, w way, rate float64, length time.Duration) (sample, error) {
	pids := []int{r.asterisk.PID(), r.redis.PID()}
	if w.program != nil {
		pids = append(pids, w.program.PID())
	}
	before, err := cpuTimes(pids)
	if err != nil {
		return sample{}, err
	}
	machine, err := readMachineTime()
	if err != nil {
		return sample{}, err
	}
	textsBefore := len(r.provider.Texts())
	ended, err := r.ended(ctx)
	if err != nil {
		return sample{}, err
	}
	result, err := r.asterisk.Load(ctx, lab.Load{
		Caller: lab.Caller{DNIS: w.dnis, From: callerPrefix, Timeout: 20 * time.Second},
		Rate:   rate, Calls: int(rate * length.Seconds()),
	})
	if err != nil {
		return sample{}, err
	}
	machineAfter, err := readMachineTime()
	if err != nil {
		return sample{}, err
	}
	if err := r.rest(ctx); err != nil {
		return sample{}, err
	}
	after, err := cpuTimes(pids)
	if err != nil {
		return sample{}, err
	}
	s := sample{LoadResult: result, rate: rate, texted: len(r.provider.Texts()) - textsBefore, stolen: machineAfter.stolenSince(machine)}
	if s.ended, err = r.ended(ctx); err != nil {
		return sample{}, err
	}
	s.ended = since(ended, s.ended)
	each := func(n int) time.Duration { return (after[n] - before[n]) / time.Duration(max(1, result.Calls)) }
	s.asterisk, s.redis = each(0), each(1)
	if w.program != nil {
		s.program = each(2)
	}
	return s, nil
}

// rest waits until what the calls have left to do is done: their texts are sent and
// their records written.
func (r *rig) rest(ctx context.Context) error {
	time.Sleep(time.Second)
	for _, busy := range []string{"deflectd_calls_active", "deflectd_call_records_pending"} {
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
			n, err := r.metric(ctx, busy)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("half a minute after the last call %s is still %.0f", busy, n)
			}
		}
	}
	return nil
}

// ended are the calls that are over, by what became of them and why.
func (r *rig) ended(ctx context.Context) (map[string]int, error) {
	ended := make(map[string]int)
	return ended, r.samples(ctx, "deflectd_calls_total", func(labels map[string]string, value float64) {
		ended[labels["outcome"]+", "+labels["reason"]] += int(value)
	})
}

// since are the calls that ended between two counts.
func since(before, after map[string]int) map[string]int {
	between := make(map[string]int)
	for kind, n := range after {
		if n != before[kind] {
			between[kind] = n - before[kind]
		}
	}
	return between
}

func cpuTimes(pids []int) ([]time.Duration, error) {
	times := make([]time.Duration, len(pids))
	for n, pid := range pids {
		t, err := cpuTime(pid)
		if err != nil {
			return nil, err
		}
		times[n] = t
	}
	return times, nil
}

// capacity raises the rate until a call is lost or stuck, and returns the
// highest rate that was clean.
func (r *rig) capacity(ctx context.Context, w way, rates []float64, length time.Duration) (float64, error) {
	var clean float64
	for _, rate := range rates {
		s, err := r.load(ctx, w, rate, length)
		if err != nil {
			return clean, err
		}
		say("  %-24s %3.0f/s: %s", w.name, rate, s.summary(w))
		if !s.clean(w) {
			break
		}
		clean = rate
	}
	return clean, nil
}

// summary is a sample in a line.
func (s sample) summary(w way) string {
	line := fmt.Sprintf("%d of %d calls good, INVITE to 200 OK median %s, longest %s",
		s.Good, s.Calls, ms(lab.Quantile(s.Setups, .5)), ms(lab.Quantile(s.Setups, 1)))
	if w.texted {
		line += fmt.Sprintf(", %d texted (%s)", s.texted, s.ends())
	}
	return line + fmt.Sprintf("; %.0f %% of the machine stolen", 100*s.stolen)
}

// held is what calls cost that wait for a key.
type held struct {
	calls  int
	memory float64 // bytes of deflectd a call
	cpu    float64 // share of a core, of deflectd for all of them together
}

// hold places calls that wait for a key, and measures deflectd while all do.
func (r *rig) hold(ctx context.Context, calls int) (held, error) {
	memory, err := residentBytes(r.deflectd.PID())
	if err != nil {
		return held{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan error, 1)
	go func() {
		_, err := r.asterisk.Load(ctx, lab.Load{
			Caller: lab.Caller{DNIS: heldDNIS, From: callerPrefix, Timeout: 90 * time.Second},
			Rate:   60, Calls: calls,
		})
		over <- err
	}()
	ended, err := r.ended(ctx)
	if err != nil {
		return held{}, err
	}
	// A few may be let go, where the machine stands still for a moment.
	most, grew := 0, time.Now()
	for most < calls && (most < calls*9/10 || time.Since(grew) < 3*time.Second) {
		select {
		case err := <-over:
			now, endedErr := r.ended(ctx)
			return held{}, errors.Join(err, endedErr, fmt.Errorf("at most %d of %d calls were held at once; they ended so: %s",
				most, calls, sample{ended: since(ended, now)}.ends()))
		case <-time.After(200 * time.Millisecond):
		}
		active, err := r.metric(ctx, "deflectd_calls_active")
		if err != nil {
			return held{}, err
		}
		if int(active) > most {
			most, grew = int(active), time.Now()
		}
	}
	time.Sleep(1500 * time.Millisecond) // until the last of them has heard its prompt
	begin, err := r.metric(ctx, "deflectd_calls_active")
	if err != nil {
		return held{}, err
	}
	const window = 6 * time.Second
	before, err := cpuTime(r.deflectd.PID())
	if err != nil {
		return held{}, err
	}
	time.Sleep(window)
	after, err := cpuTime(r.deflectd.PID())
	if err != nil {
		return held{}, err
	}
	now, err := residentBytes(r.deflectd.PID())
	if err != nil {
		return held{}, err
	}
	active, err := r.metric(ctx, "deflectd_calls_active")
	if err != nil {
		return held{}, err
	}
	if active != begin {
		return held{}, fmt.Errorf("%.0f calls were held at the end of the measurement, not %.0f", active, begin)
	}
	return held{
		calls: int(begin), memory: float64(now-memory) / begin, cpu: (after - before).Seconds() / window.Seconds(),
	}, <-over
}

// decision runs the benchmarks of the decision, and returns what they print.
func decision(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkDecision",
		"-benchmem", "-count", "1", "./intercept").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("running the benchmarks of the decision: %w\n%s", err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Benchmark") {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	return lines, nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
