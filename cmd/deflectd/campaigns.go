package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/admin/client"
)

const (
	// askTimeout is how long one request to the API may take.
	askTimeout = 30 * time.Second
	// pageSize is how many campaigns are read at once: as many as the API gives.
	pageSize = 500
	// maxSecretFile bounds what is read of a file with a token, in bytes.
	maxSecretFile = 4 << 10
)

// campaignsCommand works on campaigns over the API.
type campaignsCommand struct {
	List   listCommand   `cmd:"" help:"List the campaigns."`
	Export exportCommand `cmd:"" help:"Write the campaigns as YAML to the standard output."`
	Apply  applyCommand  `cmd:"" help:"Make the campaigns what a file says; show the difference first."`
}

// apiFlags are how a command reaches the API.
type apiFlags struct {
	URL       string `env:"DEFLECTD_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Where the API is (${env}); ${default} where it is left out."`
	Token     string `env:"DEFLECTD_TOKEN" placeholder:"TOKEN" help:"The API token (${env}). On a command line others can read it: the variable or the file are better."`
	TokenFile string `env:"DEFLECTD_TOKEN_FILE" placeholder:"FILE" help:"A file that holds the API token (${env})."`
}

// usageError is a command line that cannot be what was meant.
type usageError struct{ message string }

// Error implements error.
func (e *usageError) Error() string { return e.message }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// client makes a client of the API, which refuses answers that have more than
// this version knows of: to write them back would lose it.
func (f apiFlags) client() (*client.Client, error) {
	at, err := url.Parse(f.URL)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.RawQuery != "" || at.Fragment != "" || at.User != nil {
		return nil, usage("--url must be the address of the API, such as http://127.0.0.1:8080")
	}
	token := f.Token
	if token != "" && f.TokenFile != "" {
		return nil, usage("a token and a file with one are given (--token, --token-file, or their variables): give one of them")
	}
	if f.TokenFile != "" {
		if token, err = readToken(f.TokenFile); err != nil {
			return nil, err
		}
	}
	if token == "" {
		return nil, usage("a token is needed: DEFLECTD_TOKEN, --token-file or --token")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, usage("the token has characters that no token has: a space, or a line end")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = askTimeout
	return client.New(f.URL, token, transport).Strict(), nil
}

func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", usage("--token-file: %v", err)
	}
	defer file.Close()
	secret, err := io.ReadAll(io.LimitReader(file, maxSecretFile))
	if err != nil {
		return "", usage("--token-file: %v", err)
	}
	token := strings.TrimSpace(string(secret))
	if token == "" {
		return "", usage("--token-file: %s is empty", path)
	}
	return token, nil
}

// everything reads all campaigns that match, page by page.
func everything(ctx context.Context, api *client.Client, q client.CampaignQuery) ([]*campaigns.Campaign, error) {
	q.Limit = pageSize
	var all []*campaigns.Campaign
	for {
		page, err := bounded(ctx, func(ctx context.Context) (client.List[*campaigns.Campaign], error) {
			return api.Campaigns(ctx, q)
		})
		if err != nil {
			return nil, unknownField(err)
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		q.Cursor = page.Next
	}
}

// bounded asks the API within askTimeout.
func bounded[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return ask(ctx)
}

// unknownField says what to do about an answer of a newer deflectd.
func unknownField(err error) error {
	if errors.Is(err, client.ErrUnknownField) {
		return fmt.Errorf("%w: the daemon is newer than this program; use the one of its version", err)
	}
	return err
}

type listCommand struct {
	apiFlags
	Query   string `short:"q" name:"query" placeholder:"WORDS" help:"Only those that have all these words in the id, name, text or interaction."`
	Deleted bool   `help:"Those deleted in the last 30 days instead."`
}

// Run prints a table of the campaigns.
func (c listCommand) Run(ctx context.Context, p *process) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	all, err := everything(ctx, api, client.CampaignQuery{Q: c.Query, Deleted: c.Deleted})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tON\tNUMBERS\tNAME")
	for _, campaign := range all {
		on := "off"
		if campaign.IsEnabled() {
			on = "on"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", campaign.ID, on, few(campaign.DNIS), shown(campaign.Name))
	}
	return table.Flush()
}

// few writes a list of numbers shortly.
func few(numbers []string) string {
	const most = 3
	if len(numbers) <= most {
		return strings.Join(numbers, " ")
	}
	return fmt.Sprintf("%s +%d more", strings.Join(numbers[:most], " "), len(numbers)-most)
}

type exportCommand struct{ apiFlags }

// Help is shown by --help.
func (exportCommand) Help() string {
	return `The campaigns come in the order of their ids, without what deflectd keeps of them
by itself (versions, times) and without what is as it is by default. The same
campaigns are the same bytes, so that they can be kept under version control,
and "deflectd campaigns apply" of what was exported changes nothing.

Example:

    deflectd campaigns export > campaigns.yaml`
}

// Run writes the campaigns as YAML.
func (c exportCommand) Run(ctx context.Context, p *process) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	all, err := everything(ctx, api, client.CampaignQuery{})
	if err != nil {
		return err
	}
	return writeCampaigns(p.stdout, all)
}
