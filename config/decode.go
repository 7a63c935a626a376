package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// place is where a setting was given.
type place struct {
	line     int
	variable string
}

// decoder fills a Config from YAML nodes. yaml.v3's own KnownFields names Go
// types in its errors and stops at a type's first mismatch; this walks the
// same nodes and names the key, the line or the variable of every problem.
type decoder struct {
	problems []Problem
	places   map[string]place
	// dir is what the path of a secret's file is relative to.
	dir string
	// variable is the environment variable being read; "" in the file.
	variable string
}

func (d *decoder) problem(n *yaml.Node, key, format string, args ...any) {
	p := Problem{Key: key, Variable: d.variable, Message: fmt.Sprintf(format, args...)}
	if d.variable == "" && n != nil {
		p.Line = n.Line
	}
	d.problems = append(d.problems, p)
}

// note remembers where key was given: by n, which is its name in a mapping or
// the item of a list.
func (d *decoder) note(n *yaml.Node, key string) {
	if d.variable != "" {
		d.places[key] = place{variable: d.variable}
		return
	}
	d.places[key] = place{line: n.Line}
}

// empty says whether a node holds nothing: such a key keeps its default.
func empty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// value decodes a node into v, which is addressable.
func (d *decoder) value(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if empty(n) {
		return
	}
	switch {
	case v.Kind() == reflect.Struct:
		d.object(n, v, key)
	case v.Kind() == reflect.Slice:
		d.list(n, v, key)
	case n.Kind != yaml.ScalarNode:
		d.problem(n, key, "must be a single value")
	default:
		d.scalar(n, v, key)
	}
}

// object decodes a mapping into a struct; the keys are those of the yaml tags,
// and KEY_file for every secret KEY.
func (d *decoder) object(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, key, "must hold settings: %s", strings.Join(keysOf(v.Type()), ", "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, item := n.Content[i], n.Content[i+1]
		path := join(key, name.Value)
		if seen[name.Value] {
			d.problem(name, path, "is given twice")
			continue
		}
		seen[name.Value] = true
		if secret, found := strings.CutSuffix(name.Value, fileSuffix); found {
			if field, ok := fieldByKey(v, secret); ok && isSecret(field) {
				if seen[secret] {
					d.problem(name, path, "is given beside %s: only one can hold", secret)
					continue
				}
				d.note(name, join(key, secret))
				d.secretFile(item, field, join(key, secret))
				continue
			}
		}
		field, ok := fieldByKey(v, name.Value)
		if !ok {
			d.problem(name, path, "unknown key; here can be: %s", strings.Join(keysOf(v.Type()), ", "))
			continue
		}
		if isSecret(field) && seen[name.Value+fileSuffix] {
			d.problem(name, path, "is given beside %s: only one can hold", name.Value+fileSuffix)
			continue
		}
		d.note(name, path)
		d.value(item, field, path)
	}
}

// list decodes a sequence; it replaces the whole list.
func (d *decoder) list(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.SequenceNode {
		d.problem(n, key, "must be a list: [a, b]")
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		path := key + "[" + strconv.Itoa(i) + "]"
		d.note(item, path)
		d.value(item, items.Index(i), path)
	}
	v.Set(items)
}

// scalar takes the text as it is written, so that an unquoted +18005550100 or
// NO stays what it looks like.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, key string) {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		duration, err := parseDuration(n.Value)
		if err != nil {
			d.problem(n, key, "%v", err)
			return
		}
		v.SetInt(int64(duration))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if err != nil {
			d.problem(n, key, "must be true or false")
			return
		}
		v.SetBool(b)
	case reflect.Int:
		i, err := strconv.Atoi(n.Value)
		if err != nil {
			d.problem(n, key, "must be a whole number")
			return
		}
		v.SetInt(int64(i))
	default:
		v.SetString(n.Value)
	}
}

// secretFile sets a secret to what a file holds, less the line end.
func (d *decoder) secretFile(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if empty(n) {
		return
	}
	if n.Kind != yaml.ScalarNode {
		d.problem(n, key+fileSuffix, "must be the path of a file")
		return
	}
	secret, err := readSecret(d.dir, n.Value)
	if err != nil {
		d.problem(n, key+fileSuffix, "%v", err)
		return
	}
	v.SetString(secret)
}

func isSecret(v reflect.Value) bool { return v.Type() == reflect.TypeFor[Secret]() }

// keyOf is the key of a field, "" if it has none.
func keyOf(f reflect.StructField) string { return f.Tag.Get("yaml") }

// keysOf lists what a struct can hold today.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if key := keyOf(t.Field(i)); key != "" && t.Field(i).Tag.Get("later") == "" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func fieldByKey(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if key != "" && keyOf(v.Type().Field(i)) == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
