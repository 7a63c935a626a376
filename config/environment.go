package config

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	envPrefix  = "DEFLECTD_"
	fileSuffix = "_file"
	// adminTokenVariable gives one admin token in plain text, for a first run.
	adminTokenVariable = envPrefix + "ADMIN_TOKEN"
)

// ofCommands are the variables of the command line, which are not settings: the
// file to read, and where and with what token `deflectd campaigns` asks the API.
var ofCommands = map[string]bool{
	envPrefix + "CONFIG": true, envPrefix + "URL": true,
	envPrefix + "TOKEN": true, envPrefix + "TOKEN_FILE": true,
}

// Kubernetes puts the addresses of services into the environment of every
// container, and Docker those of linked ones: that of a service "deflectd" or
// "deflectd-public" looks like ours. Kubernetes' own documentation, "Discovering
// services", has the names; the values keep what was meant for us, such as
// DEFLECTD_ADMIN_PORT=8080, from passing as one of them.
var (
	serviceHost = regexp.MustCompile(`^DEFLECTD_(\w+_)?(SERVICE_HOST|PORT_\d+_(TCP|UDP|SCTP)_ADDR)=[0-9A-Fa-f.:]+$`)
	servicePort = regexp.MustCompile(`^DEFLECTD_(\w+_)?(SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)_PORT)=\d+$`)
	serviceURL  = regexp.MustCompile(`^DEFLECTD_(\w+_)?PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://`)
	serviceKind = regexp.MustCompile(`^DEFLECTD_(\w+_)?PORT_\d+_(TCP|UDP|SCTP)_PROTO=(tcp|udp|sctp)$`)
)

// ofCluster says whether a variable was put there by Kubernetes or Docker.
func ofCluster(entry string) bool {
	return serviceHost.MatchString(entry) || servicePort.MatchString(entry) ||
		serviceURL.MatchString(entry) || serviceKind.MatchString(entry)
}

// setting is one key that a variable can set: a value, or a list.
type setting struct {
	key   string
	value reflect.Value
	later bool
}

// variable is the name of the setting's environment variable.
func (s setting) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// settings lists what c holds, in the order of the file.
func settings(c *Config) []setting {
	return settingsOf(reflect.ValueOf(c).Elem(), "", false)
}

func settingsOf(v reflect.Value, path string, later bool) []setting {
	var all []setting
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := keyOf(field)
		if key == "" {
			continue
		}
		s := setting{join(path, key), v.Field(i), later || field.Tag.Get("later") != ""}
		if s.value.Kind() == reflect.Struct {
			all = append(all, settingsOf(s.value, s.key, s.later)...)
			continue
		}
		all = append(all, s)
	}
	return all
}

// environment reads the variables that begin with DEFLECTD_. They go through
// the decoder of the file, so that both know the same words and find the same
// mistakes; a library that fills structs from variables would name Go fields
// in its errors and knows neither lists of objects nor unknown variables.
// An empty variable counts as none.
func (d *decoder) environment(c *Config, environ []string) {
	known := map[string]func(value string){}
	for _, s := range settings(c) {
		known[s.variable()] = func(value string) { d.override(s, value) }
		if isSecret(s.value) {
			known[s.variable()+strings.ToUpper(fileSuffix)] = func(value string) {
				d.note(nil, s.key)
				d.secretFile(scalarNode(value), s.value, s.key)
			}
		}
	}
	known[adminTokenVariable] = func(string) {} // below, after the list it is added to

	given := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && !ofCommands[name] && !ofCluster(entry) {
			given[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		d.variable = name
		set, ok := known[name]
		direct := strings.TrimSuffix(name, strings.ToUpper(fileSuffix))
		switch {
		case !ok:
			d.problem(nil, "", "unknown variable%s", suggestion(known, name))
		case given[name] == "":
		case direct != name && given[direct] != "":
			d.problem(nil, "", "is given beside %s: only one can hold", direct)
		default:
			set(given[name])
		}
	}
	if secret := given[adminTokenVariable]; secret != "" {
		d.variable = adminTokenVariable
		d.adminToken(c, secret)
	}
	d.variable = ""
}

// override sets one setting from a variable.
func (d *decoder) override(s setting, value string) {
	d.note(nil, s.key)
	switch {
	case s.value.Kind() != reflect.Slice:
		d.value(scalarNode(value), s.value, s.key)
	case s.value.Type().Elem().Kind() == reflect.Struct:
		var doc yaml.Node // JSON is YAML too
		if err := yaml.Unmarshal([]byte(value), &doc); err != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.SequenceNode {
			d.problem(nil, s.key, `must be a JSON list of objects: [{"name": "…", …}]`)
			return
		}
		d.value(doc.Content[0], s.value, s.key)
	default:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list.Content = append(list.Content, scalarNode(item))
			}
		}
		d.value(list, s.value, s.key)
	}
}

// adminToken adds the token of the first run, hashed. People make it up, so it
// can be found from its hash by trying: that is a secret too.
func (d *decoder) adminToken(c *Config, secret string) {
	for _, r := range secret {
		if r <= ' ' || r > '~' {
			d.problem(nil, "", "may hold only visible ASCII characters: it is sent in an HTTP header")
			return
		}
	}
	if len(secret) < minAdminToken {
		d.problem(nil, "", "must have at least %d characters; `deflectd token` makes a good one", minAdminToken)
		return
	}
	c.Admin.Tokens = append(slices.Clip(c.Admin.Tokens), Token{Name: "first-run", Role: RoleAdmin, Hash: Secret(HashToken(secret))})
}

func scalarNode(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// suggestion names the variable that was likely meant: one whose words are
// nearly the same.
func suggestion(known map[string]func(string), name string) string {
	best, distance := "", len(name)/4
	for candidate := range known {
		if n := editDistance(candidate, name); n < distance || n == distance && candidate < best {
			best, distance = candidate, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; was %s meant?", best)
}

// editDistance is Levenshtein's: how many letters to change, add or leave out.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
