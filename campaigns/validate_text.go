package campaigns

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

func (k *checker) text(c *Campaign) {
	const pointer = "/text"
	switch {
	case strings.TrimSpace(c.Text) == "":
		k.problem(pointer, "is needed: what the caller reads, with %s where the link belongs", LinkHere)
		return
	case !utf8.ValidString(c.Text):
		k.problem(pointer, notText)
		return
	case utf8.RuneCountInString(c.Text) > maxText:
		k.problem(pointer, "has %d characters; at most %d are allowed", utf8.RuneCountInString(c.Text), maxText)
	}
	if i := strings.IndexFunc(c.Text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); i >= 0 {
		what := control(c.Text[i:])
		if c.Text[i] == '\r' {
			what = "the carriage return: a line end is \\n alone"
		}
		k.problem(pointer, "holds what telephones do not show: take out %s", what)
	}
	if k.placeholders(c) && strings.TrimSpace(c.filled()) == "" {
		k.problem(pointer, "is empty once its params are filled in: give them a value in /interaction/params")
	}
}

// placeholders tells whether all that a text wants filled in is known.
func (k *checker) placeholders(c *Campaign) (ok bool) {
	names := Placeholders(c.Text)
	slices.Sort(names)
	ok = true
	for _, name := range slices.Compact(names) {
		if name != LinkName && !has(c.Interaction.Params, name) {
			k.problem("/text", "has the unknown placeholder {%s}: %s stands for the link, and %s%s", name, LinkHere, known(c.Interaction.Params), meant(name, c.Interaction.Params))
			ok = false
		}
	}
	return ok
}

// meant says which name is likely meant by one that is not known.
func meant(name string, params map[string]string) string {
	bare := strings.TrimSpace(name)
	for _, near := range append([]string{LinkName}, slices.Sorted(maps.Keys(params))...) {
		if strings.EqualFold(bare, near) {
			return "; write {" + near + "}"
		}
	}
	return ""
}

// filled is the text with the campaign's own params and without a link.
func (c *Campaign) filled() string {
	return Fill(c.Text, func(name string) (string, bool) {
		if name == LinkName {
			return LinkHere, true
		}
		value, known := c.Interaction.Params[name]
		return value, known
	})
}

// shown is how many names a problem lists.
const shown = 10

// known says which params there are.
func known(params map[string]string) string {
	names := slices.Sorted(maps.Keys(params))
	names = slices.DeleteFunc(names, func(name string) bool { return !utf8.ValidString(name) })
	if len(names) == 0 {
		return "/interaction/params names none"
	}
	more := ""
	if len(names) > shown {
		names, more = names[:shown], ", …"
	}
	return "/interaction/params names: " + strings.Join(names, ", ") + more
}
