package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxDepth is more than any document here has.
	maxDepth = 16
	// maxInteger is the largest whole number that every reader of JSON keeps
	// exactly (RFC 7493, section 2.2).
	maxInteger = 1<<53 - 1
)

// checkJSON refuses what JSON libraries read in different ways (RFC 7493):
// invalid UTF-8, a member that is there twice, numbers that lose digits,
// documents nested without end. A null is refused unless allowed: outside of a
// merge patch it says nothing.
func checkJSON(body []byte, nulls bool) *Problem {
	if !utf8.Valid(body) {
		return problem(http.StatusBadRequest, "the body is not valid UTF-8")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		detail := "the body is not JSON: " + err.Error()
		var at *json.SyntaxError
		if errors.As(err, &at) {
			detail += fmt.Sprintf(" (byte %d)", at.Offset)
		}
		return problem(http.StatusBadRequest, detail)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	w := walker{decoder: d, nulls: nulls}
	if wrong := w.value("", 0); wrong != nil {
		return problem(http.StatusBadRequest, "the body is not JSON that can be relied on", *wrong)
	}
	return nil
}

// walker goes through a document that is known to be JSON.
type walker struct {
	decoder *json.Decoder
	nulls   bool
}

func (w walker) value(at string, depth int) *Detail {
	wrong := func(detail string) *Detail {
		d := inBody(at, detail)
		return &d
	}
	if depth > maxDepth {
		return wrong("is nested too deeply")
	}
	token, err := w.decoder.Token()
	if err != nil {
		return wrong(err.Error())
	}
	switch v := token.(type) {
	case nil:
		if !w.nulls {
			return wrong("is null: leave out what has no value")
		}
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		if err != nil || n > maxInteger || n < -maxInteger {
			return wrong("is not a whole number, or one too large")
		}
	case json.Delim:
		if v == '{' {
			return w.object(at, depth)
		}
		return w.array(at, depth)
	}
	return nil
}

func (w walker) object(at string, depth int) *Detail {
	seen := map[string]bool{}
	for w.decoder.More() {
		token, err := w.decoder.Token()
		if err != nil {
			d := inBody(at, err.Error())
			return &d
		}
		name, _ := token.(string)
		next := at + pointer(name)
		if seen[name] {
			d := inBody(next, "is there twice")
			return &d
		}
		seen[name] = true
		if wrong := w.value(next, depth+1); wrong != nil {
			return wrong
		}
	}
	_, _ = w.decoder.Token() // the closing brace
	return nil
}

func (w walker) array(at string, depth int) *Detail {
	for i := 0; w.decoder.More(); i++ {
		if wrong := w.value(at+pointer(i), depth+1); wrong != nil {
			return wrong
		}
	}
	_, _ = w.decoder.Token() // the closing bracket
	return nil
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

// pointer makes a JSON pointer (RFC 6901) of names and indexes.
func pointer(parts ...any) string {
	var p strings.Builder
	for _, part := range parts {
		p.WriteByte('/')
		p.WriteString(escapePointer.Replace(fmt.Sprint(part)))
	}
	return p.String()
}
