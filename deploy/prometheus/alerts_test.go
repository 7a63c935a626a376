package prometheus

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// rules is as much of a file of alerting rules as is looked at.
type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert       string
			Expr        string
			For         string
			Labels      struct{ Severity string }
			Annotations struct{ Summary, Description string }
		}
	}
}

// Every alert is about metrics that there are, and says what to do.
func TestAlertsNameMetricsThatThereAre(t *testing.T) {
	raw, err := os.ReadFile("alerts.yaml")
	require.NoError(t, err)
	var file rules
	d := yaml.NewDecoder(strings.NewReader(string(raw)))
	d.KnownFields(true)
	require.NoError(t, d.Decode(&file))
	known := metrics(t)
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			require.False(t, seen[r.Alert], r.Alert)
			seen[r.Alert] = true
			require.Regexp(t, `^Deflectd[A-Z][A-Za-z]+$`, r.Alert)
			require.Contains(t, []string{"page", "ticket"}, r.Labels.Severity, r.Alert)
			require.NotEmpty(t, r.Annotations.Summary, r.Alert)
			require.NotEmpty(t, r.Annotations.Description, r.Alert)
			require.Equal(t, strings.Count(r.Expr, "("), strings.Count(r.Expr, ")"), r.Alert)
			named := regexp.MustCompile(`deflectd_[a-z_]+`).FindAllString(r.Expr, -1)
			require.True(t, len(named) > 0 || strings.HasPrefix(r.Expr, "up{"), r.Alert)
			for _, name := range named {
				require.Contains(t, known, name, r.Alert)
			}
		}
	}
	require.Len(t, seen, 9)
}

// metrics are the names that the code gives to metrics.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	name := regexp.MustCompile(`Name:\s+"(deflectd_[a-z_]+)"`)
	inParts := regexp.MustCompile(`Namespace: "([a-z]+)", Subsystem: "([a-z]+)", Name: "([a-z_]+)"`)
	known := map[string]bool{}
	root := filepath.Join("..", "..")
	require.NoError(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), ".") && path != root:
			return filepath.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range name.FindAllStringSubmatch(string(code), -1) {
			known[m[1]] = true
		}
		for _, m := range inParts.FindAllStringSubmatch(string(code), -1) {
			known[strings.Join(m[1:], "_")] = true
		}
		return nil
	}))
	return known
}
