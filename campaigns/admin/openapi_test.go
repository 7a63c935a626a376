package admin

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the generated documentation")

const committed = "../../docs/openapi.json"

// description is as much of an OpenAPI document as these tests look at.
type description struct {
	OpenAPI    string
	Paths      map[string]map[string]operationDescription
	Components struct {
		Schemas         map[string]json.RawMessage
		Responses       map[string]responseDescription
		SecuritySchemes map[string]struct{ Type, Scheme string }
	}
	Security []map[string][]string
}

type operationDescription struct {
	OperationID string
	Summary     string
	Description string
	Tags        []string
	Parameters  []struct {
		Name, In, Description string
		Schema                json.RawMessage
	}
	Role        string `json:"x-role"`
	RequestBody *struct {
		Content map[string]struct{ Schema json.RawMessage }
	}
	Responses map[string]responseDescription
}

type responseDescription struct {
	Ref         string `json:"$ref"`
	Description string
	Content     map[string]struct{ Schema json.RawMessage }
}

func TestDescriptionIsInStep(t *testing.T) {
	f := newFixture(t)
	now := f.do("GET", "/openapi.json", "", "Authorization:").want(200)
	require.Equal(t, "application/openapi+json", now.header.Get("Content-Type"))
	if *update {
		require.NoError(t, os.WriteFile(committed, []byte(now.body), 0o644))
	}
	old, err := os.ReadFile(committed)
	require.NoError(t, err)
	require.Equal(t, string(old), now.body, "docs/openapi.json is old: go test ./campaigns/admin -run Description -update")
}

func TestDescriptionIsSound(t *testing.T) {
	f := newFixture(t)
	body := f.do("GET", "/openapi.json", "").body
	var d description
	require.NoError(t, json.Unmarshal([]byte(body), &d))
	require.Equal(t, "3.1.0", d.OpenAPI)
	require.Equal(t, "bearer", d.Components.SecuritySchemes["token"].Scheme)
	require.Contains(t, d.Security[0], "token")
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(body, -1) {
		require.Contains(t, d.Components.Schemas, ref[1])
	}
	require.NotContains(t, body, `"nullable"`, "that is OpenAPI 3.0")
	ids := map[string]bool{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			name := method + " " + path
			require.NotEmpty(t, op.Summary, name)
			require.NotEmpty(t, op.Tags, name)
			require.Contains(t, []string{"viewer", "editor", "admin"}, op.Role, name)
			require.Contains(t, op.Description, "Needs the role "+op.Role+".", name)
			require.NotEmpty(t, op.OperationID, name)
			require.False(t, ids[op.OperationID], name)
			ids[op.OperationID] = true
			described := map[string]bool{}
			for _, p := range op.Parameters {
				require.NotEmpty(t, p.Description, "%s: %s", name, p.Name)
				require.NotEmpty(t, p.Schema, "%s: %s", name, p.Name)
				described[p.In+" "+p.Name] = true
			}
			for _, part := range regexp.MustCompile(`{([^}]+)}`).FindAllStringSubmatch(path, -1) {
				require.True(t, described["path "+part[1]], name)
			}
			for code, r := range op.Responses {
				if shared, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
					r = d.Components.Responses[shared]
				}
				require.NotEmpty(t, r.Description, "%s: %s", name, code)
				if code >= "400" {
					require.Contains(t, r.Content, problemType, "%s: %s", name, code)
				}
			}
		}
	}
	require.Len(t, ids, 31)
}
