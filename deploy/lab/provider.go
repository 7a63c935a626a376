package lab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Provider is a stand-in for the REST API of MessageBird: it takes texts at
// POST /messages, answers as MessageBird does or as it is told to, remembers
// everything, and sends delivery reports, on demand or by itself.
type Provider struct {
	URL       string // base URL, as in the configuration
	AccessKey string // what Authorization must carry

	addr   string
	held   *ports
	server *http.Server
	wg     sync.WaitGroup
	stop   chan struct{} // closed by Stop: hanging requests end

	numbers numberStock

	mu       sync.Mutex
	steady   Behaviour
	next     []Behaviour
	choose   func(TextRequest) Behaviour // instead of steady, where there is one
	requests []TextRequest
	changed  chan struct{} // closed and made anew with every request

	reporting reporting
}

// TextRequest is one request for a text, with all its fields.
type TextRequest struct {
	At         time.Time `json:"-"`
	Status     int       `json:"-"` // what was answered; 0 if nothing was
	ID         string    `json:"-"` // its id, where it was taken; only a 201 tells it
	Taken      bool      `json:"-"` // it will be sent, whatever was answered
	Originator string    `json:"originator"`
	Body       string    `json:"body"`
	Recipients []string  `json:"recipients"`
	Type       string    `json:"type"`
	Reference  string    `json:"reference"`
	Validity   int       `json:"validity"` // seconds
	Gateway    int       `json:"gateway"`
	DataCoding string    `json:"datacoding"`
	MClass     int       `json:"mclass"`
	ReportURL  string    `json:"reportUrl"`
	Scheduled  string    `json:"scheduledDatetime"`
}

// StartProvider listens on a free port. End it with Stop.
func StartProvider() (p *Provider, err error) {
	// Between finding a port free and opening it, a stranger may take it.
	for range 5 {
		if p, err = openProvider(); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return p, err
}

func openProvider() (*Provider, error) {
	held, err := takePorts(1)
	if err != nil {
		return nil, fmt.Errorf("start the provider: %w", err)
	}
	addr := "127.0.0.1:" + strconv.Itoa(held.first)
	p := &Provider{
		URL: "http://" + addr, AccessKey: rand.Text(),
		addr: addr, held: held, stop: make(chan struct{}), changed: make(chan struct{}),
	}
	if err := p.Accept(); err != nil {
		held.release()
		return nil, err
	}
	return p, nil
}

// Stop ends it, with whatever hangs in it, and gives its port back.
func (p *Provider) Stop() error {
	p.mu.Lock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.mu.Unlock()
	p.reporting.end()
	err := p.Refuse()
	p.held.release()
	return err
}

// Refuse closes the port: connections are refused until Accept.
func (p *Provider) Refuse() error {
	p.mu.Lock()
	server := p.server
	p.server = nil
	p.mu.Unlock()
	if server == nil {
		return nil
	}
	err := server.Close()
	p.wg.Wait()
	if err != nil {
		return fmt.Errorf("close the provider: %w", err)
	}
	return nil
}

// Accept opens the port again after Refuse.
func (p *Provider) Accept() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		return fmt.Errorf("open the provider: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /messages", p.take)
	mux.HandleFunc("GET /balance", p.balance)
	p.mountNumbers(mux)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	p.server = server
	p.wg.Go(func() { _ = server.Serve(listener) })
	return nil
}

// Behave says how every request is answered from now on.
func (p *Provider) Behave(b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steady, p.next, p.choose = b, nil, nil
}

// Choose has each request from now on answered as the function says, which is
// asked for one at a time.
func (p *Provider) Choose(behaviour func(TextRequest) Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.choose = nil, behaviour
}

// Then says how the next requests are answered, one each; those after them are
// answered as Behave said.
func (p *Provider) Then(next ...Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = append(p.next, next...)
}

// Requests returns every request so far, whatever was answered.
func (p *Provider) Requests() []TextRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Texts returns the requests so far that were answered with 201.
func (p *Provider) Texts() []TextRequest {
	return slices.DeleteFunc(p.Requests(), func(r TextRequest) bool { return r.Status != http.StatusCreated })
}

// AwaitTexts waits until n texts were taken (answered with 201), and returns
// all of them.
func (p *Provider) AwaitTexts(ctx context.Context, n int) ([]TextRequest, error) {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		texts := p.Texts()
		if len(texts) >= n {
			return texts, nil
		}
		select {
		case <-ctx.Done():
			return texts, fmt.Errorf("await %d texts, there are %d: %w", n, len(texts), ctx.Err())
		case <-changed:
		}
	}
}

func (p *Provider) balance(w http.ResponseWriter, r *http.Request) {
	if !p.allowed(w, r) {
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"payment": "prepaid", "type": "euros", "amount": 103.25})
}

func (p *Provider) allowed(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Authorization") == "AccessKey "+p.AccessKey {
		return true
	}
	writeErrors(w, http.StatusUnauthorized, 2, "Request not allowed (incorrect access_key)", "access_key")
	return false
}

func (p *Provider) take(w http.ResponseWriter, r *http.Request) {
	if !p.allowed(w, r) {
		return
	}
	var text TextRequest
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(body, &text)
	}
	if err != nil {
		writeErrors(w, http.StatusBadRequest, 9, "the body is not readable: "+err.Error(), "")
		return
	}
	b := p.behaviour(text)
	text.At, text.Status, text.Taken = time.Now(), b.Status, b.Takes
	stayed := p.wait(r, b)
	switch {
	case b.Silent || b.HangUp || !stayed:
		text.Status = 0
	case b.Status == 0:
		text.Status, text.Taken = http.StatusCreated, true
	}
	if text.Taken {
		text.ID = strings.ToLower(rand.Text() + rand.Text())[:32]
	}
	p.record(text)
	p.answer(w, r, b, text)
}

// wait waits as the behaviour says; it returns false if the client or the
// provider went away in the meantime.
func (p *Provider) wait(r *http.Request, b Behaviour) bool {
	if b.Delay == 0 {
		return true
	}
	timer := time.NewTimer(b.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-p.stop:
	}
	return false
}

func (p *Provider) behaviour(text TextRequest) Behaviour {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.next) > 0:
		b := p.next[0]
		p.next = p.next[1:]
		return b
	case p.choose != nil:
		return p.choose(text)
	default:
		return p.steady
	}
}

func (p *Provider) record(text TextRequest) {
	p.mu.Lock()
	p.requests = append(p.requests, text)
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	if text.Taken {
		p.reporting.begin(text)
	}
}

func (p *Provider) answer(w http.ResponseWriter, r *http.Request, b Behaviour, text TextRequest) {
	switch {
	case b.Silent:
		select {
		case <-r.Context().Done():
		case <-p.stop:
		}
		panic(http.ErrAbortHandler) // closes the connection without an answer
	case b.HangUp || text.Status == 0:
		panic(http.ErrAbortHandler)
	case text.Status == http.StatusCreated:
		writeJSON(w, http.StatusCreated, created(p.URL, text))
	default:
		if b.RetryAfter != "" {
			w.Header().Set("Retry-After", b.RetryAfter)
		}
		if b.Body != "" {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(b.Status)
			_, _ = io.WriteString(w, b.Body)
			return
		}
		writeErrors(w, b.Status, b.Code, b.Description, b.Parameter)
	}
}

// created is the answer of MessageBird to a text it took.
func created(base string, text TextRequest) map[string]any {
	items := make([]map[string]any, 0, len(text.Recipients))
	for _, recipient := range text.Recipients {
		number, err := strconv.ParseInt(strings.TrimPrefix(recipient, "+"), 10, 64)
		if err != nil {
			number = 0
		}
		items = append(items, map[string]any{
			"recipient": number, "status": "sent", "statusDatetime": text.At.UTC().Format(time.RFC3339),
			"messagePartCount": 1,
		})
	}
	return map[string]any{
		"id": text.ID, "href": base + "/messages/" + text.ID, "direction": "mt", "type": "sms",
		"originator": text.Originator, "body": text.Body, "reference": text.Reference, "reportUrl": text.ReportURL,
		"validity": text.Validity, "gateway": 10, "typeDetails": map[string]any{}, "datacoding": text.DataCoding,
		"mclass": 1, "scheduledDatetime": nil, "createdDatetime": text.At.UTC().Format(time.RFC3339),
		"recipients": map[string]any{
			"totalCount": len(items), "totalSentCount": len(items), "totalDeliveredCount": 0,
			"totalDeliveryFailedCount": 0, "items": items,
		},
	}
}

func writeErrors(w http.ResponseWriter, status, code int, description, parameter string) {
	writeJSON(w, status, map[string]any{"errors": []map[string]any{
		{"code": code, "description": description, "parameter": parameter},
	}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, errors.Join(errors.New("write the answer"), err).Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}
