package campaigns

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestFill(t *testing.T) {
	values := map[string]string{"link": "https://t.example/x", "name": "{link}", "": "empty", "nothing": "", "open": "{", "close": "}"}
	value := func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}
	for text, want := range map[string]string{
		"":                       "",
		"plain":                  "plain",
		"{link}":                 "https://t.example/x",
		"a {link} b {link}":      "a https://t.example/x b https://t.example/x",
		"{name} {link}":          "{link} https://t.example/x", // what was put in stays
		"{open}link{close}":      "{link}",
		"{nothing}{nothing}":     "",
		"{nothing}a":             "a",
		"{}":                     "empty",
		"{unknown}{link}":        "{unknown}https://t.example/x",
		"{{link}}":               "{https://t.example/x}",
		"}{link}{":               "}https://t.example/x{",
		"} } {link":              "} } {link",
		"{ link }":               "{ link }",
		"{nothing{link}nothing}": "{nothinghttps://t.example/xnothing}",
	} {
		require.Equal(t, want, Fill(text, value), text)
	}
	require.Equal(t, []string{"a", "", "b"}, Placeholders("{a}{}}{ {b} {c"))
	require.Empty(t, Placeholders("none } {"))
}

// Whatever the values hold, each is put in once, as it is.
func TestFillProperties(t *testing.T) {
	piece := rapid.SampledFrom([]string{"{a}", "{b}", "{link}", "{", "}", "x", "é", "{{", "}}"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(piece).Draw(t, "text"), "")
		value := strings.Join(rapid.SliceOf(piece).Draw(t, "value"), "")
		names := Placeholders(text)
		// As many places as names, of the lengths they have.
		all := Fill(text, func(name string) (string, bool) {
			require.Equal(t, names[0], name)
			names = names[1:]
			return value, true
		})
		require.Empty(t, names)
		size := len(text)
		for _, name := range Placeholders(text) {
			size += len(value) - len(name) - 2
		}
		require.Len(t, all, size)
		require.Equal(t, text, Fill(text, func(string) (string, bool) { return "", false }))
		require.Equal(t, text, Fill(text, func(name string) (string, bool) { return "{" + name + "}", true }))
	})
}
