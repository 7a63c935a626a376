package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The check finds nothing on a page that anybody can use, however it is looked
// at, and finds each single thing that is broken on it: that, and nothing else.
func TestCheck(t *testing.T) {
	text, err := os.ReadFile("testdata/good.html")
	require.NoError(t, err)
	good := string(text)
	p := open(t, Options{})
	show := func(t *testing.T, look Look, html string) []Violation {
		t.Helper()
		require.NoError(t, p.Appear(Light))
		site := serve(t, html)
		_, err := p.Go(site)
		require.NoError(t, err)
		require.NoError(t, p.Appear(look))
		found, err := p.Check()
		require.NoError(t, err)
		return found
	}
	for _, look := range Looks() {
		require.Empty(t, show(t, look, good), look)
	}

	const button = "<button>Save</button>"
	bad := []struct {
		rule     string
		look     Look
		old, new string // what is broken, and how
		what     string // among what is said of it
	}{
		{"name", Phone, button, "<button></button>", "a button without a name"},
		{"name", Phone, button, `<div tabindex="0">Save</div>`, "has no role"},
		{"name", Phone, `<a href="/one">Campaigns</a>`, `<a href="/one" style="width: 30px; height: 30px"></a>`, "a link without a name"},
		{"name", Phone, button, `<img src="data:,">`, "an image without a name"},
		{"image", Phone, button, `<svg width="9" height="9"></svg>`, "what it shows"},
		{"contrast", Phone, "--faint: #57606a", "--faint: #8c959f", "needs 4.5:1"},
		{"contrast", Dark, "--faint: #9ea7b3", "--faint: #4a5058", "needs 4.5:1"},
		{"contrast", Phone, "#0b6e4f; color: #ffffff", "#0b6e4f; color: var(--faint)", "#57606a on #0b6e4f"},
		{"contrast", Phone, ".bubble {", ".bubble { opacity: 0.3;", "text"},
		{"contrast", Phone, "background: #0b6e4f", "background: linear-gradient(red, blue)", "a gradient"},
		{"contrast", Phone, "::placeholder { color: var(--faint)", "::placeholder { color: #aaaaaa", "placeholder"},
		{"contrast", Phone, "--edge: #6e7781", "--edge: #d0d7de", "the edge of the control"},
		{"contrast", Phone, "color: #ffffff; background: #0550ae", "color: #ffffff; background: #4a9eff", "text"},
		{"covered", Phone, ".bubble {", ".bubble { position: relative; top: -40px;", "behind p.bubble"},
		{"focus", Light, ":focus-visible { outline: 2px solid var(--link)", ":focus { outline: none", "nothing shows"},
		{"focus", Light, ":focus-visible { outline: 2px solid var(--link)", ":focus-visible { outline: 2px solid #dddddd", "too weak"},
		{"focus", Dark, ":focus-visible { outline: 2px solid var(--link)", ":focus-visible { outline: 2px solid #222222", "too weak"},
		{"focus", Phone, "header { background", "form { margin-bottom: 900px } header { position: sticky; top: 0; height: 740px; background", "is hidden by"},
		{"keyboard", Light, button, `<button>Save</button><script>addEventListener("keydown", e => { if (document.activeElement.id === "kind") e.preventDefault() })</script>`, "does not get there"},
		{"headings", Phone, "<h2>What it says</h2>", "<h4>What it says</h4>", "level 4 comes after level 1"},
		{"headings", Phone, "<h2>Texts</h2>", "<h1>Texts</h1>", "2 headings of level 1"},
		{"landmarks", Phone, "</main>", "</main><p>lost</p>", "in no landmark"},
		{"landmarks", Phone, `<nav aria-label="Main">`, `<nav aria-label="More"></nav><nav aria-label="Main"><a href="/x">x y z</a></nav><nav aria-label="Main">`, "called the same"},
		{"skip", Phone, `<a class="skip" href="#content">To the content</a>`, "", "no link to the main content"},
		{"label", Phone, `<label for="name">Name</label>`, "<p>Name</p>", "has no label"},
		{"label", Phone, button, `<button aria-label="Send it">Save</button>`, "does not have the text"},
		{"error", Phone, "The text has no {link}", "", "nothing says why"},
		{"group", Phone, "<legend>The call ends</legend>", "", "no legend"},
		{"table", Phone, `<th scope="col">Name</th><th scope="col"><span class="away">Pick</span></th>`, "<td>Name</td><td>Pick</td>", "no headers"},
		{"ids", Phone, `<p class="bubble"`, `<p id="name-hint" class="bubble"`, "is there twice"},
		{"ids", Phone, `aria-describedby="name-hint"`, `aria-describedby="elsewhere"`, "not there"},
		{"language", Phone, `<html lang="en">`, "<html>", "its language"},
		{"title", Phone, "<title>A page that anybody can use</title>", "", "no title"},
		{"zoom", Phone, "initial-scale=1", "initial-scale=1, user-scalable=no", "zooming"},
		{"room", Phone, ".wide { overflow-x: auto; position: relative }", "", "the page is"},
		{"room", Phone, "position: relative }", "}", "span.away"}, // what is hidden in a table leaves it
		{"room", Light, "</main>", `<p class="bubble" style="width: 1500px">x</p></main>`, "the page is"},
		{"target", Phone, button, `<button>Save</button><button aria-label="x" class="s"></button><button aria-label="y" class="s"></button><style>.s { width: 12px; height: 12px; padding: 0 }</style>`, "too near"},
		{"nested", Phone, button, `<a href="/x"><button>Save</button></a>`, "within a control"},
		{"order", Phone, button, `<button tabindex="3">Save</button>`, "tabindex"},
		{"hidden", Phone, button, `<p aria-hidden="true"><button>Save</button></p>`, "hidden from screen readers"},
		{"hidden", Phone, button, `<button hidden class="b">Save</button><style>.b { display: block }</style>`, "and is shown"},
		{"inline", Phone, button, `<button onclick="1">Save</button>`, "onclick"},
		{"role", Phone, button, `<button role="buton">Save</button>`, "no role"},
		{"link", Phone, "a { color: var(--link) }", "a { color: #333333; text-decoration: none }", "colour alone"},
		{"motion", Phone, ".bubble {", "@keyframes k { to { margin-left: 9px } } .bubble { animation: k 1s infinite;", "it moves"},
	}
	for _, test := range bad {
		t.Run(test.rule+" "+test.what, func(t *testing.T) {
			require.Contains(t, good, test.old)
			found := show(t, test.look, strings.Replace(good, test.old, test.new, 1))
			require.NotEmpty(t, found)
			require.Contains(t, fmt.Sprint(found), test.what)
			for _, v := range found {
				if v.Rule != "inline" { // a test may need what the policy forbids
					require.Equal(t, test.rule, v.Rule, "%v", found)
				}
			}
		})
	}
}

// serve serves one page.
func serve(t *testing.T, html string) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(html))
	}))
	t.Cleanup(site.Close)
	return site.URL
}
