package link

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"deflectd/campaigns"
)

func TestInteractionURL(t *testing.T) {
	for _, c := range []struct {
		name, want string
		in         campaigns.Interaction
	}{
		{
			"plain", "https://a.example/start?callerId=%2B14155550132",
			campaigns.Interaction{URL: "https://a.example/start"},
		},
		{
			"no path", "https://a.example?callerId=%2B14155550132",
			campaigns.Interaction{URL: "https://a.example"},
		},
		{
			"query and fragment are kept", "https://a.example/?b=2&a=1+x&callerId=%2B14155550132#/top?x=1",
			campaigns.Interaction{URL: "https://a.example/?b=2&a=1+x#/top?x=1"},
		},
		{
			"params in order, escaped", "https://a.example/?a%26b=c%3Dd&lang=de+CH&callerId=%2B14155550132",
			campaigns.Interaction{URL: "https://a.example/", Params: map[string]string{"lang": "de CH", "a&b": "c=d"}},
		},
		{
			"id in path, query and fragment", "https://a.example/pay%20a%2Fbill?i=pay+a%2Fbill&callerId=%2B14155550132#pay%20a%2Fbill",
			campaigns.Interaction{ID: "pay a/bill", URL: "https://a.example/{interaction_id}?i={interaction_id}#{interaction_id}"},
		},
		{
			"other letters", "https://a.example/stra%C3%9Fe?q=%C3%BC%20x&callerId=%2B14155550132#%C3%A4",
			campaigns.Interaction{URL: "https://a.example/straße?q=ü x#ä"},
		},
		{
			"escapes are kept", "https://a.example/a%2Fb?q=%2F&callerId=%2B14155550132",
			campaigns.Interaction{URL: "https://a.example/a%2Fb?q=%2F"},
		},
		{
			"an id that looks like an address", "https://a.example/%3Fx=1%23y?callerId=%2B14155550132",
			campaigns.Interaction{ID: "?x=1#y", URL: "https://a.example/{interaction_id}"},
		},
	} {
		c.in.CallerID, c.in.CallerIDParam = campaigns.CallerIDPlain, "callerId"
		got, err := InteractionURL(c.in, "+14155550132", nil)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, got, c.name)
	}

	got, err := InteractionURL(campaigns.Interaction{URL: "https://a.example/x?y", CallerID: campaigns.CallerIDNone}, "+14155550132", nil)
	require.NoError(t, err)
	require.Equal(t, "https://a.example/x?y", got)
	_, err = InteractionURL(campaigns.Interaction{URL: "https://a.example/%zz"}, "+14155550132", nil)
	require.Error(t, err)
}

// A text's own params come in place of the campaign's, and nothing beside them.
func TestInteractionURLWithParams(t *testing.T) {
	in := campaigns.Interaction{
		ID: "pay", URL: "https://a.example/{interaction_id}", CallerID: campaigns.CallerIDNone,
		Params: map[string]string{"lang": "en", "name": "Ann", "x": ""},
	}
	got, err := InteractionURL(in, "+14155550132", map[string]string{
		"lang": "", "name": "{interaction_id}&lang=de", "callerId": "+1999", "other": "y",
	})
	require.NoError(t, err)
	require.Equal(t, "https://a.example/pay?lang=&name=%7Binteraction_id%7D%26lang%3Dde&x=", got)
	require.Equal(t, "Ann", in.Params["name"])
}

// Where nobody in particular is to open it there is no number in the address.
func TestInteractionURLOfNobody(t *testing.T) {
	in := campaigns.Interaction{
		URL: "https://a.example/start", Params: map[string]string{"lang": "en"},
		CallerID: campaigns.CallerIDPlain, CallerIDParam: "callerId",
	}
	got, err := InteractionURL(in, "", nil)
	require.NoError(t, err)
	require.Equal(t, "https://a.example/start?lang=en", got)
}

// For every campaign that is valid: the address can be read again, says what
// was asked for, and holds the caller's number once.
func TestInteractionURLProperties(t *testing.T) {
	const number = "+14155550132"
	word := rapid.StringMatching(`[a-zäß€日~!$'()*,;:@ .-]{0,8}`)
	name := rapid.StringMatching(`[a-zäß &=+#?%/]{1,8}`)
	rapid.Check(t, func(t *rapid.T) {
		raw := "https://a.example/" + url.PathEscape(word.Draw(t, "path"))
		if rapid.Bool().Draw(t, "other letters in path") {
			raw += "/ü日"
		}
		if rapid.Bool().Draw(t, "id") {
			raw += "/{interaction_id}"
		}
		existing := url.Values{}
		if rapid.Bool().Draw(t, "query") {
			existing.Set(name.Draw(t, "key"), word.Draw(t, "value"))
			raw += "?" + existing.Encode()
		}
		fragment := ""
		if rapid.Bool().Draw(t, "fragment") {
			fragment = word.Draw(t, "fragment text")
			raw += "#" + url.PathEscape(fragment)
		}
		c := &campaigns.Campaign{
			ID: "a", DNIS: []string{"*"}, Text: "{link}", Originator: "Acme",
			Interaction: campaigns.Interaction{
				ID: rapid.StringMatching(`[a-zé /?#%&{}]{1,9}`).Draw(t, "interaction id"), URL: raw,
				Params: rapid.MapOf(name, word).Draw(t, "params"),
			},
		}
		c.SetDefaults()
		if c.Validate(campaigns.Rules{Region: "US"}) != nil {
			return // such a URL cannot be saved
		}
		got, err := InteractionURL(c.Interaction, number, nil)
		require.NoError(t, err)
		require.Equal(t, -1, strings.IndexFunc(got, func(r rune) bool { return r <= ' ' || r > '~' }), got)
		u, err := url.Parse(got)
		require.NoError(t, err)
		require.Equal(t, "a.example", u.Host)
		require.Equal(t, fragment, u.Fragment)
		query, err := url.ParseQuery(u.RawQuery)
		require.NoError(t, err)
		want := url.Values{"callerId": {number}}
		for k, v := range existing {
			want[k] = v
		}
		for k, v := range c.Interaction.Params {
			want.Set(k, v)
		}
		require.Equal(t, want, query)
		require.Equal(t, 1, strings.Count(got, "%2B14155550132"))
		require.NotContains(t, got, number)
		if strings.Contains(raw, "{interaction_id}") {
			require.True(t, strings.HasSuffix(u.Path, "/"+c.Interaction.ID), got)
		}
	})
}
