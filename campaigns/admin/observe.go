package admin

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// answer remembers what was answered.
type answer struct {
	http.ResponseWriter
	status  int
	pattern string // of the route
	token   string // the name of the token, if any
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// methods bounds the label: a client can make up any method.
var methods = map[string]bool{
	http.MethodGet: true, http.MethodHead: true, http.MethodPost: true, http.MethodPut: true,
	http.MethodPatch: true, http.MethodDelete: true, http.MethodOptions: true,
}

// observe counts and logs requests, and answers for those that panic. The log
// has the route and never the address, in which there may be a number.
func (s *server) observe(next http.Handler) http.Handler {
	requests := promauto.With(s.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name:        "deflectd_http_requests_total",
		Help:        "HTTP requests that were answered, by method and status.",
		ConstLabels: prometheus.Labels{"listener": "admin"},
	}, []string{"method", "code"})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		a := &answer{ResponseWriter: w}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			fault := recover()
			if fault != nil {
				s.panicked(a, r, fault)
			}
			if a.pattern == "" {
				a.pattern = r.Pattern // the page's own mux has set it
			}
			method := r.Method
			if !methods[method] {
				method = "other"
			}
			requests.WithLabelValues(method, strconv.Itoa(a.status)).Inc()
			s.Logger.Debug("request", "method", method, "route", a.pattern, "status", a.status,
				"token", a.token, "took", time.Since(began))
			if fault != nil && a.status != http.StatusInternalServerError || aborted(fault) {
				panic(http.ErrAbortHandler) // half an answer is out: the connection ends
			}
		}()
		next.ServeHTTP(a, r)
	})
}

// panicked logs where it happened. What was thrown is shown only where it is
// the runtime's own: anything else may hold what somebody sent.
func (s *server) panicked(a *answer, r *http.Request, fault any) {
	if aborted(fault) {
		return
	}
	shown := fmt.Sprintf("%T", fault)
	if err, ok := fault.(runtime.Error); ok {
		shown = err.Error()
	}
	s.Logger.Error("a request made deflectd panic", "method", r.Method, "route", a.pattern,
		"panic", shown, "stack", string(debug.Stack()))
	if a.status == 0 {
		problem(http.StatusInternalServerError, "deflectd made a mistake: its log says which").write(a)
	}
}

// aborted says whether a handler gave its answer up on purpose.
func aborted(fault any) bool {
	err, ok := fault.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// route serves what the mux knows and makes problems of the rest: unknown
// paths and methods.
func route(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if a, ok := w.(*answer); ok {
			a.pattern = pattern
		}
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		refusal := &refusal{header: http.Header{}}
		h.ServeHTTP(refusal, r)
		switch refusal.status {
		case http.StatusNotFound:
			problem(http.StatusNotFound, "there is nothing at this address").write(w)
		case http.StatusMethodNotAllowed:
			problem(http.StatusMethodNotAllowed, "this address does not know the method").
				with("Allow", refusal.header.Get("Allow")).write(w)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// refusal takes what the mux answers by itself.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) Write(p []byte) (int, error) { return len(p), nil }
func (r *refusal) WriteHeader(status int)      { r.status = status }
