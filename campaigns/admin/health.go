package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Status says whether calls can be taken.
type Status string

// The three states of health.
const (
	Ready    Status = "ready"
	Degraded Status = "degraded"  // calls are taken, but a part is away
	NotReady Status = "not ready" // no call can be taken
)

// Health is how the daemon is, and why it is not better.
type Health struct {
	Status  Status   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
}

// healthWait bounds how long /readyz takes.
const healthWait = 2 * time.Second

// alive answers as long as the process does.
func (s *server) alive(w http.ResponseWriter, _ *http.Request) {
	writeHealth(w, http.StatusOK, Health{Status: "alive"})
}

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), healthWait)
	defer cancel()
	h := s.Health(ctx)
	code := http.StatusOK
	if h.Status != Ready && h.Status != Degraded {
		code = http.StatusServiceUnavailable
	}
	writeHealth(w, code, h)
}

func writeHealth(w http.ResponseWriter, code int, h Health) {
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(h)
}
