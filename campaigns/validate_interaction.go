package campaigns

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hostForm is a host as browsers ask for it: letters of other scripts are
// written in punycode.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$`)

func (k *checker) interaction(in *Interaction) {
	k.plain("/interaction/id", in.ID, maxParam)
	query := k.url(in)
	k.oneOf("/interaction/caller_id", in.CallerID, []string{CallerIDPlain, CallerIDNone}, []string{"token"})
	k.params(in, query)
	if in.CallerID != CallerIDPlain {
		return
	}
	const pointer = "/interaction/caller_id_param"
	k.plain(pointer, in.CallerIDParam, maxParam)
	switch {
	case in.CallerIDParam == "":
		k.problem(pointer, "is needed where the caller's number goes into the URL: the name it has there, such as %q", defaultCallerIDParam)
	case query.Has(in.CallerIDParam):
		k.problem(pointer, "%q is in the query of /interaction/url already: choose another name", in.CallerIDParam)
	case has(in.Params, in.CallerIDParam):
		k.problem(pointer, "%q is one of /interaction/params already: choose another name", in.CallerIDParam)
	}
}

// url checks the address of the interaction and answers what its query holds.
func (k *checker) url(in *Interaction) url.Values {
	const pointer = "/interaction/url"
	switch {
	case in.URL == "":
		k.problem(pointer, "is needed: the address of the interaction, such as \"https://visual.example.com/start\"")
		return nil
	case len(in.URL) > maxURL:
		k.problem(pointer, "has %d bytes; at most %d are allowed", len(in.URL), maxURL)
		return nil
	case !utf8.ValidString(in.URL):
		k.problem(pointer, notText)
		return nil
	}
	if i := strings.IndexFunc(in.URL, unicode.IsControl); i >= 0 {
		k.problem(pointer, "must be one line of plain characters: take out %s", control(in.URL[i:]))
		return nil
	}
	u, err := url.Parse(in.URL)
	if err != nil {
		k.problem(pointer, "is not an address of the web (%v): copy it from the address bar of a browser", reason(err))
		return nil
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		example := "https://visual.example.com/start"
		if u.Scheme == "" && u.Host == "" {
			example = "https://" + in.URL
		}
		k.problem(pointer, "must begin with \"https://\" (or \"http://\"), such as %q", example)
		return nil
	}
	switch {
	case u.Hostname() == "":
		k.problem(pointer, "must name a host, such as \"https://visual.example.com/start\"")
	case !hostForm.MatchString(u.Hostname()):
		k.problem(pointer, "has the host %q: it must be a plain host name; one with letters of other scripts is written in punycode (\"xn--…\")", u.Hostname())
	}
	if u.User != nil {
		k.problem(pointer, "must not hold a user name or password: everyone with the link would read them")
	}
	for _, name := range Placeholders(in.URL) {
		if p := "{" + name + "}"; p != InteractionID {
			k.problem(pointer, "has the unknown placeholder %s: only %s is known; what else belongs into the address goes into /interaction/params", p, InteractionID)
		}
	}
	if strings.Contains(in.URL, InteractionID) && in.ID == "" {
		k.problem("/interaction/id", "is needed, because the URL holds %s", InteractionID)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		k.problem(pointer, "cannot be read behind its \"?\": %v", reason(err))
	}
	return query
}

// reason is what is wrong with a URL, without repeating the whole of it.
func reason(err error) string {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	if e := url.EscapeError(""); errors.As(err, &e) {
		return fmt.Sprintf("%q stands for no character; a percent sign alone is written %%25", string(e))
	}
	return strings.TrimPrefix(err.Error(), "net/url: ")
}

func (k *checker) params(in *Interaction, query url.Values) {
	if len(in.Params) > maxParams {
		k.problem("/interaction/params", "has %d entries; at most %d are allowed", len(in.Params), maxParams)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(in.Params)) {
		pointer := Pointer("interaction", "params", name)
		if name == "" {
			k.problem(pointer, "has no name: give it one, or take it out")
		}
		if query.Has(name) {
			k.problem(pointer, "%q is in the query of /interaction/url already: say it once", name)
		}
		k.plain(pointer, name, maxParam)
		k.plain(pointer, in.Params[name], maxParam)
	}
}

func has(m map[string]string, name string) bool {
	_, ok := m[name]
	return ok
}
