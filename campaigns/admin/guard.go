package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	jsonType  = "application/json"
	patchType = "application/merge-patch+json" // RFC 7396
	csvType   = "text/csv"                     // RFC 4180

	maxBody  = 256 << 10
	maxList  = 10 << 20 // a list as CSV
	bodyWait = 10 * time.Second
	// longWait is how long a list may take to arrive, or to be taken away, with
	// the work on it; and what is asked of the provider.
	longWait = 2 * time.Minute
)

// What marks operations (huma.Operation.Metadata).
const (
	role      = "role"      // the Role it needs at least
	long      = "long"      // it may take longWait
	storeless = "storeless" // it does not ask Redis
)

// needing are the Metadata of an operation: the role it needs, and its marks.
func needing(r Role, marks ...string) map[string]any {
	all := map[string]any{role: r}
	for _, m := range marks {
		all[m] = true
	}
	return all
}

// roleOf is the role that an operation needs.
func roleOf(op *huma.Operation) Role {
	r, ok := op.Metadata[role].(Role)
	if !ok {
		panic(op.OperationID + " does not say which role it needs")
	}
	return r
}

// guard refuses those whose role does not allow the operation, and what huma
// would let pass and nobody would look at: a query
// that is not one, a parameter twice or without a value, a body where none
// belongs, of another type than the operation takes, or with a meaning that
// depends on who reads it.
func (s *server) guard(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	if p := needs(identity(r.Context()), roleOf(ctx.Operation())); p != nil {
		p.write(w)
		return
	}
	if p := checkQuery(r.URL.RawQuery); p != nil {
		p.write(w)
		return
	}
	if p := checkBody(w, r, ctx.Operation().RequestBody); p != nil {
		p.write(w)
		return
	}
	wait := s.Timeout
	if ctx.Operation().Metadata[long] != nil {
		wait = longWait
		// The server's own deadlines are for short answers. Some writers cannot
		// have one; the server's then holds.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longWait + bodyWait))
	}
	bounded, cancel := context.WithTimeout(ctx.Context(), wait)
	defer cancel()
	next(huma.WithContext(ctx, bounded))
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
	switch {
	case wanted == nil && r.ContentLength != 0:
		return problem(http.StatusBadRequest, "this request takes no body")
	case wanted == nil, !wanted.Required && r.ContentLength == 0:
		return nil
	}
	media, p := checkType(r.Header, wanted)
	if p != nil {
		return p
	}
	if media == csvType {
		return streamed(w, r)
	}
	r.Body = newArrival(w, r.Body, maxBody, bodyWait)
	body, err := io.ReadAll(r.Body)
	switch {
	case errors.As(err, &p):
		return p
	case len(body) == 0 && wanted.Required:
		return problem(http.StatusBadRequest, "the body is empty")
	case len(body) == 0:
		r.Body = http.NoBody
		return nil
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return checkJSON(body, media == patchType)
}

// streamed lets the work begin while a list still arrives.
func streamed(w http.ResponseWriter, r *http.Request) *Problem {
	switch {
	case r.ContentLength == 0:
		return problem(http.StatusBadRequest, "the body is empty")
	case r.ContentLength > maxList:
		return tooLarge(maxList)
	}
	r.Body = newArrival(w, r.Body, maxList, longWait)
	return nil
}

// arrival is a body that is read while it arrives. Its errors are Problems.
type arrival struct {
	io.ReadCloser
}

// newArrival bounds how much of a body is read, and for how long.
func newArrival(w http.ResponseWriter, body io.ReadCloser, limit int64, wait time.Duration) *arrival {
	// Some writers cannot have a deadline; the server's own then holds.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(wait))
	return &arrival{http.MaxBytesReader(w, body, limit)}
}

// Read implements io.Reader.
func (a *arrival) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	var large *http.MaxBytesError
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	case errors.As(err, &large):
		return n, tooLarge(large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, problem(http.StatusRequestTimeout, "the body did not arrive in time")
	}
	return n, problem(http.StatusBadRequest, "the body did not arrive")
}

func tooLarge(limit int64) *Problem {
	if limit >= 1<<20 {
		return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d MB", limit>>20))
	}
	return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d kB", limit>>10))
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
