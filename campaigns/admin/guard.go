package admin

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const (
	maxBody   = 256 << 10
	bodyWait  = 10 * time.Second
	jsonType  = "application/json"
	patchType = "application/merge-patch+json" // RFC 7396
)

// guard refuses what huma would let pass and nobody would look at: a query
// that is not one, a parameter twice or without a value, a body where none
// belongs, of another type than the operation takes, or with a meaning that
// depends on who reads it.
func (s *server) guard(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if p := checkQuery(r.URL.RawQuery); p != nil {
		p.write(w)
		return
	}
	if p := checkBody(w, r, ctx.Operation().RequestBody); p != nil {
		p.write(w)
		return
	}
	next(ctx)
}

func checkQuery(raw string) *Problem {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return problem(http.StatusBadRequest, "the query is not valid: "+err.Error())
	}
	p := problem(http.StatusBadRequest, "the query is not valid")
	for name, values := range query {
		where := inParameter(name)
		if len(values) > 1 {
			p.Errors = append(p.Errors, where("is there more than once"))
		} else if values[0] == "" {
			p.Errors = append(p.Errors, where("is empty: leave it out"))
		}
	}
	if p.Errors == nil {
		return nil
	}
	return p
}

func checkBody(w http.ResponseWriter, r *http.Request, wanted *huma.RequestBody) *Problem {
	if wanted == nil {
		if r.ContentLength != 0 {
			return problem(http.StatusBadRequest, "this request takes no body")
		}
		return nil
	}
	media, p := checkType(r.Header, wanted)
	if p != nil {
		return p
	}
	// Some writers cannot have a deadline; the server's own then holds.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWait))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return problem(http.StatusRequestEntityTooLarge, "the body has more than 256 kB")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem(http.StatusRequestTimeout, "the body did not arrive in time")
	case err != nil:
		return problem(http.StatusBadRequest, "the body did not arrive")
	case len(body) == 0:
		return problem(http.StatusBadRequest, "the body is empty")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return checkJSON(body, media == patchType)
}

// checkType answers the media type of the body, which must be one that the
// operation takes, in plain UTF-8.
func checkType(h http.Header, wanted *huma.RequestBody) (string, *Problem) {
	var types []string
	for t := range wanted.Content {
		types = append(types, t)
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := params["charset"]
	if err == nil && wanted.Content[media] != nil && (charset == "" || strings.EqualFold(charset, "utf-8")) &&
		h.Get("Content-Encoding") == "" {
		return media, nil
	}
	accepted := strings.Join(types, ", ")
	p := problem(http.StatusUnsupportedMediaType, "the body must be "+accepted+", in UTF-8 and not compressed",
		inHeader("Content-Type", "must be "+accepted))
	if wanted.Content[patchType] != nil {
		p = p.with("Accept-Patch", accepted) // RFC 5789, section 3.1
	}
	return "", p
}
