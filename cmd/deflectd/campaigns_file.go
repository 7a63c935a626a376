package main

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"deflectd/campaigns"
	"deflectd/config"
)

// maxCampaignsFile bounds what is read of a file of campaigns, in bytes.
const maxCampaignsFile = 64 << 20

// campaignsKey is the one key of the file.
const campaignsKey = "campaigns"

// entry is one campaign of a file.
type entry struct {
	*campaigns.Campaign
	key   string         // what it is called in the file: campaigns[0]
	lines map[string]int // where the file says what, by JSON pointer; "" is the campaign itself
}

// problem is what is wrong with a part of the entry, at the line of that part or
// of the nearest thing around it.
func (e *entry) problem(pointer, message string) config.Problem {
	p := config.Problem{Key: e.key + dotted(pointer), Message: message}
	for at := pointer; ; at = at[:strings.LastIndex(at, "/")] {
		if line, there := e.lines[at]; there {
			p.Line = line
			return p
		}
		if at == "" {
			return p
		}
	}
}

// readCampaigns reads a file of campaigns, "-" being the standard input. What is
// wrong with it comes back as a *config.Error that names everything at once.
func readCampaigns(path string, stdin io.Reader) ([]*entry, error) {
	file := stdin
	if path == "-" {
		path = "standard input"
	} else {
		opened, err := os.Open(path)
		if err != nil {
			return nil, unreadable(path, err)
		}
		defer opened.Close()
		file = opened
	}
	data, err := io.ReadAll(io.LimitReader(file, maxCampaignsFile+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	if len(data) > maxCampaignsFile {
		return nil, unreadable(path, fmt.Errorf("it has more than %d MB", maxCampaignsFile>>20))
	}
	r := new(fileReader)
	found := r.file(data)
	if len(r.problems) > 0 {
		return nil, &config.Error{File: path, Problems: r.problems}
	}
	return found, nil
}

func unreadable(path string, err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return &config.Error{File: path, Problems: []config.Problem{{Message: fmt.Sprintf("cannot be read: %v", err)}}}
}

// fileReader reads campaigns from YAML, of which JSON is a part. It names the
// line of every problem.
type fileReader struct {
	problems []config.Problem
	entry    *entry // being read
}

func (r *fileReader) problem(n *yaml.Node, key, format string, args ...any) {
	r.problems = append(r.problems, config.Problem{Key: key, Line: n.Line, Message: fmt.Sprintf(format, args...)})
}

// yamlError is how the library says where it stopped.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func (r *fileReader) syntax(err error) {
	p := config.Problem{Message: "is not YAML: " + err.Error()}
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Message = "is not YAML: " + m[2]
	}
	r.problems = append(r.problems, p)
}

// file reads the one document that a file holds.
func (r *fileReader) file(data []byte) []*entry {
	stream := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	if err := stream.Decode(&document); errors.Is(err, io.EOF) {
		r.problem(&document, "", "is empty: it must hold campaigns, a list; [] is none at all")
		return nil
	} else if err != nil {
		r.syntax(err)
		return nil
	}
	found := r.document(document.Content[0])
	if err := stream.Decode(&more); err == nil {
		r.problem(&more, "", "a second YAML document begins here; only one is read")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
	}
	return found
}

func (r *fileReader) document(n *yaml.Node) (found []*entry) {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		r.problem(n, "", "must hold campaigns, a list of them, and nothing else")
		return nil
	}
	list := (*yaml.Node)(nil)
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch name := n.Content[i]; {
		case name.Value != campaignsKey:
			r.problem(name, name.Value, "unknown key; here can be: %s", campaignsKey)
		case list != nil:
			r.problem(name, name.Value, "is given twice")
		default:
			list = resolved(n.Content[i+1])
		}
	}
	switch {
	case list == nil:
		r.problem(n, campaignsKey, "is needed: the list of campaigns; [] is none at all")
		return nil
	case list.Kind != yaml.SequenceNode:
		r.problem(list, campaignsKey, "must be a list of campaigns; [] is none at all")
		return nil
	}
	return r.campaigns(list)
}

func (r *fileReader) campaigns(list *yaml.Node) (found []*entry) {
	first := map[string]*entry{}
	for i, item := range list.Content {
		e := &entry{Campaign: new(campaigns.Campaign), key: fmt.Sprintf("%s[%d]", campaignsKey, i), lines: map[string]int{"": item.Line}}
		r.entry = e
		before := len(r.problems)
		r.object(resolved(item), reflect.ValueOf(e.Campaign).Elem(), "")
		switch twin := first[e.ID]; {
		case len(r.problems) > before: // it is wrong already
		case e.ID == "":
			r.problems = append(r.problems, e.problem("/id", "is needed: a short name such as \"billing\""))
		case twin != nil:
			r.problems = append(r.problems, e.problem("/id", fmt.Sprintf("%s is there twice: see line %d", e.ID, twin.problem("/id", "").Line)))
		default:
			first[e.ID] = e
			found = append(found, e)
		}
	}
	return found
}

// resolved is what a node stands for.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// empty says whether a node holds nothing: what it is of is left out.
func empty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func (r *fileReader) key(pointer string) string { return r.entry.key + dotted(pointer) }

// dotted writes a JSON pointer as people write the path of a setting.
func dotted(pointer string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if _, err := strconv.Atoi(part); err == nil {
			b.WriteString("[" + part + "]")
		} else if part != "" {
			b.WriteString("." + part)
		}
	}
	return b.String()
}

// object reads a mapping into a struct.
func (r *fileReader) object(n *yaml.Node, v reflect.Value, pointer string) {
	if n.Kind != yaml.MappingNode {
		r.problem(n, r.key(pointer), "must hold settings: %s", strings.Join(fieldNames(v.Type()), ", "))
		return
	}
	r.members(n, pointer, func(name, value *yaml.Node, at string) {
		field, found := fieldByName(v.Type(), name.Value)
		switch {
		case !found:
			r.problem(name, r.key(at), "unknown key; here can be: %s", strings.Join(fieldNames(v.Type()), ", "))
		case field.Tag.Get("readOnly") == "true":
			r.problem(name, r.key(at), "is set by deflectd: leave it out")
		default:
			r.value(value, v.FieldByIndex(field.Index), at)
		}
	})
}

// members goes through a mapping, in which no name may be twice.
func (r *fileReader) members(n *yaml.Node, pointer string, each func(name, value *yaml.Node, at string)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := resolved(n.Content[i]), resolved(n.Content[i+1])
		at := pointer + campaigns.Pointer(name.Value)
		if seen[name.Value] {
			r.problem(name, r.key(at), "is given twice")
			continue
		}
		seen[name.Value] = true
		r.entry.lines[at] = name.Line
		each(name, value, at)
	}
}

// value reads a node into what it is of, which is addressable.
func (r *fileReader) value(n *yaml.Node, v reflect.Value, pointer string) {
	if empty(n) {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if n.Kind != yaml.ScalarNode {
			r.problem(n, r.key(pointer), "must be a single value")
		} else if err := text.UnmarshalText([]byte(n.Value)); err != nil {
			r.problem(n, r.key(pointer), "%v", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.object(n, v, pointer)
	case reflect.Map:
		r.table(n, v, pointer)
	case reflect.Slice:
		r.list(n, v, pointer)
	default:
		r.scalar(n, v, pointer)
	}
}

func (r *fileReader) table(n *yaml.Node, v reflect.Value, pointer string) {
	if n.Kind != yaml.MappingNode {
		r.problem(n, r.key(pointer), "must hold names and their values")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	r.members(n, pointer, func(name, value *yaml.Node, at string) {
		item := reflect.New(v.Type().Elem()).Elem()
		r.item(value, item, at)
		v.SetMapIndex(reflect.ValueOf(name.Value), item)
	})
}

func (r *fileReader) list(n *yaml.Node, v reflect.Value, pointer string) {
	if n.Kind != yaml.SequenceNode {
		r.problem(n, r.key(pointer), "must be a list: [a, b]")
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := pointer + "/" + strconv.Itoa(i)
		r.entry.lines[at] = item.Line
		r.item(resolved(item), items.Index(i), at)
	}
	v.Set(items)
}

// item reads what must be something: there is nothing it would be by default.
func (r *fileReader) item(n *yaml.Node, v reflect.Value, pointer string) {
	if empty(n) {
		r.problem(n, r.key(pointer), "is empty: leave it out")
		return
	}
	r.value(n, v, pointer)
}

// scalar takes a text as it is written, so that an unquoted +18005550100 or NO
// stays what it looks like.
func (r *fileReader) scalar(n *yaml.Node, v reflect.Value, pointer string) {
	if n.Kind != yaml.ScalarNode {
		r.problem(n, r.key(pointer), "must be a single value")
		return
	}
	var err error
	switch v.Kind() {
	case reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(n.Value); err != nil {
			r.problem(n, r.key(pointer), "must be true or false")
		}
		v.SetBool(b)
	case reflect.Int:
		var i int
		if i, err = strconv.Atoi(n.Value); err != nil {
			r.problem(n, r.key(pointer), "must be a whole number")
		}
		v.SetInt(int64(i))
	default:
		v.SetString(n.Value)
	}
}

func fieldByName(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if jsonName(f) == name && name != "" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// fieldNames lists what a struct can hold.
func fieldNames(t reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if name := jsonName(f); name != "" && f.Tag.Get("readOnly") != "true" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
