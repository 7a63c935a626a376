package link

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"strconv"
)

//go:embed pages/page.html
var pageHTML string

// page is a whole answer, rendered once.
type page []byte

var (
	pageFound   = render("One moment", "Your page is opening.")
	pageUnknown = render("This link leads nowhere",
		"Please check that the address is complete, or call us again to get a new link.")
	pageExpired = render("This link has expired",
		"Links work for a limited time only. Please call us again to get a new one.")
	pageUnavailable = render("Please try again in a moment",
		"We cannot open your link just now. It is still good: please try again shortly.")
	pageMethod = render("This cannot be done here", "A link can only be opened.")
)

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

func render(title, text string) page {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, map[string]string{"Title": title, "Text": text}); err != nil {
		panic(err) // the template and its data are both ours
	}
	return b.Bytes()
}

// respond sends a page with the headers that every answer to the internet
// carries: nothing is stored, framed, guessed at or told to the next site.
func respond(w http.ResponseWriter, r *http.Request, status int, p page) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(p)))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(p) // who has gone needs no answer
	}
}
