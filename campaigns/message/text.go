package message

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/warthog618/sms"
	"github.com/warthog618/sms/encoding/tpdu"

	"deflectd/campaigns"
	"deflectd/campaigns/link"
)

// The encodings of a text: 3GPP TS 23.038.
const (
	GSM7 = "gsm7" // 160 characters, 153 a segment when split
	UCS2 = "ucs2" // 70 characters, 67 a segment when split
)

// MaxSegments is the longest text that is sent: providers take no more than
// nine segments (1377 characters of GSM 7-bit).
const MaxSegments = 9

// Compose is the campaign's text with its link in it.
func Compose(c *campaigns.Campaign, link string) string {
	return strings.ReplaceAll(c.Text, campaigns.LinkHere, link)
}

// Measure says how a text is encoded and how many segments it takes, as
// 3GPP TS 23.040 splits it: the GSM 7-bit default alphabet where all of it
// fits, else UCS-2. An empty text takes none.
func Measure(text string) (encoding string, segments int) {
	if text == "" {
		return GSM7, 0
	}
	fillTables()
	pdus, err := sms.Encode([]byte(text))
	if err != nil || len(pdus) == 0 {
		return UCS2, 0
	}
	if alphabet, err := pdus[0].DCS.Alphabet(); err != nil || alphabet != tpdu.Alpha7Bit {
		return UCS2, len(pdus)
	}
	return GSM7, len(pdus)
}

// fillTables has the library fill its tables, which it does when they are first
// used and without a lock. The euro sign is in the last of them, the extension
// table.
var fillTables = sync.OnceFunc(func() { _, _ = sms.Encode([]byte("€")) })

// Forecast is a text as it would be sent.
type Forecast struct {
	Text     string   `json:"text"`
	Link     string   `json:"link"` // an example of the length real ones have
	Encoding string   `json:"encoding"`
	Segments int      `json:"segments"`
	Warnings []string `json:"warnings"`
}

// Forecast says what the campaign's text would come to, and what is wrong with
// it. Nothing is sent and no link is made.
func (o *Outbox) Forecast(c *campaigns.Campaign) Forecast {
	f := Forecast{Link: o.opts.PublicURL + "/" + strings.Repeat("x", link.CodeLength), Warnings: []string{}}
	f.Text = Compose(c, f.Link)
	f.Encoding, f.Segments = Measure(f.Text)
	if !strings.Contains(c.Text, campaigns.LinkHere) {
		f.Warnings = append(f.Warnings, "the text has no {link}: whoever gets it cannot open the interaction")
	}
	if f.Encoding == UCS2 {
		f.Warnings = append(f.Warnings, fmt.Sprintf(
			"%s cannot be written in the GSM 7-bit alphabet: the text takes %d instead of %d segments",
			strings.Join(beyondGSM7(f.Text), " "), f.Segments, plainSegments(f.Text)))
	}
	if f.Segments > MaxSegments {
		f.Warnings = append(f.Warnings, fmt.Sprintf("at most %d segments can be sent", MaxSegments))
	}
	return f
}

// beyondGSM7 are the characters that turn a text to UCS-2, each once.
func beyondGSM7(text string) []string {
	var found []string
	for _, r := range text {
		if c := string(r); !slices.Contains(found, c) {
			if encoding, _ := Measure(c); encoding == UCS2 {
				found = append(found, c)
			}
		}
	}
	return found
}

// plainSegments is what the text would take without those characters.
func plainSegments(text string) int {
	for _, c := range beyondGSM7(text) {
		text = strings.ReplaceAll(text, c, "-")
	}
	_, segments := Measure(text)
	return segments
}
