package campaigns

import "strings"

// Placeholders.
const (
	InteractionID = "{interaction_id}"   // in the interaction's URL: its id
	LinkHere      = "{" + LinkName + "}" // in the text: the short link
	LinkName      = "link"
)

// Fill puts values in the place of a text's placeholders: a name in braces is
// replaced where value knows the name. What was put in is not looked at again,
// so that a value may hold braces.
func Fill(text string, value func(name string) (string, bool)) string {
	var b strings.Builder
	for {
		before, name, after, found := cutPlaceholder(text)
		if !found {
			if b.Len() == 0 {
				return text
			}
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before)
		if v, known := value(name); known {
			b.WriteString(v)
		} else {
			b.WriteString(text[len(before) : len(text)-len(after)])
		}
		text = after
	}
}

// Placeholders are the names in braces in a text, in their order.
func Placeholders(text string) (names []string) {
	for {
		_, name, after, found := cutPlaceholder(text)
		if !found {
			return names
		}
		names, text = append(names, name), after
	}
}

// cutPlaceholder finds the first name in braces: what stands between a "{" and
// the next "}", with no brace between them.
func cutPlaceholder(text string) (before, name, after string, found bool) {
	closing := strings.IndexByte(text, '}')
	for closing >= 0 {
		if opening := strings.LastIndexByte(text[:closing], '{'); opening >= 0 {
			return text[:opening], text[opening+1 : closing], text[closing+1:], true
		}
		next := strings.IndexByte(text[closing+1:], '}')
		if next < 0 {
			break
		}
		closing += 1 + next
	}
	return "", "", text, false
}
