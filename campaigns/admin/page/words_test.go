package page

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the API says in a sentence is shown to people: none of it names an
// operation there.
func TestPeopleAreNotToldOfOperations(t *testing.T) {
	files, err := filepath.Glob("../*.go")
	require.NoError(t, err)
	found := 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if _, isField := n.(*ast.Field); isField || strings.HasSuffix(name, "_test.go") {
				return false // tags describe the API itself
			}
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			if strings.Contains(text, "/v1/") && strings.Contains(text, " ") {
				found++
				require.NotContains(t, sentence(text), "/v1", name)
				require.NotContains(t, plainly(text), "/v1", name)
			}
			return true
		})
	}
	require.Positive(t, found)
}
