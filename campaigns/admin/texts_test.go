package admin

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
)

// docs/texts.md explains every word that an operator may see of a text: states,
// refusals, sources of opt-outs, and the reasons of the provider's tables.
func TestEveryWordIsExplained(t *testing.T) {
	raw, err := os.ReadFile("../../docs/texts.md")
	require.NoError(t, err)
	words := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(string(raw), -1) {
		words[m[1]] = true
	}
	var wanted []string
	for _, s := range message.States() {
		wanted = append(wanted, string(s))
	}
	for _, s := range optout.Sources() {
		wanted = append(wanted, string(s))
	}
	for _, r := range []guard.Reason{
		guard.OptedOut, guard.Suppressed, guard.Cooldown, guard.Capped, guard.ANIUntrusted, guard.NotMobile,
		guard.CountryNotAllowed, guard.ANIOwnNumber, guard.OutsideHours,
	} {
		wanted = append(wanted, string(r))
	}
	tables := 0
	for _, file := range []string{"verdict.go", "failure.go"} {
		code, err := os.ReadFile(filepath.Join("..", "message", "messagebird", file))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?:rule|failure)?\{(?:message\.[A-Za-z]+, )?"([a-z_]+)"|: +"([a-z]+_[a-z]+)"`).FindAllStringSubmatch(string(code), -1) {
			wanted = append(wanted, m[1]+m[2])
			tables++
		}
	}
	require.Greater(t, tables, 25, "the tables are read")
	for _, w := range wanted {
		require.True(t, words[w], "%s is not in docs/texts.md", w)
	}
}
