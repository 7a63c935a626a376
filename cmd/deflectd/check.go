package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"deflectd/campaigns/sender"
	"deflectd/config"
)

// checkTimeout is how long one service may take to answer all questions.
const checkTimeout = 5 * time.Second

// errCheckFailed ends a check whose report names what failed.
var errCheckFailed = errors.New("the check failed")

// verdict is what a check found of one thing.
type verdict string

const (
	fine    verdict = "ok"
	warning verdict = "warning"
	failed  verdict = "failed"
)

// finding is one line of the report.
type finding struct {
	verdict verdict
	item    string // what was looked at
	detail  string // what was found
	advice  string // what to do; "" where nothing is to be done
}

type checkCommand struct{ configFlag }

// Help is shown by --help.
func (checkCommand) Help() string {
	return `It disturbs nothing: no text is sent, and a daemon that runs with the same
configuration keeps its calls.

Exit codes: 0 all is well, or there are only warnings; 1 a service cannot be
used; 2 the configuration is wrong, each mistake named with its line and key.

Example:

    deflectd check --config deflectd.yaml`
}

// Run validates the configuration, asks every service and prints the report.
func (c checkCommand) Run(ctx context.Context, p *process) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	findings := check(ctx, cfg)
	if err := printFindings(p.stdout, findings); err != nil {
		return err
	}
	for _, f := range findings {
		if f.verdict == failed {
			return errCheckFailed
		}
	}
	return nil
}

// check looks at everything at the same time and reports in a fixed order.
func check(ctx context.Context, cfg *config.Config) []finding {
	probes := []func(context.Context) []finding{
		func(context.Context) []finding { return checkSettings(cfg) },
	}
	for _, node := range cfg.Asterisk.Nodes {
		probes = append(probes, func(ctx context.Context) []finding {
			return checkAsterisk(ctx, node, cfg.Asterisk.Application)
		})
	}
	probes = append(probes,
		func(ctx context.Context) []finding { return checkRedis(ctx, cfg.Redis) },
		func(ctx context.Context) []finding { return checkProvider(ctx, cfg.SMS) },
		func(ctx context.Context) []finding { return checkPublicURL(ctx, cfg.Public.URL) },
	)
	found := make([][]finding, len(probes))
	var all sync.WaitGroup
	for i, probe := range probes {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			found[i] = probe(ctx)
		})
	}
	all.Wait()
	var findings []finding
	for _, f := range found {
		findings = append(findings, f...)
	}
	return findings
}

// checkSettings reports what works but may not have been meant.
func checkSettings(cfg *config.Config) []finding {
	findings := []finding{{fine, "configuration", "every setting can be read", ""}}
	for _, w := range cfg.Warnings() {
		findings = append(findings, finding{warning, w.Key, w.Message, ""})
	}
	return append(findings, checkSender(cfg)...)
}

// checkSender reports the countries in which texts from the sender that is
// configured do not arrive.
func checkSender(cfg *config.Config) (findings []finding) {
	name := cfg.SMS.Originator
	if strings.Trim(name, "+0123456789") == "" {
		return nil // a number, or none
	}
	for _, country := range cfg.Numbers.Countries {
		if !sender.Names(country) {
			findings = append(findings, finding{
				warning, "sms.originator", fmt.Sprintf("texts from a name such as %s do not arrive in %s, unless that was arranged with the networks", name, country),
				"take a number, or obtain one for that country (POST /v1/senders): it is used where the name cannot be",
			})
		}
	}
	return findings
}

// checkPublicURL asks whether the name in the short links is known. Whether a
// telephone gets through cannot be seen from here.
func checkPublicURL(ctx context.Context, raw string) []finding {
	const item = "public.url"
	u, err := url.Parse(raw)
	if err != nil {
		return []finding{{failed, item, err.Error(), ""}}
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		return []finding{{
			warning, item, fmt.Sprintf("%s cannot be resolved: %v", u.Hostname(), cause(err)),
			"telephones must find it: make its DNS entry, or correct public.url",
		}}
	}
	for _, a := range addresses {
		if ip := net.ParseIP(a); ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
			return []finding{{
				warning, item, fmt.Sprintf("%s is this machine itself (%s)", u.Hostname(), a),
				"no telephone can open such a link; set public.url to what the internet reaches",
			}}
		}
	}
	return []finding{{fine, item, fmt.Sprintf("%s is %s", u.Hostname(), addresses[0]), ""}}
}

// printFindings writes the report as a table, the advice below its line.
func printFindings(w io.Writer, findings []finding) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	count := map[verdict]int{}
	for _, f := range findings {
		count[f.verdict]++
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.verdict, f.item, f.detail)
		if f.advice != "" {
			fmt.Fprintf(table, "\t\t→ %s\n", f.advice)
		}
	}
	fmt.Fprintf(table, "\n%d ok, %d warnings, %d failed\n", count[fine], count[warning], count[failed])
	return table.Flush()
}

// cause is the innermost error that says something by itself: the outer ones
// repeat addresses that the report has already.
func cause(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	var network *net.OpError
	var lookup *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s", checkTimeout)
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return errors.New("no such host")
	case errors.As(err, &network) && network.Err != nil:
		return network.Err
	}
	return err
}
