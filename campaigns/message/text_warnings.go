package message

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/sender"
)

// warnings gathers what works but may not be meant.
type warnings struct {
	found []campaigns.Problem
}

func (w *warnings) add(pointer, format string, args ...any) {
	w.found = append(w.found, campaigns.Problem{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

func (w *warnings) interaction(in *campaigns.Interaction) {
	const scheme = "https://"
	if in.URL == "" {
		return // a draft: that it is needed is an error
	}
	if len(in.URL) < len(scheme) || !strings.EqualFold(in.URL[:len(scheme)], scheme) {
		w.add("/interaction/url", "does not begin with %q: what it holds, such as the caller's number, can be read on its way", scheme)
	}
}

func (w *warnings) text(c *campaigns.Campaign, params map[string]string, f *Forecast) {
	const pointer = "/text"
	if !slices.Contains(campaigns.Placeholders(c.Text), campaigns.LinkName) {
		w.add(pointer, "has no %s: whoever gets it cannot open the interaction", campaigns.LinkHere)
	}
	if c.Kind == campaigns.KindMarketing && !campaigns.HasOptOutWording(f.Text) {
		w.add(pointer, "does not say how to opt out, as marketing should: add words such as \"Reply STOP to opt out\"")
	}
	most := f.Segments
	if f.Encoding == UCS2 {
		most = w.alphabet(c, params, f)
	}
	switch {
	case f.Segments > MaxSegments:
		w.add(pointer, "takes %d segments with its link; at most %d can be sent", f.Segments, MaxSegments)
	case most > 1:
		w.add(pointer, "takes %d segments with its link, each of which is paid like a text", f.Segments)
	}
}

// alphabet names the characters for which a text is sent in UCS-2, by the field
// that has them, and what may stand in their place. It answers how many segments
// the text takes at best.
func (w *warnings) alphabet(c *campaigns.Campaign, params map[string]string, f *Forecast) (best int) {
	encoding, best := Measure(replaced(f.Text))
	effect := fmt.Sprintf("is sent in UCS-2 (up to %d characters a segment, not %d)", ucs2Alone, gsm7Alone)
	if encoding == GSM7 && best < f.Segments {
		effect = fmt.Sprintf("takes %d segments instead of %d", f.Segments, best)
	}
	if encoding == UCS2 {
		best = f.Segments
	}
	blame := func(pointer, text string) {
		if advice := advise(text); advice != "" {
			w.add(pointer, "%s because the GSM 7-bit alphabet does not have all of its characters: %s", effect, advice)
		}
	}
	blame("/text", c.Text)
	names := campaigns.Placeholders(c.Text)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if value, given := params[name]; given {
			blame(campaigns.Pointer("params", name), value)
		} else if name != campaigns.LinkName {
			blame(campaigns.Pointer("interaction", "params", name), c.Interaction.Params[name])
		}
	}
	return best
}

// advised is how many characters are named at most.
const advised = 10

// advise says of each character that the GSM 7-bit alphabet does not have what
// can stand in its place.
func advise(text string) string {
	var with, without, seen []string
	for piece := range characters(text) {
		if inGSM7(piece) || slices.Contains(seen, piece) {
			continue
		}
		seen = append(seen, piece)
		if words, ok := inGSM7Words(piece); ok {
			with = append(with, named(piece)+" "+becomes(words))
		} else {
			without = append(without, named(piece))
		}
	}
	if len(without) > 0 {
		with = append(atMost(with), strings.Join(atMost(without), " ")+" cannot be replaced")
	} else {
		with = atMost(with)
	}
	if len(seen) == 0 {
		return ""
	}
	return strings.Join(with, ", ")
}

// atMost shortens a list.
func atMost(list []string) []string {
	if len(list) <= advised {
		return list
	}
	return append(slices.Clip(list[:advised]), fmt.Sprintf("and %d more", len(list)-advised))
}

// named shows a character, by its code point where it would not be seen.
func named(character string) string {
	first, _ := utf8.DecodeRuneInString(character)
	if unicode.IsGraphic(first) && !unicode.IsSpace(first) && !unicode.IsMark(first) {
		return character
	}
	code := fmt.Sprintf("U+%04X", first)
	if name, known := names[first]; known {
		return name + " (" + code + ")"
	}
	return code
}

// names are what people call the usual characters that are not seen.
var names = map[rune]string{
	'\t': "the tab", '\u00a0': "the no-break space", '\u202f': "the narrow no-break space", '\u2009': "the thin space",
	'\u00ad': "the soft hyphen", '\u200b': "the zero width space", '\u200d': "the zero width joiner", '\ufeff': "the byte order mark",
}

func becomes(words string) string {
	switch words {
	case "":
		return "can be left out"
	case " ":
		return "can be a space"
	case "\n":
		return "can be a line end"
	default:
		return "can be written " + words
	}
}

// sender warns of a name where texts from names do not arrive.
func (w *warnings) sender(o *Outbox, c *campaigns.Campaign, countries []string) {
	var where []string
	name := ""
	for _, country := range countries {
		from := o.foreseeSender(c, phone.Number{Region: country})
		if strings.ContainsFunc(from, unicode.IsLetter) && !sender.Names(country) {
			name, where = from, append(where, country)
		}
	}
	if where != nil {
		w.add("/originator", "the name %s does not arrive in %s: a text there has to come from a number", name, strings.Join(where, ", "))
	}
}

func (w *warnings) expiry(c *campaigns.Campaign) {
	if c.Link.ExpiresAfter < c.Validity {
		w.add("/link/expires_after", "is %s, less than /validity (%s): the link of a text that arrives late would be dead", c.Link.ExpiresAfter, c.Validity)
	}
}
