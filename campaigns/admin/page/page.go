// Package page is SMS Management: the page on which people run deflectd. It is
// made on the server, works without JavaScript and asks nothing outside of the
// daemon. Whatever it shows or changes it asks of the API, as whoever has signed
// in, so that people and programs live by the same rules.
//
// What belongs together is in one file: its addresses (xxxRoutes), what they do
// and what their templates are given. The foundation is view.go (one request),
// render.go (templates and what they can use), session.go, sign_in.go and
// assets.go; the pieces that templates are made of are described at the top of
// templates/parts.html.
package page

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
)

// Options are what the page needs.
type Options struct {
	// Server is the interface the page belongs to: who may sign in, and the API.
	Server *admin.Server
	// Redis keeps the sessions.
	Redis redis.UniversalClient
	// Region is the country whose numbers are shown as examples (ISO 3166-1).
	Region string
	// Countries are those that texts may go to; where a number is obtained they
	// come first.
	Countries []string
	// Version of the program, shown at the foot of each page.
	Version string
	// Timeout bounds the work on one page, what the provider is asked for aside;
	// 15 seconds when zero.
	Timeout time.Duration

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

const (
	maxForm = 256 << 10
	// maxUpload is how large a form with a file may be: what the API takes as a
	// list, and the form around it.
	maxUpload = 10<<20 + 64<<10
	// longWait bounds what is asked of the provider, and lists.
	longWait = 2 * time.Minute
)

// pages are all pages.
type pages struct {
	Options
	mux       *http.ServeMux
	again     *http.ServeMux // by the same addresses, forms to show once more
	templates *templates
	assets    *assets
	notices   map[string]string // sentences, by their words
	sessions  *sessions
}

// New makes the page. It answers every address it is asked for: what there is
// nothing at with a page that says so.
func New(o Options) http.Handler {
	p := newPages(o)
	return http.HandlerFunc(p.serve)
}

// builtIn is what is built into the program, read once.
var builtIn = struct {
	assets    func() *assets
	templates func() *templates
}{
	assets:    sync.OnceValue(loadAssets),
	templates: sync.OnceValue(func() *templates { return loadTemplates(loadAssets()) }),
}

func newPages(o Options) *pages {
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	p := &pages{
		Options: o, mux: http.NewServeMux(), again: http.NewServeMux(), assets: builtIn.assets(),
		templates: builtIn.templates(), notices: map[string]string{},
		sessions: newSessions(o.Redis, o.Registerer),
	}
	p.mux.Handle("GET /assets/{name}", p.assets)
	for _, routes := range []func(){
		p.signInRoutes,
		p.homeRoutes,
		p.serviceRoutes,
		p.senderRoutes,
		p.campaignRoutes,
		p.messageRoutes,
		p.optOutRoutes,
		p.whyRoutes,
	} {
		routes()
	}
	p.handle("/", func(*view) error { return errNothing })
	return p
}

// errNothing is the answer at an address that there is nothing at.
var errNothing = &admin.Problem{
	Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: "There is nothing at this address.",
}

// serve answers one request.
func (p *pages) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	// With no-referrer browsers would not say where a form comes from either,
	// which is what tells it from one on somebody else's page.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store") // assets say otherwise
	p.mux.ServeHTTP(w, r)
}

// handle has f answer the requests of a pattern (http.ServeMux) by those who
// have signed in. What is posted is a form, which v.form reads. An error that f
// returns is shown as a page: an *admin.Problem with its status, any other one
// as a mistake of this program, which is logged.
func (p *pages) handle(pattern string, f func(*view) error) {
	p.mux.HandleFunc(pattern, p.signedIn(maxForm, f))
}

// handleLong is handle for what may take longWait: what is asked of the
// provider, and lists.
func (p *pages) handleLong(pattern string, f func(*view) error) {
	p.mux.HandleFunc(pattern, p.signedIn(maxForm, long(f)))
}

// handleUpload is handleLong for a form with a file (multipart/form-data,
// v.file), which may have 10 MB and take longWait to arrive.
func (p *pages) handleUpload(pattern string, f func(*view) error) {
	p.mux.HandleFunc(pattern, p.signedIn(maxUpload, long(f)))
}

// handleAgain has f show the form of a pattern once more with what was posted
// in it, and change nothing: its session was over, and its owner has signed in
// anew. Where there is none for a pattern, a page asks whether it is still to be
// done.
func (p *pages) handleAgain(pattern string, f func(*view) error) {
	p.again.HandleFunc(pattern, p.known(f))
}

// notice adds a sentence that v.done can leave for the next page.
func (p *pages) notice(word, sentence string) { p.notices[word] = sentence }

// long gives a request more time than the listener gives all.
func long(f func(*view) error) func(*view) error {
	return func(v *view) error {
		v.answerWithin(longWait)
		v.wait = longWait
		return f(v)
	}
}

// answerWithin gives an answer as much time as the work before it may take; the
// listener's own deadline is for short work.
func (v *view) answerWithin(wait time.Duration) {
	// Some writers cannot have a deadline; the listener's then holds.
	_ = http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(wait + 10*time.Second))
}

// signedIn has f answer who has signed in, and asks everybody else to.
func (p *pages) signedIn(limit int64, f func(*view) error) http.HandlerFunc {
	return p.answer(func(v *view) error {
		// Who asks is found out first, but what was posted is read in any case: it
		// is not to be lost.
		known, away := v.recognise(v.ctx())
		if err := v.receive(limit, known); err != nil {
			return err
		}
		switch {
		case away != nil:
			return away
		case !known:
			return v.askToSignIn()
		case v.posted() && !v.genuine():
			return v.showAgain(v.r.URL.RequestURI(), v.r.PostForm)
		}
		return v.within(f)
	})
}

// known has f answer a request of which all but the session has been checked.
func (p *pages) known(f func(*view) error) http.HandlerFunc {
	return p.answer(func(v *view) error {
		switch ok, err := v.recognise(v.ctx()); {
		case err != nil:
			return err
		case !ok:
			return v.askToSignIn()
		}
		return v.within(f)
	})
}

// answer has f answer requests, and says what became of those that it did not.
func (p *pages) answer(f func(*view) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &view{p: p, w: w, r: r, wait: p.Timeout}
		defer func() {
			if fault := recover(); fault != nil {
				v.panicked(fault)
			}
		}()
		if err := f(v); err != nil {
			v.fail(err)
		}
	}
}

// panicked logs where it happened and shows that it did. What was thrown is not
// logged: it may hold what somebody typed.
func (v *view) panicked(fault any) {
	if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(fault)
	}
	v.p.Logger.Error("a page made deflectd panic", "method", v.r.Method, "route", v.r.Pattern,
		"panic", fmt.Sprintf("%T", fault), "stack", string(debug.Stack()))
	if v.begun {
		panic(http.ErrAbortHandler) // half a page is out: the connection ends
	}
	v.showProblem(mistake)
}

// mistake is what people are told of a fault of this program.
var mistake = &admin.Problem{
	Title: http.StatusText(http.StatusInternalServerError), Status: http.StatusInternalServerError,
	Detail: "deflectd made a mistake: its log says which.",
}

// api is the API as somebody sees it.
func (p *pages) api(who admin.Identity) *client.Client {
	return client.New("http://deflectd", "", p.Server.As(who))
}

// within is an address of this page that somebody may be sent to; "/" for any
// other one.
func within(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.ContainsAny(address, "\\\r\n\t") {
		return "/"
	}
	return address
}
