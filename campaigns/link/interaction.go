package link

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"deflectd/campaigns"
)

// InteractionURL is the address that opens the campaign's interaction for the
// recipient e164: the campaign's URL with the interaction's id in place of its
// placeholder, its params, and the recipient's number where the campaign wants
// it there and the recipient is known (e164 is not ""). What the URL's query and fragment hold already is kept. A param has
// the value that params gives it, else the campaign's; params alone adds none
// (see Campaign.ValidateParams). It fails only for a URL that Campaign.Validate
// refuses.
func InteractionURL(in campaigns.Interaction, e164 string, params map[string]string) (string, error) {
	// The three parts of a URL are escaped differently, so the placeholder is
	// replaced in each before they are parsed together.
	rest, fragment, hasFragment := strings.Cut(in.URL, "#")
	path, query, _ := strings.Cut(rest, "?")

	address := strings.ReplaceAll(path, campaigns.InteractionID, url.PathEscape(in.ID))
	query = strings.ReplaceAll(query, campaigns.InteractionID, url.QueryEscape(in.ID))
	query = addParams(escapeQuery(query), in, e164, params)
	if query != "" {
		address += "?" + query
	}
	if hasFragment {
		address += "#" + strings.ReplaceAll(fragment, campaigns.InteractionID, url.PathEscape(in.ID))
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("interaction URL: %w", err)
	}
	return u.String(), nil
}

// addParams puts the params (ordered, so that equal links are equal texts) and
// the caller's number behind what the query holds already.
func addParams(query string, in campaigns.Interaction, e164 string, params map[string]string) string {
	var b strings.Builder
	b.WriteString(query)
	add := func(name, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(value))
	}
	for _, name := range slices.Sorted(maps.Keys(in.Params)) {
		value, given := params[name]
		if !given {
			value = in.Params[name]
		}
		add(name, value)
	}
	if in.CallerID == campaigns.CallerIDPlain && e164 != "" {
		add(in.CallerIDParam, e164)
	}
	return b.String()
}

// escapeQuery escapes what may not stand in a URL as it is, such as letters with
// accents, and leaves the rest of a query alone: package url does so with paths
// and fragments, but takes a query as it comes.
func escapeQuery(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
