package browser

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// shared is the browser of all tests: a start costs more than most of them.
var shared *Browser

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "deflectd-browser-")
	if err == nil {
		shared, err = Start(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// open opens a tab for a test.
func open(t *testing.T, o Options) *Page {
	t.Helper()
	p, err := shared.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

const form = `<!doctype html><html lang="en"><title>t</title><body>
<form action="/sent"><label>Name <input name="name" value="old"></label>
<label>Kind <select name="kind"><option value="s">service</option><option value="m">marketing</option></select></label>
<label><input type="checkbox" name="on"> On</label>
<table><tr><th>Name</th><th>Act</th></tr><tr><td>Billing</td><td><button name="b" value="billing">Delete</button></td></tr>
<tr><td>Sales</td><td><button name="b" value="sales">Delete</button></td></tr></table>
<button disabled>Never</button></form><p id="later"></p>
<label>File <input type="file" id="file"></label>
<script>setTimeout(() => { later.textContent = "now it  is here" }, 100);
file.onchange = () => file.files[0].text().then(t => { later.textContent = t })</script>`

// site answers with the form, and with what the form has sent.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/":
			_, _ = fmt.Fprint(w, form)
		case "/sent":
			_, _ = fmt.Fprintf(w, "got %s", r.URL.RawQuery)
		case "/cookie":
			if _, err := r.Cookie("been"); err == nil {
				_, _ = fmt.Fprint(w, "welcome back")
				return
			}
			http.SetCookie(w, &http.Cookie{Name: "been", Value: "here"})
			_, _ = fmt.Fprint(w, "hello")
		case "/guard":
			_, _ = fmt.Fprint(w, `<label>Text <input></label><script>addEventListener("beforeunload", e => e.preventDefault())</script>`)
		case "/rude":
			w.Header().Set("Content-Security-Policy", "script-src 'self'")
			_, _ = fmt.Fprint(w, `<img src="/nothing"><img src="http://192.0.2.1/x.png"><img src="http://else.example/x"><script>1</script>`)
		case "/throws":
			_, _ = fmt.Fprint(w, `<script>console.error("oh", 1); throw new Error("broken")</script>`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// A person does what people do, and the page gets it.
func TestActing(t *testing.T) {
	t.Parallel()
	s, p := site(t), open(t, Options{})
	status, err := p.Go(s.URL)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	bytes, requests := p.Loaded()
	require.Greater(t, bytes, len(form))
	require.GreaterOrEqual(t, requests, 1)
	require.NoError(t, p.See("now it is here"))

	require.NoError(t, p.Fill("Name", "new & <b>"))
	require.NoError(t, p.Choose("Kind", "marketing"))
	require.NoError(t, p.Click("checkbox", "On"))
	on, err := p.Control("checkbox", "On")
	require.NoError(t, err)
	require.True(t, on.Checked)
	name, err := p.Control("field", "Name")
	require.NoError(t, err)
	require.Equal(t, "new & <b>", name.Value)
	never, err := p.Control("button", "Never")
	require.NoError(t, err)
	require.True(t, never.Disabled)
	file := filepath.Join(t.TempDir(), "list.csv")
	require.NoError(t, os.WriteFile(file, []byte("from a file"), 0o600))
	require.NoError(t, p.Upload("File", file))
	require.NoError(t, p.See("from a file"))

	require.NoError(t, p.Follow("button", "Delete", "Sales"))
	address, err := p.Address()
	require.NoError(t, err)
	require.Equal(t, "/sent?name=new+%26+%3Cb%3E&kind=m&on=on&b=sales", address)
	require.Equal(t, Effort{Clicks: 8, Keys: 9}, p.Effort)
	require.Equal(t, 16*time.Second, p.Effort.Time().Round(time.Second))
	status, err = p.Go(s.URL + "/else")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, status)
	require.NotContains(t, fmt.Sprint(p.Faults()), "exception")
}

// What is not there, or there twice, is told with what is.
func TestMissing(t *testing.T) {
	t.Parallel()
	s, p := site(t), open(t, Options{})
	_, err := p.Go(s.URL)
	require.NoError(t, err)
	ctx, cancel := p.within()
	defer cancel()
	_, err = p.control(ctx, []string{"button"}, "Delete", nil)
	require.ErrorContains(t, err, "there are 2 of them")
	_, err = p.control(ctx, []string{"button"}, "Save", nil)
	require.ErrorContains(t, err, `"Never"`)
	_, err = p.control(ctx, []string{"button"}, "Delete", []string{"Billing"})
	require.NoError(t, err)
}

// People share nothing, and scripts can be off.
func TestApart(t *testing.T) {
	t.Parallel()
	s, p := site(t), open(t, Options{NoScript: true})
	_, err := p.Go(s.URL)
	require.NoError(t, err)
	text, err := p.Text()
	require.NoError(t, err)
	require.NotContains(t, text, "now it")
	require.NoError(t, p.Follow("button", "Delete", "Billing"))
	require.NoError(t, p.See("b=billing"))
	shot, err := p.Screenshot(true)
	require.NoError(t, err)
	require.Equal(t, "\x89PNG", string(shot[:4]))
}

// Two tabs of one person share what the site has given them.
func TestAnother(t *testing.T) {
	t.Parallel()
	s, p := site(t), open(t, Options{})
	_, err := p.Go(s.URL + "/cookie")
	require.NoError(t, err)
	other, err := p.Another()
	require.NoError(t, err)
	defer other.Close()
	_, err = other.Go(s.URL + "/cookie")
	require.NoError(t, err)
	require.NoError(t, other.See("welcome back"))
	stranger := open(t, Options{})
	_, err = stranger.Go(s.URL + "/cookie")
	require.NoError(t, err)
	require.NoError(t, stranger.Gone("welcome back"))
}

// A page that asks before it is left, and a person who stays, or goes.
func TestDialogs(t *testing.T) {
	t.Parallel()
	s, p := site(t), open(t, Options{})
	_, err := p.Go(s.URL + "/guard")
	require.NoError(t, err)
	require.NoError(t, p.Fill("Text", "typed"))
	p.Refuse(true)
	_, err = p.Go(s.URL)
	require.Error(t, err, "the person stays")
	field, err := p.Control("textbox", "Text")
	require.NoError(t, err)
	require.Equal(t, "typed", field.Value)
	p.Refuse(false)
	_, err = p.Go(s.URL)
	require.NoError(t, err)
	require.Equal(t, []string{"beforeunload: ", "beforeunload: "}, p.Dialogs())
}

// Everything that no page of ours may do is heard, and nothing gets out.
func TestFaults(t *testing.T) {
	t.Parallel()
	s, p := site(t), open(t, Options{})
	_, err := p.Go(s.URL + "/rude")
	require.NoError(t, err)
	_, err = p.Go(s.URL + "/throws")
	require.NoError(t, err)
	for _, fault := range []string{
		"a request outside the daemon: http://192.0.2.1/x.png", "http://else.example/x", "/nothing answers 404",
		"content security policy: script-src-elem", `console error: "oh"`, "exception: Error: broken",
	} {
		// What the browser finds out is told when it gets to it.
		require.Eventually(t, func() bool { return strings.Contains(fmt.Sprint(p.Faults()), fault) }, patience, pause, fault)
	}
	require.Subset(t, shared.Refused(), []string{"192.0.2.1", "else.example"})
}

// A browser can be started and stopped more than once, and leaves nothing.
func TestStartAndStop(t *testing.T) {
	t.Parallel()
	b, err := Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.NoError(t, b.Stop())
	require.NoError(t, b.Stop())
	_, err = b.Open(t.Context(), Options{})
	require.Error(t, err)
}
