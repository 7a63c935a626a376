package config

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

var (
	// A Stasis application's name is part of a URL, of dialplan arguments
	// (separated by commas) and of StasisBroadcast patterns.
	applicationName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	// A node's name is a metric label and part of call records.
	nodeName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	// What mobile networks carry as a sender: TP-Originating-Address of
	// 3GPP TS 23.040 is a number, or eleven characters of text.
	originatorNumber = regexp.MustCompile(`^\+?[0-9]{1,17}$`)
	originatorText   = regexp.MustCompile(`^[A-Za-z0-9]{1,11}$`)
	hasLetter        = regexp.MustCompile(`[A-Za-z]`)
)

const (
	minRetention = time.Hour
	maxDrain     = 10 * time.Minute
	minCommand   = 100 * time.Millisecond
	maxCommand   = 30 * time.Second
	maxCalls     = 1_000_000
	maxRate      = 1000 // texts a second: no account may send more
	maxReply     = 320  // two segments, or five in UCS-2
	maxLimit     = 1_000_000_000
	// Longer than that nobody means to wait, and Redis keeps what it is counted by.
	maxCooldown    = 90 * day
	maxSuppression = 366 * day
	// A caller hears it ring meanwhile.
	minLookup = 10 * time.Millisecond
	maxLookup = time.Second
)

// checker collects problems and knows where each key was given.
type checker struct {
	places   map[string]place
	problems []Problem
}

// check runs all checks and normalises what passes them.
func (c *Config) check() []Problem {
	k := &checker{places: c.places}
	k.later(c)
	k.asterisk(&c.Asterisk)
	if _, err := c.Redis.Options(); err != nil {
		k.report("redis.url", "%v", err)
	}
	k.listeners(c)
	k.tokens(c.Admin.Tokens)
	c.Public.URL = k.baseURL("public.url", c.Public.URL, "https://txt.example.com")
	if u, err := url.Parse(c.Public.URL); err == nil && u.Host != "" && u.Path != "" {
		k.report("public.url", "must not hold a path: the links are served at /CODE, and a path makes every text longer")
	}
	k.sms(&c.SMS)
	k.numbers(&c.Numbers)
	k.between("calls.max", c.Calls.Max, 1, maxCalls)
	k.limits(&c.Limits)
	k.within("calls.drain", c.Calls.Drain, 0, maxDrain)
	k.within("retention.messages", c.Retention.Messages, minRetention, 0)
	k.within("retention.calls", c.Retention.Calls, minRetention, 0)
	k.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "text", "json")
	return k.problems
}

// report adds a problem at the place of key, or of the nearest setting around
// it that was given.
func (k *checker) report(key, format string, args ...any) {
	at := k.places[key]
	for outer := around(key); at == (place{}) && outer != ""; outer = around(outer) {
		at = k.places[outer]
	}
	k.problems = append(k.problems, Problem{Key: key, Line: at.line, Variable: at.variable, Message: fmt.Sprintf(format, args...)})
}

// later refuses what is not built yet.
func (k *checker) later(c *Config) {
	for _, s := range settings(c) {
		if s.later && !s.value.IsZero() {
			k.report(s.key, "is not available yet; leave it out")
		}
	}
}

func (k *checker) asterisk(a *Asterisk) {
	if !applicationName.MatchString(a.Application) {
		k.report("asterisk.application", "must be 1 to 64 letters, digits, dots, hyphens or underscores")
	}
	if a.Transport == TransportProxy {
		k.report("asterisk.transport", "proxy is not available yet; native is")
	} else {
		k.oneOf("asterisk.transport", string(a.Transport), string(TransportNative))
	}
	k.within("asterisk.command_timeout", a.CommandTimeout, minCommand, maxCommand)
	if len(a.Nodes) == 0 {
		k.report("asterisk.nodes", "must name at least one Asterisk")
	}
	names, urls := map[string]bool{}, map[string]bool{}
	for i := range a.Nodes {
		n, key := &a.Nodes[i], fmt.Sprintf("asterisk.nodes[%d]", i)
		switch {
		case !nodeName.MatchString(n.Name):
			k.report(key+".name", "must be 1 to 64 letters, digits, dots, hyphens or underscores")
		case names[n.Name]:
			k.report(key+".name", "%s is the name of another node", n.Name)
		}
		names[n.Name] = true
		n.URL = k.baseURL(key+".url", n.URL, "http://127.0.0.1:8088/ari")
		if n.URL != "" && urls[n.URL] {
			// Of two connections with one application name Asterisk keeps the newer.
			k.report(key+".url", "is that of another node")
		}
		urls[n.URL] = true
		if n.Username == "" || strings.Contains(n.Username, ":") {
			k.report(key+".username", "must be the name of an ARI user")
		}
		if n.Password == "" {
			k.report(key+".password", "must be set, or password_file")
		}
	}
}

func (k *checker) listeners(c *Config) {
	admin := k.listen("admin.listen", c.Admin.Listen)
	public := k.listen("public.listen", c.Public.Listen)
	if admin && public && c.Admin.Listen == c.Public.Listen && !strings.HasSuffix(c.Public.Listen, ":0") {
		k.report("public.listen", "is also admin.listen: the internet must not reach the admin listener")
	}
}

// listen checks an address to listen on; port 0 means any free one.
func (k *checker) listen(key, address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		k.report(key, "must be an address and a port, such as 127.0.0.1:8080, [::1]:8080 or :8080")
		return false
	}
	return true
}

func (k *checker) tokens(tokens []Token) {
	names := map[string]bool{}
	for i, t := range tokens {
		key := fmt.Sprintf("admin.tokens[%d]", i)
		switch {
		case t.Name == "":
			k.report(key+".name", "must say who uses the token")
		case names[t.Name]:
			k.report(key+".name", "%s is the name of another token", t.Name)
		}
		names[t.Name] = true
		if utf8.RuneCountInString(t.Name) > maxTokenName || strings.ContainsFunc(t.Name, unicode.IsControl) {
			k.report(key+".name", "must be one line of at most %d characters", maxTokenName)
		}
		k.oneOf(key+".role", string(t.Role), string(RoleViewer), string(RoleEditor), string(RoleAdmin))
		if !wellFormedHash(t.Hash.Reveal()) {
			k.report(key+".hash", "must be sha256: and 64 hexadecimal digits; `deflectd token` prints a token and its hash")
		}
	}
}

// baseURL checks an http(s) URL that paths are appended to, and returns it
// without a slash at its end. It is not quoted: it may hold a password.
func (k *checker) baseURL(key, raw, example string) string {
	if raw == "" {
		k.report(key, "must be set, such as %s", example)
		return ""
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		k.report(key, "must be a whole URL that begins with http:// or https://")
	case u.User != nil:
		k.report(key, "must not hold a user name or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		k.report(key, "must not hold a query or a fragment")
	default:
		return strings.TrimRight(raw, "/")
	}
	return raw
}

func (k *checker) sms(s *SMS) {
	k.oneOf("sms.provider", string(s.Provider), string(ProviderMessageBird), string(ProviderSandbox))
	s.MessageBird.URL = k.baseURL("sms.messagebird.url", s.MessageBird.URL, "https://rest.messagebird.com")
	if s.Originator != "" && !originatorNumber.MatchString(s.Originator) &&
		(!originatorText.MatchString(s.Originator) || !hasLetter.MatchString(s.Originator)) {
		k.report("sms.originator", "must be at most 11 letters and digits with a letter among them, or a number of at most 17 digits")
	}
	s.MessageBird.NumbersURL = k.baseURL("sms.messagebird.numbers_url", s.MessageBird.NumbersURL, "https://numbers.messagebird.com/v1")
	k.between("sms.texts_per_second", s.TextsPerSecond, 0, maxRate)
	k.reply("sms.replies.stopped", s.Replies.Stopped)
	k.reply("sms.replies.started", s.Replies.Started)
	k.reply("sms.replies.help", s.Replies.Help)
	if s.Provider == ProviderMessageBird && s.MessageBird.AccessKey == "" {
		k.report("sms.messagebird.access_key", "must be set, or access_key_file; sms.provider sandbox needs none")
	}
}

// reply checks a text that answers people who text back.
func (k *checker) reply(key, text string) {
	if utf8.RuneCountInString(text) > maxReply || !utf8.ValidString(text) {
		k.report(key, "must be a text of at most %d characters; empty for none", maxReply)
	}
}

func (k *checker) limits(l *Limits) {
	k.within("limits.cooldown", l.Cooldown, 0, maxCooldown)
	k.between("limits.per_caller_per_day", l.PerCallerPerDay, 0, maxLimit)
	k.between("limits.per_prefix_per_hour", l.PerPrefixPerHour, 0, maxLimit)
	k.between("limits.segments_per_day", l.SegmentsPerDay, 0, maxLimit)
	k.between("limits.surge_calls", l.SurgeCalls, 0, maxLimit)
	k.within("limits.suppression", l.Suppression, 0, maxSuppression)
	if _, _, err := parseHours(l.MarketingHours); err != nil {
		k.report("limits.marketing_hours", "%v", err)
	}
	k.within("limits.lookup", l.Lookup, minLookup, maxLookup)
}

func (k *checker) numbers(n *Numbers) {
	regions := phonenumbers.GetSupportedRegions()
	region := func(key string, code *string) {
		if *code = strings.ToUpper(*code); !regions[*code] {
			k.report(key, "must be a country as ISO 3166 writes it with two letters, such as US or DE")
		}
	}
	region("numbers.region", &n.Region)
	if _, given := k.places["numbers.countries"]; !given && len(n.Countries) == 0 {
		n.Countries = []string{n.Region}
	}
	if len(n.Countries) == 0 {
		k.report("numbers.countries", "must name at least one country: texts go nowhere else")
	}
	for i := range n.Countries {
		region(fmt.Sprintf("numbers.countries[%d]", i), &n.Countries[i])
	}
	for i, own := range n.Own {
		number, err := phonenumbers.Parse(own, n.Region)
		if err != nil || !phonenumbers.IsPossibleNumber(number) {
			k.report(fmt.Sprintf("numbers.own[%d]", i), "must be a telephone number, such as +18005550100")
			continue
		}
		n.Own[i] = phonenumbers.Format(number, phonenumbers.E164)
	}
}

func (k *checker) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		must := "must be "
		if len(allowed) > 1 {
			must += "one of "
		}
		k.report(key, "%s%s", must, strings.Join(allowed, ", "))
	}
}

func (k *checker) between(key string, value, least, most int) {
	if value < least || value > most {
		k.report(key, "must be from %d to %d", least, most)
	}
}

// within checks a duration; most 0 means no upper bound.
func (k *checker) within(key string, value, least, most time.Duration) {
	switch {
	case most == 0 && value < least:
		k.report(key, "must be at least %s", formatDuration(least))
	case most > 0 && (value < least || value > most):
		k.report(key, "must be from %s to %s", formatDuration(least), formatDuration(most))
	}
}

// reflectConfig is what the decoder fills.
func reflectConfig(c *Config) reflect.Value { return reflect.ValueOf(c).Elem() }
