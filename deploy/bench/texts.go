package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"deflectd/deploy/lab"
)

// The benchmark of texts: the whole path of a text through deflectd's outbox
// beside a bare loop of HTTP posts, each in a process of its own that measures
// itself, to the same stand-in of the provider, in a third process. The two
// take turns, so that what else the machine does falls on both.

// The ways of texts, as the worker is told them.
const (
	barePosts = "posts"
	wholePath = "path"
)

// textPlan is how much is sent.
type textPlan struct {
	rounds, texts, hands int
}

func newTextPlan(short bool) textPlan {
	if short {
		return textPlan{rounds: 1, texts: 300, hands: 16}
	}
	return textPlan{rounds: 9, texts: 6000, hands: 32}
}

// textSample is what a worker says of one round.
type textSample struct {
	Texts   int           `json:"texts"`
	Took    time.Duration `json:"took"`
	CPU     time.Duration `json:"cpu"`
	redis   time.Duration
	perText time.Duration
}

// textResults are the rounds of each way.
type textResults struct {
	textPlan
	posts, path []textSample
}

// benchTexts measures texts in dir.
func benchTexts(ctx context.Context, dir string, p textPlan) (res textResults, err error) {
	res.textPlan = p
	redis, err := lab.StartRedis(ctx, filepath.Join(dir, "redis"), "--appendonly", "yes")
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, redis.Stop()) }()
	standIn, address, err := startStandIn(ctx, dir)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, standIn.Stop()) }()
	for round := range p.rounds {
		for _, way := range []struct {
			name string
			into *[]textSample
		}{{barePosts, &res.posts}, {wholePath, &res.path}} {
			before, err := cpuTime(redis.PID())
			if err != nil {
				return res, err
			}
			s, err := runWorker(ctx, dir, worker{
				Way: way.name, Provider: "http://" + address, Redis: redis.Addr,
				First: round * 2 * p.texts, Texts: p.texts, Hands: p.hands,
			})
			if err != nil {
				return res, err
			}
			after, err := cpuTime(redis.PID())
			if err != nil {
				return res, err
			}
			s.perText = s.CPU / time.Duration(s.Texts)
			s.redis = (after - before) / time.Duration(s.Texts)
			*way.into = append(*way.into, s)
			say("  round %d of %d, %-5s: %5.0f texts/s, CPU a text %.3f ms", round+1, p.rounds, way.name, s.rate(), millis(s.perText))
		}
	}
	return res, nil
}

func (s textSample) rate() float64 { return float64(s.Texts) / s.Took.Seconds() }

// startStandIn runs this program as the provider.
func startStandIn(ctx context.Context, dir string) (*lab.Program, string, error) {
	addresses, err := freeAddresses(1)
	if err != nil {
		return nil, "", err
	}
	p, err := startSelf(dir, "stand-in", "-stand-in", addresses[0])
	if err != nil {
		return nil, "", err
	}
	return p, addresses[0], p.Ready(ctx, dials(addresses[0]))
}

// runWorker runs this program as a worker and returns what it measured.
func runWorker(ctx context.Context, dir string, w worker) (s textSample, err error) {
	order, err := json.Marshal(w)
	if err != nil {
		return s, err
	}
	log := filepath.Join(dir, "worker.log")
	if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s, err
	}
	p, err := startSelf(dir, "worker", "-worker", string(order))
	if err != nil {
		return s, err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		return s, errors.Join(ctx.Err(), p.Kill())
	}
	if p.ExitCode() != 0 {
		return s, fmt.Errorf("the worker failed:\n%s", p.Tail())
	}
	said, err := os.ReadFile(log)
	if err != nil {
		return s, err
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n") // what else it has logged comes first
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		return s, fmt.Errorf("what the worker says: %w:\n%s", err, said)
	}
	return s, nil
}

// table is the figures as Markdown.
func (r textResults) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, %d cores, %s: medians of %d rounds of %d texts each, %d at once.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), r.rounds, r.texts, r.hands)
	b.WriteString("| | texts/s | CPU ms a text | of Redis beside it |\n|---|---|---|---|\n")
	for _, way := range []struct {
		name  string
		all   []textSample
		redis bool
	}{{"bare loop of HTTP posts", r.posts, false}, {"deflectd: durable record, link, guards, provider, accepted", r.path, true}} {
		fmt.Fprintf(&b, "| %s | %.0f | %.3f | %s |\n", way.name, median(way.all, textSample.rate),
			median(way.all, func(s textSample) float64 { return millis(s.perText) }),
			orNone(way.redis, median(way.all, func(s textSample) float64 { return millis(s.redis) })))
	}
	var above []float64
	for n := range r.path {
		above = append(above, millis(r.path[n].perText-r.posts[n].perText))
	}
	slices.Sort(above)
	fmt.Fprintf(&b, "\nAbove the bare loop: %.3f ms of CPU a text (of the rounds from %.3f to %.3f); at most 0.6 is wanted.\n",
		above[len(above)/2], above[0], above[len(above)-1])
	return b.String()
}

// median of a figure over all samples.
func median(all []textSample, figure func(textSample) float64) float64 {
	figures := make([]float64, len(all))
	for n, s := range all {
		figures[n] = figure(s)
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}
