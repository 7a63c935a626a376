package message

import "deflectd/campaigns"

// The encodings of a text: 3GPP TS 23.038.
const (
	GSM7 = "gsm7" // 160 characters, 153 a segment when split
	UCS2 = "ucs2" // 70 characters, 67 a segment when split
)

// MaxSegments is the longest text that is sent: providers take no more than
// nine segments (1377 characters of GSM 7-bit).
const MaxSegments = 9

// Compose is the campaign's text with its link and its params in it. A param
// has the value that params gives it, else the campaign's.
func Compose(c *campaigns.Campaign, link string, params map[string]string) string {
	return campaigns.Fill(c.Text, func(name string) (string, bool) {
		if name == campaigns.LinkName {
			return link, true
		}
		value, known := c.Interaction.Params[name]
		if given, other := params[name]; known && other {
			value = given
		}
		return value, known
	})
}

// Measure says how a text is encoded and how many segments it takes, as
// 3GPP TS 23.040 splits it: the GSM 7-bit default alphabet where all of it
// fits, else UCS-2. An empty text takes none.
func Measure(text string) (encoding string, n int) {
	s := measureText(text)
	return s.encoding, s.segments
}

// size is how much room a text takes, in septets or in UTF-16 code units.
type size struct {
	encoding string
	segments int
	length   int // units in all
	each     int // how many a segment holds, where there are so many of them
	left     int // how many more go into the last
}

// measureText is Measure, in full.
func measureText(text string) size {
	if s, ok := split(text, gsm7Width, gsm7Alone, gsm7Part); ok {
		s.encoding = GSM7
		return s
	}
	s, _ := split(text, utf16Width, ucs2Alone, ucs2Part)
	s.encoding = UCS2
	return s
}
