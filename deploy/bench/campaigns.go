package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"deflectd/deploy/lab"
)

// The benchmark of campaigns: what people and programs that edit them wait for
// where there are very many, on the whole daemon, and beside it what an answer
// without any work takes.

// campaignPlan is how much is made and asked for.
type campaignPlan struct {
	campaigns, asks int
}

func newCampaignPlan(short bool) campaignPlan {
	if short {
		return campaignPlan{campaigns: 300, asks: 10}
	}
	return campaignPlan{campaigns: 10_000, asks: 200}
}

// question is one kind of request, and what the answers took.
type question struct {
	name, path string
	before     func(ctx context.Context) error // nil: nothing is done before each
	took       []time.Duration
	bytes      int
}

func runCampaigns(ctx context.Context, dir string, short bool) (table string, err error) {
	p := newCampaignPlan(short)
	say("%d campaigns: what a list of them takes", p.campaigns)
	redis, err := lab.StartRedis(ctx, filepath.Join(dir, "redis"), "--appendonly", "yes")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, redis.Stop()) }()
	addresses, err := freeAddresses(3)
	if err != nil {
		return "", err
	}
	a := api("http://" + addresses[0])
	daemon, err := serve(ctx, dir, a, "/v1/campaigns", []string{
		"DEFLECTD_ADMIN_LISTEN=" + addresses[0],
		"DEFLECTD_PUBLIC_LISTEN=" + addresses[1],
		"DEFLECTD_PUBLIC_URL=http://" + addresses[1],
		"DEFLECTD_REDIS_URL=" + redis.URL(),
		// No switch is needed: nobody listens there.
		fmt.Sprintf(`DEFLECTD_ASTERISK_NODES=[{"name":"none","url":"http://%s/ari","username":"x","password":"x"}]`, addresses[2]),
		"DEFLECTD_SMS_PROVIDER=sandbox",
	})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, daemon.Stop()) }()
	if err := a.fill(ctx, p.campaigns); err != nil {
		return "", err
	}
	questions, err := a.answers(ctx, p)
	if err != nil {
		return "", err
	}
	return campaignTable(p, questions), nil
}

// fill creates campaigns, several at once.
func (a api) fill(ctx context.Context, n int) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(8)
	for i := range n {
		work.Go(func() error {
			status, body, err := a.request(ctx, http.MethodPost, "/v1/campaigns", map[string]any{
				"id": fmt.Sprintf("campaign-%05d", i), "name": fmt.Sprintf("Questions of kind %d", i),
				"dnis":        []string{fmt.Sprintf("+1212555%04d", i)},
				"text":        "Acme: what you asked for is here {link} Reply STOP to end.",
				"interaction": map[string]any{"id": "flow", "url": "https://visual.example.com/start?interaction={interaction_id}"},
			})
			if err == nil && status != http.StatusCreated {
				err = fmt.Errorf("creating campaign %d: %d %s", i, status, body)
			}
			return err
		})
	}
	return work.Wait()
}

// answers asks everything in turn, so that what else the machine does falls on
// all of it.
func (a api) answers(ctx context.Context, p campaignPlan) ([]*question, error) {
	touched := 0
	touch := func(ctx context.Context) error {
		touched++
		return a.rename(ctx, fmt.Sprintf("campaign-%05d", touched%p.campaigns), fmt.Sprintf("Renamed %d", touched))
	}
	questions := []*question{
		{name: "an answer without work (`/healthz`)", path: "/healthz"},
		{name: "the first page of the list, 50", path: "/v1/campaigns"},
		{name: "a page of 500", path: "/v1/campaigns?limit=500"},
		{name: "a search that finds all", path: "/v1/campaigns?q=acme+kind"},
		{name: "a search that finds one", path: fmt.Sprintf("/v1/campaigns?q=campaign-%05d", p.campaigns-1)},
		{name: "the first page, right after a campaign was changed", path: "/v1/campaigns", before: touch},
	}
	for n := range p.asks + 1 { // the first is not counted: everything is new to it
		for _, q := range questions {
			if err := a.ask(ctx, q, n > 0); err != nil {
				return nil, err
			}
		}
	}
	return questions, nil
}

func (a api) ask(ctx context.Context, q *question, counts bool) error {
	if q.before != nil {
		if err := q.before(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	status, body, err := a.request(ctx, http.MethodGet, q.path, nil)
	took := time.Since(began)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("asking for %s: %d %s", q.path, status, body)
	}
	if counts {
		q.took, q.bytes = append(q.took, took), len(body)
	}
	return err
}

func (a api) rename(ctx context.Context, id, name string) error {
	status, body, err := a.do(ctx, http.MethodPatch, "/v1/campaigns/"+id, map[string]any{"name": name},
		http.Header{"Content-Type": {"application/merge-patch+json"}, "If-Match": {"*"}})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("renaming campaign %s: %d %s", id, status, body)
	}
	return err
}

// campaignTable is the figures as Markdown.
func campaignTable(p campaignPlan, questions []*question) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, %d cores, %s: %d campaigns, %d requests of each kind, in turn.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), p.campaigns, p.asks)
	b.WriteString("| | median ms | 95 of 100 within | kB |\n|---|---|---|---|\n")
	for _, q := range questions {
		slices.Sort(q.took)
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.1f |\n", q.name, millis(q.took[len(q.took)/2]),
			millis(q.took[len(q.took)*95/100]), float64(q.bytes)/1000)
	}
	b.WriteString("\nAt most 50 ms are wanted for the list, at the median.\n")
	return b.String()
}
