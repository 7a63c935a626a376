package admin

import (
	"bufio"
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// download is an answer that writes itself: JSON, or a file while it is made.
type download struct {
	Body func(huma.Context)
}

// jsonDownload answers with JSON.
func jsonDownload(v any) *download {
	return &download{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", jsonType)
		_ = encode(ctx.BodyWriter(), v)
	}}
}

// firstPart is how much of a file is made before anything of it is answered:
// what fails at once is answered as a problem.
const firstPart = 64 << 10

// csvDownload answers with a file that is written while it is made. Where that
// fails half way the connection ends, so that nobody takes a part for the whole.
func (s *server) csvDownload(ctx context.Context, name string, write func(context.Context, io.Writer) error) *download {
	return &download{Body: func(hctx huma.Context) {
		_, w := humago.Unwrap(hctx)
		out := &lateWriter{w: w, name: name}
		buffer := bufio.NewWriterSize(out, firstPart)
		err := write(ctx, buffer)
		switch {
		case err == nil:
			_ = buffer.Flush() // the client may have gone
			out.begin()
		case out.begun:
			s.Logger.Warn("a list could not be sent to its end", "error", err)
			panic(http.ErrAbortHandler)
		default:
			s.problemOf(err).write(w)
		}
	}}
}

// lateWriter writes the head of an answer with the first part of its body.
type lateWriter struct {
	w     http.ResponseWriter
	name  string
	begun bool
}

func (l *lateWriter) begin() {
	if l.begun {
		return
	}
	l.begun = true
	l.w.Header().Set("Content-Type", csvType+"; charset=utf-8")
	l.w.Header().Set("Content-Disposition", `attachment; filename="`+l.name+`"`)
	l.w.WriteHeader(http.StatusOK)
}

// Write implements io.Writer.
func (l *lateWriter) Write(p []byte) (int, error) {
	l.begin()
	return l.w.Write(p)
}
