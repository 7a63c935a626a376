// Command bench measures what a call and a text cost. The call (answer, one
// second of sound, hang up) goes on one real Asterisk through the dialplan
// alone, through a minimal FastAGI server, and through deflectd with everything
// on; the text through deflectd's outbox, beside a bare loop of HTTP posts. What
// people who edit campaigns wait for is measured with 10,000 of them. It prints
// tables and keeps them in docs/performance.md.
//
// Callers, Asterisk, Redis, provider and deflectd share the machine, so only
// the ratios within one run mean something.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"deflectd/deploy/lab"
)

func main() {
	fastagi := flag.String("fastagi", "", "be the FastAGI server on this `address` (the benchmark starts itself so)")
	standIn := flag.String("stand-in", "", "be the provider on this `address`, likewise")
	work := flag.String("worker", "", "send texts as this `order` says, likewise")
	short := flag.Bool("short", false, "a few seconds of everything: to see that it works, not to measure")
	page := flag.String("write", "docs/performance.md", "the `file` whose tables are replaced; empty for none")
	keep := flag.String("dir", "", "`folder` for the data and logs of everything that runs; kept afterwards")
	only := flag.String("only", "", "measure `calls`, texts or campaigns alone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	switch {
	case *fastagi != "":
		err = serveFastAGI(ctx, *fastagi, strings.TrimPrefix(lab.SoundSecond, "sound:"))
	case *standIn != "":
		err = serveStandIn(ctx, *standIn)
	case *work != "":
		err = serveWorker(ctx, *work)
	default:
		err = run(ctx, *keep, *page, *only, *short)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// plan is how long everything takes.
type plan struct {
	quiet, steady, step, clean, beyond time.Duration
	rounds                             int
	rates                              []float64
	held                               int
}

func newPlan(short bool) plan {
	if short {
		return plan{
			quiet: 2 * time.Second, steady: 2 * time.Second, step: 2 * time.Second,
			clean: 3 * time.Second, beyond: 3 * time.Second, rounds: 1, rates: []float64{100}, held: 100,
		}
	}
	return plan{
		quiet: 15 * time.Second, steady: 20 * time.Second, step: 12 * time.Second,
		clean: 60 * time.Second, beyond: 20 * time.Second, rounds: 2,
		rates: []float64{120, 150, 180, 210, 240, 270, 300, 330}, held: 1000,
	}
}

func run(ctx context.Context, dir, page, only string, short bool) (err error) {
	if short {
		page = ""
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "deflectd-bench-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
	}
	for _, part := range []struct {
		name string
		run  func(ctx context.Context, dir string, short bool) (table string, err error)
	}{{"campaigns", runCampaigns}, {"texts", runTexts}, {"calls", runCalls}} {
		if only != "" && only != part.name {
			continue
		}
		table, err := part.run(ctx, filepath.Join(dir, part.name), short)
		if err != nil {
			return err
		}
		fmt.Println()
		fmt.Print(table)
		if page == "" {
			continue
		}
		if err := keepTable(page, part.name, table); err != nil {
			return err
		}
	}
	return nil
}

func runTexts(ctx context.Context, dir string, short bool) (string, error) {
	say("texts, through deflectd's outbox and with bare posts in turn")
	results, err := benchTexts(ctx, dir, newTextPlan(short))
	if err != nil {
		return "", err
	}
	return results.table(), nil
}

func runCalls(ctx context.Context, dir string, short bool) (table string, err error) {
	if _, err := lab.Find(); err != nil {
		return "", err
	}
	say("starting Asterisk, Redis, the provider, FastAGI and deflectd")
	r, err := startRig(ctx, dir)
	defer func() {
		if stopped := r.stop(); err == nil {
			err = stopped
		}
	}()
	if err != nil {
		return "", err
	}
	results, err := r.measure(ctx, newPlan(short))
	if err != nil {
		return "", err
	}
	return results.table(), nil
}

// results are all figures of a run.
type results struct {
	ways     []way
	quiet    []sample // by way, at 20 calls a second
	steady   []sample // by way, at 100
	capacity []float64
	clean    sample // deflectd at 120 calls a second
	beyond   sample // at 180
	after    sample // at 100, right after that
	held     held
	decision []string
}

// steadyRate is the rate at which processor time is compared.
const steadyRate = 100

func (r *rig) measure(ctx context.Context, p plan) (results, error) {
	res := results{ways: r.ways()}
	res.quiet, res.steady = make([]sample, len(res.ways)), make([]sample, len(res.ways))
	deflectd := res.ways[len(res.ways)-1]
	var err error
	for round := range p.rounds {
		say("round %d of %d: 20 and %d calls a second through each", round+1, p.rounds, steadyRate)
		for n, w := range res.ways {
			if err := r.round(ctx, w, p, &res.quiet[n], &res.steady[n]); err != nil {
				return res, err
			}
		}
	}
	say("%d calls a second, each texted, for %s", 120, p.clean)
	if res.clean, err = r.load(ctx, deflectd, 120, p.clean); err != nil {
		return res, err
	}
	say("  %s", res.clean.summary(deflectd))
	say("half as many again, for %s, and then %d a second", p.beyond, steadyRate)
	if res.beyond, err = r.load(ctx, deflectd, 180, p.beyond); err != nil {
		return res, err
	}
	say("  %s", res.beyond.summary(deflectd))
	if res.after, err = r.load(ctx, deflectd, steadyRate, p.step); err != nil {
		return res, err
	}
	say("  %s", res.after.summary(deflectd))
	say("%d calls that wait for a key", p.held)
	if res.held, err = r.hold(ctx, p.held); err != nil {
		return res, err
	}
	say("more and more calls, up to the first that is lost or stuck")
	for _, w := range res.ways {
		rate, err := r.capacity(ctx, w, p.rates, p.step)
		if err != nil {
			return res, err
		}
		res.capacity = append(res.capacity, rate)
	}
	say("the decision")
	res.decision, err = decision(ctx)
	return res, err
}

// round measures one way at both rates. Of several rounds the cheapest counts:
// noise of the machine only ever adds.
func (r *rig) round(ctx context.Context, w way, p plan, quiet, steady *sample) error {
	for _, part := range []struct {
		best   *sample
		rate   float64
		length time.Duration
	}{{quiet, 20, p.quiet}, {steady, steadyRate, p.steady}} {
		s, err := r.load(ctx, w, part.rate, part.length)
		if err != nil {
			return err
		}
		say("  %-24s %3.0f/s: %s; CPU a call: Asterisk %s, program %s, Redis %s",
			w.name, part.rate, s.summary(w), ms(s.asterisk), ms(s.program), ms(s.redis))
		if part.best.Calls == 0 || s.asterisk+s.program < part.best.asterisk+part.best.program {
			*part.best = s
		}
	}
	return nil
}

var began = time.Now()

// say reports progress, with the time since the start.
func say(format string, args ...any) {
	fmt.Printf("%5.0fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}
