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
		k.problem(pointer, "is not valid UTF-8")
		return
	case utf8.RuneCountInString(c.Text) > maxText:
		k.problem(pointer, "has %d characters; at most %d are allowed", utf8.RuneCountInString(c.Text), maxText)
	}
	if strings.ContainsFunc(c.Text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		k.problem(pointer, "must not hold control characters other than line ends (\\n)")
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
			k.problem("/text", "has the unknown placeholder {%s}: %s stands for the link, and %s", name, LinkHere, known(c.Interaction.Params))
			ok = false
		}
	}
	return ok
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
