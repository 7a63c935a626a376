package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// errInside says that an operation ended before it had answered.
var errInside = errors.New("the API ended before it had answered")

// As is the API within this process for somebody who is signed in already: a
// client with this transport asks it like any other, without a token and
// without a connection. Scheme and host of the addresses do not matter.
//
// An answer is read while it is made, so its body must be closed.
func (s *Server) As(who Identity) http.RoundTripper { return &inside{s, who} }

type inside struct {
	*Server
	who Identity
}

type insideKey struct{}

// cameInside marks what is asked from within this process: by the page.
func cameInside(ctx context.Context) context.Context {
	return context.WithValue(ctx, insideKey{}, true)
}

// fromInside says whether something is asked by the page.
func fromInside(ctx context.Context) bool { return ctx.Value(insideKey{}) != nil }

// RoundTrip implements http.RoundTripper.
func (i *inside) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.Clone(cameInside(identified(r.Context(), i.who)))
	if asked.Body == nil {
		asked.Body = http.NoBody
	}
	if asked.ContentLength == 0 && asked.Body != http.NoBody {
		asked.ContentLength = -1 // to a client 0 means that it is not known, to a server that there is none
	}
	asked.RequestURI = r.URL.RequestURI()
	body, out := io.Pipe()
	w := &insideAnswer{header: http.Header{}, body: out, begun: make(chan struct{})}
	go func() {
		defer func() { _ = asked.Body.Close() }()
		w.end(i.serve(w, asked))
	}()
	select {
	case <-w.begun:
	case <-r.Context().Done():
		_ = body.CloseWithError(r.Context().Err()) // what is still written goes nowhere
		return nil, r.Context().Err()
	}
	if w.status == 0 {
		return nil, errInside
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status, Header: w.sent, Body: body, ContentLength: -1,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}, nil
}

// serve answers a request; the error says that the answer is not whole.
func (i *inside) serve(w http.ResponseWriter, r *http.Request) (failed error) {
	a := &answer{ResponseWriter: w, token: i.who.Name}
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		i.in.panicked(a, r, fault)
		if a.status != http.StatusInternalServerError {
			failed = errInside // half an answer is out
		}
	}()
	i.inner.ServeHTTP(a, r)
	return nil
}

// insideAnswer writes into the body of a response.
type insideAnswer struct {
	header http.Header
	body   *io.PipeWriter

	once   sync.Once
	begun  chan struct{} // closed when status and sent are known
	status int           // 0: it ended without an answer
	sent   http.Header
}

// Header implements http.ResponseWriter.
func (w *insideAnswer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *insideAnswer) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

// Write implements http.ResponseWriter.
func (w *insideAnswer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// end ends the answer; an error says that it is not whole.
func (w *insideAnswer) end(err error) {
	if err == nil {
		w.WriteHeader(http.StatusOK)
	}
	w.once.Do(func() { close(w.begun) })
	_ = w.body.CloseWithError(err) // nil: io.EOF
}
