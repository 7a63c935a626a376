package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the generated and golden files")

// example is the configuration of the sample: the defaults, and something
// plausible where there is none.
func example() *Config {
	c := Default()
	c.Asterisk.Nodes = []Node{{Name: "pbx1", URL: "http://127.0.0.1:8088/ari", Username: "deflectd", Password: "change-me"}}
	c.Public.URL = "https://txt.example.com"
	c.SMS.Originator = "+18885550100" // names do not arrive in the home country of this sample
	c.Numbers.Countries = []string{c.Numbers.Region}
	c.SMS.MessageBird.AccessKey = "change-me"
	return c
}

const sampleHead = `deflectd: the configuration, with every setting there is. What is not marked
as needed may be left out: the values shown are the defaults.

Try it with:  deflectd check --config deflectd.yaml

Every setting can be given as an environment variable instead, which wins over
the file: DEFLECTD_ and the path in capitals, as in DEFLECTD_REDIS_URL or
DEFLECTD_NUMBERS_COUNTRIES=US,CA. Instead of a secret, KEY_file names a file
that holds it: password_file, access_key_file, url_file (of redis).
Durations are written 90s, 72h or 90d.`

// needed are the settings without a default.
var needed = map[string]bool{
	"asterisk.nodes": true, "public.url": true, "sms.messagebird.access_key": true,
}

// docs reads the comment of every field of the package's structs, by
// "Type.Field".
func docs(t *testing.T) map[string]string {
	t.Helper()
	comments := map[string]string{}
	for _, name := range []string{"config.go", "token.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range fields.Fields.List {
					for _, ident := range f.Names {
						comments[spec.Name.Name+"."+ident.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					}
				}
			}
			return false
		})
	}
	return comments
}

// annotate puts the comments of the fields above their keys.
func annotate(node *yaml.Node, t reflect.Type, path string, comments map[string]string) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		var field reflect.StructField
		for j := range t.NumField() {
			if keyOf(t.Field(j)) == key.Value {
				field = t.Field(j)
			}
		}
		comment, at := comments[t.Name()+"."+field.Name], join(path, key.Value)
		if needed[at] {
			comment += " Needed."
		}
		key.HeadComment = wrap(comment, 90-2*strings.Count(at, "."))
		if field.Type.Kind() == reflect.Struct {
			annotate(value, field.Type, at, comments)
		} else if isObjects(field.Type) && len(value.Content) > 0 {
			annotate(value.Content[0], field.Type.Elem(), at, comments)
		}
	}
}

// isObjects says whether t is a list of objects.
func isObjects(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// wrap breaks a text into lines of about width characters.
func wrap(text string, width int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return strings.Join(append(lines, line), "\n")
}

func sample(t *testing.T) []byte {
	t.Helper()
	root := mapping(reflectConfig(example()), 0, Secret.Reveal)
	annotate(root, reflect.TypeFor[Config](), "", docs(t))
	var out bytes.Buffer
	for line := range strings.SplitSeq(sampleHead, "\n") {
		fmt.Fprintln(&out, strings.TrimRight("# "+line, " "))
	}
	for i := 0; i+1 < len(root.Content); i += 2 { // a blank line before each section
		out.WriteString("\n")
		section := &yaml.Node{Kind: yaml.MappingNode, Content: root.Content[i : i+2]}
		text, err := yaml.Marshal(section)
		require.NoError(t, err)
		out.Write(bytes.ReplaceAll(text, []byte("    "), []byte("  ")))
	}
	return out.Bytes()
}

// inStep compares a generated file with what it should be, or rewrites it.
func inStep(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, want, 0o644))
		return
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(have), "%s is out of step: run make generate", path)
}

func TestSampleInStep(t *testing.T) {
	const path = "../deploy/deflectd.yaml"
	inStep(t, path, sample(t))

	c, err := Load(path, nil)
	require.NoError(t, err)
	require.Equal(t, example().Asterisk, c.Asterisk)
	require.Equal(t, example().SMS, c.SMS)
	require.Equal(t, example().Retention, c.Retention)
}

func TestEverySettingHasAComment(t *testing.T) {
	comments := docs(t)
	for _, typ := range []reflect.Type{
		reflect.TypeFor[Config](), reflect.TypeFor[Asterisk](), reflect.TypeFor[Node](), reflect.TypeFor[Redis](),
		reflect.TypeFor[Admin](), reflect.TypeFor[Token](), reflect.TypeFor[Public](), reflect.TypeFor[SMS](),
		reflect.TypeFor[MessageBird](), reflect.TypeFor[Numbers](), reflect.TypeFor[Calls](), reflect.TypeFor[Limits](),
		reflect.TypeFor[Retention](), reflect.TypeFor[Log](),
	} {
		for i := range typ.NumField() {
			if keyOf(typ.Field(i)) != "" {
				require.NotEmpty(t, comments[typ.Name()+"."+typ.Field(i).Name], "%s.%s", typ.Name(), typ.Field(i).Name)
			}
		}
	}
}

const referenceHead = `<!-- Generated from the types in config; rewrite it with: make generate -->

# Configuration

deflectd reads one YAML file (` + "`--config FILE`, `DEFLECTD_CONFIG`, else `/etc/deflectd/deflectd.yaml`" + ` if there is one)
and then the environment, which wins. [deploy/deflectd.yaml](../deploy/deflectd.yaml) is a file to begin with.
` + "`deflectd check`" + ` says what is wrong, all at once, each with its key and line, and tries to reach
every service.

- An unknown key is an error, and so is an unknown variable that begins with ` + "`DEFLECTD_`" + `.
- The variables that Kubernetes and Docker set for a service called deflectd or deflectd-… are passed over:
  ` + "`DEFLECTD_SERVICE_HOST`, `DEFLECTD_SERVICE_PORT`, `DEFLECTD_PORT=tcp://…`, `DEFLECTD_PORT_8080_TCP`" + ` and their kin.
- A key without a value, and an empty variable, count as not given.
- Lists in a variable are separated by commas: ` + "`DEFLECTD_NUMBERS_COUNTRIES=US,CA`" + `. Lists of objects are JSON:
  ` + "`DEFLECTD_ASTERISK_NODES='[{\"name\": \"pbx1\", \"url\": \"http://127.0.0.1:8088/ari\", \"username\": \"deflectd\", \"password\": \"…\"}]'`" + `.
  Either replaces the whole list.
- Durations are written ` + "`90s`, `72h`, `90d`" + `; a day has 24 hours.
- A secret can be read from a file: ` + "`KEY_file`" + ` instead of ` + "`KEY`" + `, or the variable with ` + "`_FILE`" + `.
  A relative path in the file is relative to the file's folder. The line end is left out.
- ` + "`DEFLECTD_ADMIN_TOKEN`" + ` (at least 16 characters) gives one admin token in plain text, for a first run.
`

// reference is the page of all settings, section by section.
func reference(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(referenceHead)
	comments := docs(t)
	root := reflectConfig(Default())
	var later []string
	for i := range root.NumField() {
		field := root.Type().Field(i)
		key := keyOf(field)
		switch {
		case key == "":
		case field.Tag.Get("later") != "":
			later = append(later, "`"+key+"`")
		default:
			fmt.Fprintf(&out, "\n## %s\n%s\n\n| key | variable | default | meaning |\n|---|---|---|---|\n", key, comments["Config."+field.Name])
			later = append(later, rows(&out, root.Field(i), key, true, comments)...)
		}
	}
	fmt.Fprintf(&out, "\n## Not available yet\nThese have their place, and are refused until they work: %s.\n", strings.Join(later, ", "))
	return out.Bytes()
}

// rows writes one row for each setting of v and returns those that are not
// available yet. What is in a list has no variable of its own.
func rows(out *bytes.Buffer, v reflect.Value, path string, variables bool, comments map[string]string) (later []string) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		s := setting{key: join(path, keyOf(field)), value: v.Field(i)}
		if field.Tag.Get("later") != "" {
			later = append(later, "`"+s.key+"`")
			continue
		}
		if field.Type.Kind() == reflect.Struct {
			later = append(later, rows(out, s.value, s.key, variables, comments)...)
			continue
		}
		variable, standard := "", "none"
		if variables {
			variable = "`" + s.variable() + "`"
		}
		if !s.value.IsZero() || field.Type.Kind() == reflect.Bool {
			text, _ := yaml.Marshal(render(s.value, yaml.FlowStyle, Secret.Reveal))
			standard = "`" + strings.TrimSpace(string(text)) + "`"
		}
		if needed[s.key] || !variables {
			standard = "needed"
		}
		meaning := strings.ReplaceAll(comments[v.Type().Name()+"."+field.Name], "|", "\\|")
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", s.key, variable, standard, meaning)
		if isObjects(field.Type) {
			later = append(later, rows(out, reflect.New(field.Type.Elem()).Elem(), s.key+"[]", false, comments)...)
		}
	}
	return later
}

func TestReferenceInStep(t *testing.T) {
	inStep(t, "../docs/configuration.md", reference(t))
}
