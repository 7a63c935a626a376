package main

import (
	"fmt"
	"strconv"

	"deflectd/config"
)

type tokenCommand struct {
	Name string `default:"ops" help:"Who will use the token; shown in logs and beside every change of a campaign."`
	Role string `default:"admin" enum:"viewer,editor,admin" help:"What it may do: viewer reads, with numbers masked; editor changes campaigns and opt-outs too, and sends test texts; admin does everything."`
}

// Help is shown by --help.
func (tokenCommand) Help() string {
	return `The token is shown once and kept nowhere: the configuration holds its hash,
from which it cannot be found again.

Example:

    deflectd token --name alice --role editor
    curl -H "Authorization: Bearer dfl_…" http://127.0.0.1:8080/v1/campaigns`
}

// Run prints a new token and the configuration's entry for it.
func (c tokenCommand) Run(p *process) error {
	secret, hash := config.NewToken()
	_, err := fmt.Fprintf(p.stdout, `The token, shown only now:

    %s

Its entry under admin.tokens in the configuration:

    - {name: %s, role: %s, hash: "%s"}
`, secret, strconv.Quote(c.Name), c.Role, hash)
	return err
}
