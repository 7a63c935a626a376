package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
)

type applyCommand struct {
	apiFlags
	File   string `arg:"" help:"The file with the campaigns, in YAML or JSON; - is the standard input."`
	DryRun bool   `help:"Only show the difference."`
	Prune  bool   `help:"Also delete the campaigns that the file does not have. They can be restored for 30 days."`
	Yes    bool   `short:"y" help:"Do not ask. Needed where there is no terminal to ask at."`
}

// Help is shown by --help.
func (applyCommand) Help() string {
	return `The file says what the campaigns are to be; "deflectd campaigns export" writes
one. A campaign that is in the file becomes just what the file says: what it does
not name gets its default. One that is not in the file stays as it is, unless
--prune deletes it.

Everything is checked and the difference is shown before anything is written.
Each campaign is written only where nobody has changed it since; the first error
ends it, and says what was done and what was not. Applying the same file again
goes on from there, and does nothing where nothing is left to do.

Examples:

    deflectd campaigns apply campaigns.yaml --dry-run
    DEFLECTD_TOKEN=… deflectd campaigns apply campaigns.yaml --yes --prune`
}

// errUnconfirmed says that nobody said yes.
var errUnconfirmed = errors.New("nothing was done")

// Run makes the campaigns what the file says.
func (c applyCommand) Run(ctx context.Context, p *process) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	wanted, err := readCampaigns(c.File, p.stdin)
	if err != nil {
		return err
	}
	there, err := everything(ctx, api, client.CampaignQuery{})
	if err != nil {
		return err
	}
	plan := compare(wanted, there, c.Prune)
	warnings, err := plan.check(ctx, api, c.File)
	for _, w := range warnings {
		fmt.Fprintln(p.stderr, "warning:", w)
	}
	if err != nil {
		return err
	}
	plan = compare(wanted, there, c.Prune) // with all numbers in one form
	if err := plan.order(there, c.File); err != nil {
		return err
	}
	plan.print(p.stdout)
	if len(plan.steps) == 0 {
		fmt.Fprintf(p.stdout, "Nothing to change: %s.\n", summary(nil, plan.unchanged, nil))
		return nil
	}
	fmt.Fprintf(p.stdout, "To do: %s.\n", summary(plan.steps, plan.unchanged, func(a action) string { return "to " + string(a) }))
	if c.DryRun {
		return nil
	}
	if !c.Yes {
		if err := c.confirm(p); err != nil {
			return err
		}
	}
	return plan.run(ctx, api, p.stdout)
}

// confirm asks whether the difference is meant, where there is somebody to ask.
func (c applyCommand) confirm(p *process) error {
	if c.File == "-" || !p.terminal() {
		return usage("there is no terminal to ask at: give --yes to apply this, or --dry-run to only see it; nothing was done")
	}
	fmt.Fprint(p.stdout, "Apply this? [y/N] ")
	answer, err := bufio.NewReader(p.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errUnconfirmed
}

// terminal says whether somebody sits before the program.
func (p *process) terminal() bool {
	if p.attended {
		return true
	}
	file, ok := p.stdin.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// run writes the steps one after the other, and stops at the first error.
func (p plan) run(ctx context.Context, api *client.Client, w io.Writer) error {
	for i, s := range p.steps {
		err := s.run(ctx, api)
		if err == nil {
			fmt.Fprintf(w, "%s: %s\n", s.id, s.action.done())
			continue
		}
		return p.stopped(i, err)
	}
	_, err := fmt.Fprintf(w, "Done: %s.\n", summary(p.steps, p.unchanged, action.done))
	return err
}

func (s *step) run(ctx context.Context, api *client.Client) error {
	_, err := bounded(ctx, func(ctx context.Context) (struct{}, error) {
		var err error
		switch s.action {
		case create:
			_, err = api.CreateCampaign(ctx, s.entry.Campaign, "")
		case change:
			_, err = api.ReplaceCampaign(ctx, s.id, s.entry.Campaign, s.version)
		case remove:
			err = api.DeleteCampaign(ctx, s.id, s.version)
		}
		return struct{}{}, err
	})
	return err
}

// stopped says what was done before an error, what was not, and of what that is
// not known.
func (p plan) stopped(at int, err error) error {
	s := p.steps[at]
	var known *admin.Problem
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s\n", s.action, s.id, because(err))
	rest := p.steps[at:]
	if !errors.As(err, &known) || known.Status >= http.StatusInternalServerError {
		// It may have been written before the answer was lost.
		fmt.Fprintf(&b, "Not known: %s\n", names(p.steps[at:at+1]))
		rest = p.steps[at+1:]
	}
	fmt.Fprintf(&b, "Done: %s\nNot done: %s\nApplying the file again goes on from there.", names(p.steps[:at]), names(rest))
	return &stoppedError{message: b.String(), err: err}
}

// stoppedError is an error that says how far it came.
type stoppedError struct {
	message string
	err     error
}

// Error implements error.
func (e *stoppedError) Error() string { return e.message }

// Unwrap is what it stopped at.
func (e *stoppedError) Unwrap() error { return e.err }

// because says what an error of the API is about, with all its details.
func because(err error) string {
	var p *admin.Problem
	if !errors.As(err, &p) {
		return err.Error()
	}
	if p.Status == http.StatusPreconditionFailed {
		return "somebody else has changed it meanwhile"
	}
	parts := []string{p.Detail}
	for _, d := range p.Errors {
		where := d.Parameter + d.Header
		if d.Pointer != nil {
			where = *d.Pointer
		}
		parts = append(parts, strings.TrimSpace(where+" "+d.Detail))
	}
	return strings.Join(parts, "; ")
}

func names(steps []*step) string {
	if len(steps) == 0 {
		return "nothing"
	}
	ids := make([]string, len(steps))
	for i, s := range steps {
		ids[i] = s.id
	}
	return strings.Join(ids, ", ")
}
