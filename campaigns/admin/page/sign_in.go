package page

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"deflectd/campaigns/admin"
)

const (
	signInPath = "/sign-in"
	// keptPrefix begins the names of what a form holds that was posted when its
	// session was over.
	keptPrefix = "kept."
)

// signInPage is what sign_in.html shows.
type signInPage struct {
	Token input
	Next  string // where to go then
	Again string // the address of a form that was posted without a session
	Kept  []kept // what was in it
	Why   string // why there is a page to sign in
	Error string
}

// kept is a value of a form that was posted without a session.
type kept struct{ Name, Value string }

func (p *pages) signInRoutes() {
	p.notice("signed-out", "You have signed out.")
	p.mux.HandleFunc("GET "+signInPath, p.answer((*view).showSignIn))
	p.mux.HandleFunc("POST "+signInPath, p.answer((*view).signIn))
	p.handle("POST /sign-out", (*view).signOut)
	p.again.HandleFunc("/", p.known((*view).stillToBeDone))
}

// askToSignIn shows the page to sign in on instead of the one that was asked
// for. What was posted is kept in it, less files.
func (v *view) askToSignIn() error {
	if !v.posted() {
		to := signInPath
		if at := v.r.URL.RequestURI(); at != "/" {
			to += "?next=" + url.QueryEscape(at)
		}
		v.redirect(to)
		return nil
	}
	shown := signInPage{
		Again: v.r.URL.RequestURI(), Kept: keep(v.r.PostForm),
		Why: "Your session is over. What you typed is not lost: sign in, and it is shown to you again to be saved.",
	}
	switch {
	case v.r.URL.Path == "/sign-out":
		shown = signInPage{Why: "Your session was over already."}
	case v.upload:
		shown.Why = "Your session is over, and nothing was done. Sign in, and choose the file once more."
	}
	return v.showSignInPage(http.StatusUnauthorized, shown)
}

// keep is what a form held, for the form to sign in with.
func keep(form url.Values) []kept {
	all := posted(form)
	for i := range all {
		all[i].Name = keptPrefix + all[i].Name
	}
	return all
}

// posted is what a form held, in the order of its names.
func posted(form url.Values) []kept {
	var all []kept
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name == formToken {
			continue
		}
		for _, value := range form[name] {
			all = append(all, kept{name, value})
		}
	}
	return all
}

// notDoneYet is said of what was asked for by who was not signed in any more.
const notDoneYet = "Your session was over when you pressed the button, so nothing was done. You are signed in now."

func (v *view) showSignIn() error {
	signed, err := v.recognise(v.ctx())
	if err != nil {
		return err
	}
	next := within(v.query("next"))
	if signed {
		v.redirect(next)
		return nil
	}
	shown := signInPage{Next: next}
	if next != "/" {
		shown.Why = "Sign in to go on to the page you asked for."
	}
	return v.showSignInPage(http.StatusOK, shown)
}

func (v *view) showSignInPage(status int, shown signInPage) error {
	v.who, v.session = admin.Identity{}, session{} // nobody, whoever it was
	shown.Token = input{
		Kind: "password", Name: "token", Label: "Token", Autocomplete: "current-password", Required: true, Autofocus: true, Max: 512,
		Hint: "It begins with dfl_. Who runs deflectd makes one with “deflectd token”.",
	}
	if shown.Error != "" {
		shown.Token.Errors = []string{shown.Error}
	}
	if status == http.StatusUnauthorized {
		// RFC 9110, 15.5.2 wants it said. Browsers know no such scheme, and show
		// the page.
		v.w.Header().Set("WWW-Authenticate", `Bearer realm="deflectd"`)
	}
	return v.render(status, "sign_in", shown)
}

// signIn begins a session for who has a token. One that was there ends: nobody
// goes on with a cookie that somebody else may have set.
func (v *view) signIn() error {
	if err := v.read(maxForm + maxForm/2); err != nil { // kept values have longer names
		return err
	}
	form := signInPage{Next: within(v.form("next")), Again: v.form("again")}
	if form.Again != "" {
		form.Again = within(form.Again)
	}
	values := url.Values{}
	for name, all := range v.r.PostForm {
		if original, found := strings.CutPrefix(name, keptPrefix); found && form.Again != "" {
			values[original] = all
		}
	}
	form.Kept = keep(values)
	who, err := v.p.Server.SignIn(v.r, v.form("token"))
	var blocked *admin.BlockedError
	switch {
	case errors.As(err, &blocked):
		v.w.Header().Set("Retry-After", fmt.Sprint(int(blocked.RetryAfter.Seconds())))
		form.Error = fmt.Sprintf("Too many wrong tokens came from your address. Try again in %s.", seconds(blocked.RetryAfter))
		return v.showSignInPage(http.StatusTooManyRequests, form)
	case v.form("token") == "":
		form.Error = "Paste your token here."
		return v.showSignInPage(http.StatusUnprocessableEntity, form)
	case err != nil:
		form.Error = "This token is not known. Check that all of it was pasted, and that it is in the configuration (admin.tokens)."
		return v.showSignInPage(http.StatusUnauthorized, form)
	}
	switch err := v.enter(who); {
	case err != nil && away(err):
		v.p.Logger.Warn("nobody can sign in", "error", err)
		form.Error = "Your token is right, but the store does not answer just now. Try again in a moment."
		return v.showSignInPage(http.StatusServiceUnavailable, form)
	case err != nil:
		return err
	}
	if form.Again != "" {
		return v.showAgain(form.Again, values)
	}
	v.redirect(form.Next)
	return nil
}

func seconds(d time.Duration) string {
	if d <= time.Second {
		return "a second"
	}
	return fmt.Sprintf("%d seconds", int(d.Seconds()))
}

// enter begins a session, in place of any other one.
func (v *view) enter(who admin.Identity) error {
	if old := v.cookie(); old != "" {
		if err := v.p.sessions.end(v.ctx(), old); err != nil {
			return err
		}
	}
	begun, err := v.p.sessions.begin(v.ctx(), who)
	if err != nil {
		return err
	}
	v.session, v.who, v.api = begun, who, v.p.api(who)
	v.setCookie(begun.cookie)
	v.p.Logger.Info("somebody signed in", "token", who.Name, "role", string(who.Role))
	return nil
}

func (v *view) signOut() error {
	if err := v.p.sessions.end(v.ctx(), v.session.cookie); err != nil {
		return err
	}
	v.setCookie("")
	v.p.Logger.Info("somebody signed out", "token", v.who.Name)
	return v.done(signInPath, "signed-out")
}

// showAgain shows a form once more with what was posted in it. Nothing is
// changed until it is posted again, by who has seen it.
func (v *view) showAgain(address string, values url.Values) error {
	at, err := url.Parse(address)
	if err != nil {
		return err
	}
	values.Del(formToken)
	r := v.r.Clone(v.r.Context())
	r.Method, r.Body, r.URL = http.MethodPost, http.NoBody, at
	r.Form, r.PostForm, r.MultipartForm = values, values, nil
	r.Header.Del("Cookie")
	r.AddCookie(&http.Cookie{Name: v.cookieName(), Value: v.session.cookie}) //nolint:gosec // a request of our own, to ourselves
	v.p.again.ServeHTTP(v.w, r)
	return nil
}

// stillToBeDone asks whether what was posted without a session is to be done,
// where no form can show it.
func (v *view) stillToBeDone() error {
	return v.confirm(confirmation{
		Title: "Not done yet", Action: v.r.URL.RequestURI(), Button: "Do it now", Fields: posted(v.r.PostForm), Text: notDoneYet,
	})
}
