package page

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
)

// view is one request for a page: what was asked, by whom, and the answer.
type view struct {
	p   *pages
	w   http.ResponseWriter
	r   *http.Request
	api *client.Client // as who has signed in
	who admin.Identity // zero while nobody has

	session session
	wait    time.Duration // how long the work may take
	begun   bool          // something was answered
	upload  bool          // what was posted had a file, which is gone
}

// ctx ends with the request, and when its time is over.
func (v *view) ctx() context.Context { return v.r.Context() }

// may says whether who has signed in has a role, or one above it.
func (v *view) may(role admin.Role) bool { return v.who.Role.Allows(role) }

// needs refuses who does not have a role; nil: go on. What the API is asked for
// it refuses itself; this is for pages that only lead there.
func (v *view) needs(role admin.Role) error {
	if v.may(role) {
		return nil
	}
	return &admin.Problem{
		Title: http.StatusText(http.StatusForbidden), Status: http.StatusForbidden, Reason: "role",
		Detail: "This needs the role " + string(role) + "; your token has the role " + string(v.who.Role) + ".",
	}
}

// posted says whether the request is to change something.
func (v *view) posted() bool { return v.r.Method == http.MethodPost }

// form is a value of the posted form, "" where there is none. Lines end in
// "\n", whatever the browser made of them.
func (v *view) form(name string) string { return unixLines(v.r.PostForm.Get(name)) }

// forms are all values of a name in the posted form.
func (v *view) forms(name string) []string {
	values := v.r.PostForm[name]
	out := make([]string, len(values))
	for i, value := range values {
		out[i] = unixLines(value)
	}
	return out
}

// unixLines takes back what browsers do to line ends (HTML, "normalize
// newlines" of form submission).
func unixLines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// query is a value of the address, "" where there is none or it is not text.
func (v *view) query(name string) string {
	value := v.r.URL.Query().Get(name)
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return ""
	}
	return value
}

// file is a file of the posted form (handleUpload); nil where there is none.
// The caller closes it.
func (v *view) file(name string) (io.ReadCloser, error) {
	if v.r.MultipartForm == nil || len(v.r.MultipartForm.File[name]) == 0 {
		return nil, nil
	}
	return open(v.r.MultipartForm.File[name][0])
}

func open(header *multipart.FileHeader) (io.ReadCloser, error) {
	if header.Size == 0 && header.Filename == "" {
		return nil, nil
	}
	return header.Open()
}

// within runs f with the time it may take.
func (v *view) within(f func(*view) error) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), max(v.wait, v.p.Timeout))
	defer cancel()
	v.r = v.r.WithContext(ctx)
	return f(v)
}

// refused is a request that is answered with a status and a sentence.
func refused(status int, detail string) error {
	return &admin.Problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

// receive takes in what was posted. A file has time to arrive over a slow line,
// but only from who is known: others cannot have it kept here, or hold a
// connection with it for long, and choose it once more after they have signed in.
func (v *view) receive(limit int64, known bool) error {
	if limit != maxUpload || !v.posted() {
		return v.read(limit)
	}
	if !known {
		// It is read to its end all the same: browsers show no answer before.
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(v.w, v.r.Body, limit))
		v.r.PostForm, v.upload = url.Values{}, true
		return nil
	}
	// Some readers cannot have a deadline; the listener's own then holds.
	_ = http.NewResponseController(v.w).SetReadDeadline(time.Now().Add(longWait))
	v.answerWithin(longWait)
	return v.read(limit)
}

// read takes in what was posted: a form as browsers send it, of at most limit
// bytes, in UTF-8, from a page of ours (http.CrossOriginProtection).
func (v *view) read(limit int64) error {
	switch v.r.Method {
	case http.MethodGet, http.MethodHead:
		return nil
	case http.MethodPost:
	default:
		v.w.Header().Set("Allow", "GET, HEAD, POST")
		return refused(http.StatusMethodNotAllowed, "This address does not know the method.")
	}
	if err := crossOrigin.Check(v.r); err != nil {
		return refused(http.StatusForbidden, "This form was sent by another site, or a proxy changes the name of this one (Host). Nothing was done.")
	}
	kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, limit)
	switch {
	case kind == "application/x-www-form-urlencoded":
		err = v.r.ParseForm()
	case kind == "multipart/form-data" && limit == maxUpload:
		err = v.r.ParseMultipartForm(maxUpload)
	default:
		return refused(http.StatusUnsupportedMediaType, "This address takes a form as a browser sends it.")
	}
	if err != nil {
		return unread(err)
	}
	for name, values := range v.r.PostForm {
		for _, value := range append(values, name) {
			if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
				return refused(http.StatusBadRequest, "The form holds something that is no text.")
			}
		}
	}
	return nil
}

var crossOrigin = http.NewCrossOriginProtection()

// unread says why a form could not be taken in.
func unread(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large) && large.Limit == maxUpload:
		return refused(http.StatusRequestEntityTooLarge, "The file is larger than it may be: at most 10 MB. Nothing was done. Divide it, and choose its parts one after the other.")
	case errors.As(err, &large):
		return refused(http.StatusRequestEntityTooLarge, "The form is larger than it may be. Nothing was saved. Go back in your browser and shorten what you wrote.")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refused(http.StatusRequestTimeout, "The form did not arrive in time. Nothing was saved.")
	}
	return refused(http.StatusBadRequest, "The form could not be read. Nothing was saved.")
}

// recognise finds out who asks; false: nobody who has signed in.
func (v *view) recognise(ctx context.Context) (bool, error) {
	cookie := v.cookie()
	if cookie == "" {
		return false, nil
	}
	s, ok, err := v.p.sessions.find(ctx, cookie)
	if err != nil || !ok {
		return false, err
	}
	who, ok := v.p.Server.Still(s.Token, s.proves)
	if !ok {
		return false, v.p.sessions.end(ctx, cookie)
	}
	v.session, v.who, v.api = s, who, v.p.api(who)
	return true, nil
}

// genuine says whether a posted form was made for this session.
func (v *view) genuine() bool {
	return subtle.ConstantTimeCompare([]byte(v.r.PostForm.Get(formToken)), []byte(v.session.formToken())) == 1
}

// render shows a page: templates/NAME.html in the layout, as Data of shown.
func (v *view) render(status int, template string, data any) error {
	body, err := v.p.templates.page(template, v.shown(data))
	if err != nil {
		return err
	}
	v.write(status, body)
	return nil
}

// renderPart shows a piece of a page alone, by the name of its template: for a
// script that puts it where it belongs.
func (v *view) renderPart(status int, part string, data any) error {
	body, err := v.p.templates.part(part, v.shown(data))
	if err != nil {
		return err
	}
	v.write(status, body)
	return nil
}

func (v *view) write(status int, body []byte) {
	v.begun = true
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(body) // who has gone needs no answer
	}
}

// done sends the browser to another page after something was done, with a
// notice of it: a word of p.notice, or "".
func (v *view) done(to, notice string) error {
	if notice != "" {
		if v.p.notices[notice] == "" {
			return errors.New("there is no notice " + notice)
		}
		at, err := url.Parse(within(to))
		if err != nil {
			return err
		}
		values := at.Query()
		values.Set("notice", notice)
		at.RawQuery = values.Encode()
		to = at.String()
	}
	v.redirect(within(to))
	return nil
}

// redirect sends the browser to an address within the page, to read it.
func (v *view) redirect(to string) {
	v.begun = true
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}

// fail shows an error.
func (v *view) fail(err error) {
	var p *admin.Problem
	switch {
	case errors.As(err, &p):
	case v.r.Context().Err() != nil && errors.Is(err, context.Canceled):
		return // who asked has gone
	case away(err):
		v.p.Logger.Warn("a page cannot be shown", "route", v.r.Pattern, "error", err)
		p = unavailable
		if v.posted() && v.who.Name != "" {
			p = uncertain
		}
	default:
		v.p.Logger.Error("a page failed", "route", v.r.Pattern, "error", err)
		p = mistake
	}
	if v.begun {
		panic(http.ErrAbortHandler)
	}
	v.showProblem(p)
}

// showProblem shows a problem as a page of its own.
func (v *view) showProblem(p *admin.Problem) {
	if after := p.Headers.Get("Retry-After"); after != "" {
		v.w.Header().Set("Retry-After", after)
	}
	page := newErrorPage(p)
	page.Again = v.onceMore(p)
	if err := v.render(p.Status, "error", page); err != nil {
		v.p.Logger.Error("the page of an error cannot be shown", "error", err)
		http.Error(v.w, p.Detail, p.Status)
	}
}

// onceMore offers to ask once more for what may work then, with all that was
// posted and the same keys: it is done once, however often it is asked for. nil
// where it would not help, or was not kept.
func (v *view) onceMore(p *admin.Problem) *confirmation {
	later := p.Status >= http.StatusInternalServerError || p.Reason == "busy"
	if !later || !v.posted() || len(v.r.PostForm) == 0 || v.r.MultipartForm != nil || v.r.URL.Path == signInPath {
		return nil
	}
	if v.session.cookie == "" {
		v.session.cookie = v.cookie() // its session could not be read: the form token is the same
	}
	return &confirmation{Action: within(v.r.URL.RequestURI()), Fields: posted(v.r.PostForm), Button: "Try again"}
}

// uncertain is what people are told where it is not known whether what they
// asked for was done.
var uncertain = &admin.Problem{
	Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable,
	Detail: "The store does not answer just now, so it is not known whether this was done.",
}

// unavailable is what people are told while the sessions cannot be read.
var unavailable = &admin.Problem{
	Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable,
	Detail: "The store does not answer just now. Nothing was changed: try again in a moment.",
}
