package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds what is read of a configuration or of a secret, in bytes: a
// device or a wrong path must not fill the memory.
const maxFile = 1 << 20

// Load reads the file at path ("" for none), lays the variables of environ
// (as of os.Environ) over it, and checks the whole. What is wrong with the
// configuration comes back as an *Error that names everything at once.
func Load(path string, environ []string) (*Config, error) {
	var data []byte
	if path != "" {
		var err error
		if data, err = readFile(path); err != nil {
			return nil, &Error{File: path, Problems: []Problem{{Message: fmt.Sprintf("cannot be read: %v", plain(err))}}}
		}
	}
	return parse(path, data, environ)
}

func parse(path string, data []byte, environ []string) (*Config, error) {
	c := Default()
	c.file, c.places = path, map[string]place{}
	d := &decoder{places: c.places, dir: filepath.Dir(path)}
	if d.file(c, data); len(d.problems) > 0 && d.problems[0].Key == "" {
		return nil, &Error{File: path, Problems: d.problems} // not even a configuration
	}
	d.dir = "" // a variable's path is relative to where the daemon was started
	d.environment(c, environ)

	d.add(c.check())
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, compareProblems)
		return nil, &Error{File: path, Problems: d.problems}
	}
	return c, nil
}

// add takes the problems of the checks, but does not blame what could not be
// read a second time for being absent.
func (d *decoder) add(checked []Problem) {
	unread := map[string]bool{}
	for _, p := range d.problems {
		unread[strings.TrimSuffix(p.Key, fileSuffix)] = true
	}
	for _, p := range checked {
		known := false
		for key := p.Key; key != "" && !known; key = around(key) {
			known = unread[key]
		}
		if !known {
			d.problems = append(d.problems, p)
		}
	}
}

// around is the key of the setting or the list that key is part of: of
// "a.b[0]" it is "a.b", then "a", then "".
func around(key string) string { return key[:max(0, strings.LastIndexAny(key, ".["))] }

// compareProblems orders what the file holds by line, then what it lacks,
// then what is wrong in the environment.
func compareProblems(a, b Problem) int {
	line := func(p Problem) int {
		if p.Line == 0 {
			return math.MaxInt
		}
		return p.Line
	}
	return cmp.Or(strings.Compare(a.Variable, b.Variable), cmp.Compare(line(a), line(b)))
}

// file decodes the one YAML document of the file. No document is fine:
// everything may come from the environment.
func (d *decoder) file(c *Config, data []byte) {
	stream := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := stream.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return
	}
	if err != nil {
		d.syntax(err)
		return
	}
	root := reflectConfig(c)
	if len(doc.Content) == 1 && !empty(doc.Content[0]) {
		d.object(doc.Content[0], root, "")
	}
	var more yaml.Node
	if err := stream.Decode(&more); err == nil {
		d.problem(&more, "", "a second YAML document begins here; only one is read")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
	}
}

// yamlError is how yaml.v3 says where it stopped.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func (d *decoder) syntax(err error) {
	p := Problem{Message: "is not YAML: " + err.Error()}
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Message = "is not YAML: " + m[2]
	}
	d.problems = append(d.problems, p)
}

// readSecret reads the secret in a file, less the line end.
func readSecret(dir, path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	data, err := readFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", path, plain(err))
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return data, nil
}

// plain is the cause of a file error without the path, which the message has.
func plain(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
