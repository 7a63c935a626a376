package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"deflectd/deploy/lab"
)

// table is the figures of a run as Markdown.
func (r results) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, %d cores, %s.\n\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version())
	fmt.Fprintf(&b, "| answer, 1 s prompt, hang up | clean up to | CPU ms a call at %d/s: Asterisk | × dialplan | the program | Redis | INVITE to 200 OK at 20/s, median | above dialplan |\n", steadyRate)
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	bare, quiet := r.steady[0], r.quiet[0]
	for n, w := range r.ways {
		s := r.steady[n]
		setup := lab.Quantile(r.quiet[n].Setups, .5)
		fmt.Fprintf(&b, "| %s | %.0f/s | %.2f | %.2f | %s | %s | %s | %s |\n", w.name, r.capacity[n],
			millis(s.asterisk), float64(s.asterisk)/float64(max(1, bare.asterisk)),
			orNone(w.program != nil, millis(s.program)), orNone(w.texted, millis(s.redis)),
			ms(setup), ms(setup-lab.Quantile(quiet.Setups, .5)))
	}
	b.WriteString("\n| deflectd with everything on | measured | wanted |\n|---|---|---|\n")
	row := func(what, measured, wanted string) { fmt.Fprintf(&b, "| %s | %s | %s |\n", what, measured, wanted) }
	c := r.clean
	row(fmt.Sprintf("120 calls/s, %d calls", c.Calls), fmt.Sprintf("%d lost, stuck or failed, %d texted", c.Calls-c.Good, c.texted), "0, all")
	ends := func(s sample) {
		row("… what became of them, and why", s.ends(), "")
		row("… share of the machine that its host gave to others meanwhile", fmt.Sprintf("%.0f %%", 100*s.stolen), "0 %")
	}
	ends(c)
	o := r.beyond
	row(fmt.Sprintf("180 calls/s, %d calls: good for the caller", o.Calls), fmt.Sprintf("%d", o.Good), "all")
	row("… longest wait for something to happen (INVITE to 200 OK, of any call)", ms(lab.Quantile(o.Setups, 1)), "5000 ms")
	row("… texted, beside what 120 calls/s would be", fmt.Sprintf("%d, %.0f %%; %d passed on with overload", o.texted, 100*float64(o.texted)/(float64(o.Calls)/1.5), o.passed()), "80 %")
	ends(o)
	row(fmt.Sprintf("… and then %d calls/s, %d calls", steadyRate, r.after.Calls), fmt.Sprintf("%d texted", r.after.texted), "all")
	ends(r.after)
	row(fmt.Sprintf("CPU a call of deflectd at %d/s", steadyRate), ms(r.steady[2].program), "3.0 ms")
	row(fmt.Sprintf("CPU a call of Asterisk at %d/s, × dialplan alone", steadyRate), fmt.Sprintf("%.2f", float64(r.steady[2].asterisk)/float64(max(1, bare.asterisk))), "1.2")
	row("INVITE to 200 OK, median above the dialplan alone", ms(lab.Quantile(r.quiet[2].Setups, .5)-lab.Quantile(quiet.Setups, .5)), "1.5 ms")
	row(fmt.Sprintf("%d held calls: memory each", r.held.calls), fmt.Sprintf("%.1f kB", r.held.memory/1000), "50 kB")
	row("… CPU of all together while they wait", fmt.Sprintf("%.1f %% of a core", 100*r.held.cpu), "5 %")
	for _, line := range r.decision {
		row("decision", "`"+line+"`", "2 µs, 2 allocations")
	}
	return b.String()
}

func millis(d time.Duration) float64 { return d.Seconds() * 1000 }

func orNone(is bool, ms float64) string {
	if !is {
		return "–"
	}
	return fmt.Sprintf("%.2f", ms)
}

// A table stands between these two lines of the page.
const (
	tableBegin = "<!-- bench %s: what follows is written by `make bench` -->\n"
	tableEnd   = "<!-- bench: end -->\n"
)

// keepTable replaces the table of that name in the page.
func keepTable(path, name, table string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("keeping the table: %w", err)
	}
	begin := fmt.Sprintf(tableBegin, name)
	before, rest, found := strings.Cut(string(page), begin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		return fmt.Errorf("keeping the table: %s has no place for that of %s", path, name)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+table+"\n"+tableEnd+after), 0o644)
}
