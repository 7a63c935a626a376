package campaigns

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"deflectd/campaigns/phone"
)

// Rules are what a campaign is checked against besides itself.
type Rules struct {
	Region string // how a number without "+" is read (ISO 3166-1 alpha-2)
}

// Problem is one thing that is wrong with a campaign, or one that works but may
// not be meant.
type Problem struct {
	Pointer string `json:"pointer" doc:"The field it is about: a JSON pointer (RFC 6901)."`
	Message string `json:"message" doc:"What is the matter with it, and what would be right."`
}

// Invalid is everything that is wrong with a campaign, in the order of its
// fields.
type Invalid []Problem

func (e Invalid) Error() string {
	parts := make([]string, len(e))
	for i, p := range e {
		parts[i] = p.Pointer + ": " + p.Message
	}
	return "campaign is not valid: " + strings.Join(parts, "; ")
}

// Bounds of what people write. A text of 1000 characters is some fifteen parts
// in UCS-2, and nobody reads more; the other bounds keep out what can only be a
// mistake.
const (
	maxID          = 64
	maxName        = 100
	maxText        = 1000
	maxNumbers     = 1000
	maxURL         = 2000
	maxParams      = 50
	maxParam       = 500
	maxPrefix      = 15 // an E.164 number has no more digits
	maxShortPrefix = 6  // and a short number no more than seven
)

// Validate checks a campaign whose defaults are set (SetDefaults) and writes
// its numbers in canonical form. The error is Invalid, with all problems at
// once.
func (c *Campaign) Validate(r Rules) error {
	k := &checker{rules: r}
	k.campaign(c)
	if len(k.problems) > 0 {
		return k.problems
	}
	return nil
}

// understood tells whether this version knows every word and field of a campaign
// that was valid when it was stored.
func (c *Campaign) understood() bool {
	full := *c
	full.SetDefaults()
	full.DNIS = nil // there are no words among them
	k := new(checker)
	k.campaign(&full)
	return !k.foreign
}

func (k *checker) campaign(c *Campaign) {
	k.identity(c)
	k.numbers(c.DNIS)
	k.interaction(&c.Interaction)
	k.text(c)
	k.sending(c)
	k.offer(&c.Offer)
	k.prompts(&c.Prompts)
	k.release(&c.Release)
	k.limits(c.Limits)
	k.notBuilt(c)
}

// checker gathers the problems of one campaign.
type checker struct {
	rules    Rules
	problems Invalid
	foreign  bool // some of them are words or fields that this version does not know
}

func (k *checker) problem(pointer, format string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = quotable(s)
		}
	}
	k.problems = append(k.problems, Problem{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

// quotable is as much of what somebody wrote as is worth quoting to them.
func quotable(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// Pointer is the JSON pointer (RFC 6901) to what is named so, the outermost
// first.
func Pointer(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteByte('/')
		b.WriteString(escapes.Replace(name))
	}
	return b.String()
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

// An id goes into metrics, into channel variables (where a comma would end it)
// and into addresses.
var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// newID is no campaign's id.
const newID = "new"

func (k *checker) identity(c *Campaign) {
	switch {
	case c.ID == "":
		k.problem("/id", "is needed: a short name such as \"billing\"")
	case !idForm.MatchString(c.ID):
		k.problem("/id", "must be at most %d lower-case letters, digits, \"-\" and \"_\", and begin with a letter or digit%s", maxID, suggestion(c.ID))
	case c.ID == newID:
		k.problem("/id", "must not be %q: the page has its form for new campaigns at that address", newID)
	}
	k.plain("/name", c.Name, maxName)
}

// suggestion is an id that is near to what was meant for one.
func suggestion(id string) string {
	words := simpleWords(strings.ToValidUTF8(id, " "))
	for i, word := range words {
		words[i] = strings.Map(func(r rune) rune {
			if r > unicode.MaxASCII {
				return -1
			}
			return r
		}, word)
	}
	near := strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), "-")
	if near = strings.TrimRight(near[:min(len(near), maxID)], "-"); !idForm.MatchString(near) {
		return ""
	}
	return fmt.Sprintf(": %q would do", near)
}

// notText is said of what is no text at all: a program wrote it.
const notText = "holds bytes that are no characters: it must be UTF-8"

// plain checks one line of text for people or machines.
func (k *checker) plain(pointer, s string, limit int) {
	unseen := strings.IndexFunc(s, unicode.IsControl)
	switch {
	case !utf8.ValidString(s):
		k.problem(pointer, notText)
	case utf8.RuneCountInString(s) > limit:
		k.problem(pointer, "has %d characters; at most %d are allowed", utf8.RuneCountInString(s), limit)
	case unseen >= 0:
		k.problem(pointer, "must be one line of plain characters: take out %s", control(s[unseen:]))
	}
}

// control names the character that a text begins with, which cannot be seen.
func control(s string) string {
	switch r, _ := utf8.DecodeRuneInString(s); r {
	case '\n', '\r':
		return "the line end"
	case '\t':
		return "the tab"
	default:
		return fmt.Sprintf("the control character U+%04X", r)
	}
}

// numbers checks the DNIS list and makes each entry canonical.
func (k *checker) numbers(list []string) {
	switch {
	case len(list) == 0:
		k.problem("/dnis", "is needed: at least one dialled number, such as \"+18005550100\", or \"*\" for every number")
		return
	case len(list) > maxNumbers:
		k.problem("/dnis", "has %d entries; at most %d are allowed: a prefix such as \"+1800*\" may say the same", len(list), maxNumbers)
		return
	}
	first := make(map[string]int, len(list))
	for i, entry := range list {
		pointer := fmt.Sprintf("/dnis/%d", i)
		canonical, ok := k.number(pointer, entry)
		if !ok {
			continue
		}
		if j, double := first[canonical]; double {
			k.problem(pointer, "says the same as /dnis/%d (%s)", j, canonical)
			continue
		}
		first[canonical] = i
		list[i] = canonical
	}
}

func (k *checker) number(pointer, entry string) (canonical string, ok bool) {
	entry = strings.TrimSpace(entry)
	if prefix, found := strings.CutSuffix(entry, "*"); found {
		digits, plus := strings.CutPrefix(prefix, "+")
		limit := maxShortPrefix
		if plus {
			limit = maxPrefix
		}
		if (plus && digits == "") || len(digits) > limit || strings.Trim(digits, "0123456789") != "" {
			k.problem(pointer, "is not the beginning of a number: write it with + and the country code (\"+1800*\"), with up to %d digits for short numbers as dialled (\"12*\"), or \"*\" alone for every number", maxShortPrefix)
			return "", false
		}
		return entry, true
	}
	canonical, err := phone.DNIS(entry, k.rules.Region)
	if err != nil {
		k.problem(pointer, "is not a number that can be dialled: write it with + and the country code (\"+18005550100\"), as it is dialled in %s, or as a short number of up to seven digits", k.home())
		return "", false
	}
	return canonical, true
}

// home is where numbers without a country code are at home.
func (k *checker) home() string {
	if k.rules.Region == "" {
		return "the configured region"
	}
	return k.rules.Region
}

// Senders as the provider takes them: a name, or a number with or without "+".
var (
	senderName   = regexp.MustCompile(`^[A-Za-z0-9]{1,11}$`)
	senderNumber = regexp.MustCompile(`^\+?[0-9]{1,17}$`)
)

// sending checks how the text and its link go out.
func (k *checker) sending(c *Campaign) {
	// Without one a text comes from the service's sender. There may be none yet:
	// nothing is offered until there is.
	if c.Originator != "" && !ValidOriginator(c.Originator) {
		k.problem("/originator", "must be a name of at most 11 letters and digits, or a number of at most 17 digits: %s", senderFault(c.Originator))
	}
	// Below a minute a text may expire on its way; networks keep one for about
	// three days.
	k.duration("/validity", c.Validity, time.Minute, 72*time.Hour)
	k.oneOf("/on_unknown", c.OnUnknown, []string{OnUnknownDrop, OnUnknownResend}, nil)
	k.lineTypes(c.LineTypes)
	k.duration("/link/expires_after", c.Link.ExpiresAfter, time.Minute, 365*day)
}

func (k *checker) duration(pointer string, d Duration, low, high time.Duration) {
	if t := time.Duration(d); t < low || t > high {
		k.problem(pointer, "is %s; it must be from %s to %s", d, Duration(low), Duration(high))
	}
}

// oneOf checks a word: some are known, and some will be.
func (k *checker) oneOf(pointer, word string, known, later []string) {
	if slices.Contains(known, word) {
		return
	}
	k.foreign = true
	state := "known"
	if slices.Contains(later, word) {
		state = "available yet"
	}
	k.problem(pointer, "%q is not %s; possible: %s", word, state, strings.Join(known, ", "))
}

// senderFault says what is wrong with a sender that is not valid.
func senderFault(s string) string {
	number := strings.Trim(strings.TrimPrefix(s, "+"), "0123456789") == ""
	for _, r := range s {
		switch {
		case number || r <= unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
		case r == utf8.RuneError:
			return "it " + notText
		case r == ' ':
			return "it holds a space"
		case unicode.IsControl(r):
			return "it holds " + control(string(r))
		default:
			return fmt.Sprintf("it holds %q; only A to Z, a to z and 0 to 9 are possible", string(r))
		}
	}
	if number {
		return fmt.Sprintf("it has %d digits", strings.Count(s, "")-1-strings.Count(s, "+"))
	}
	return fmt.Sprintf("it has %d characters", len(s))
}

// ValidOriginator tells whether a text can come from s: a name of at most 11
// letters and digits, with a letter, or a number of at most 17 digits.
func ValidOriginator(s string) bool {
	return senderName.MatchString(s) || senderNumber.MatchString(s)
}
