package report

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the generated documentation")

const page = "../../docs/outcomes.md"

func TestDocumentIsInStep(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(Document()), 0o644))
	}
	got, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, Document(), string(got), "docs/outcomes.md is old: go test ./campaigns/report -run Document -update")
}

func TestTableIsComplete(t *testing.T) {
	explained := map[Outcome]bool{}
	for _, o := range outcomes {
		require.NotEmpty(t, o.Means)
		explained[o.Outcome] = true
	}
	type pair struct {
		Outcome
		Reason
	}
	seen := map[pair]bool{}
	for _, row := range Table {
		require.True(t, explained[row.Outcome], row.Outcome)
		require.False(t, seen[pair{row.Outcome, row.Reason}], "%s/%s twice", row.Outcome, row.Reason)
		seen[pair{row.Outcome, row.Reason}] = true
		require.NotEmpty(t, row.Means, row.Reason)
		require.NotContains(t, row.Means+row.Do, "|")
		require.True(t, allowed(row.Outcome, row.Reason))
	}
	require.Len(t, seen, 36)
	require.False(t, allowed("", ""))
	require.False(t, allowed(Deflected, "nonsense"))
}
