package lab

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// numberPlans are the countries in which the stand-in lets numbers: ten
// thousand each, that begin like this and have four more digits. Those that end
// in 000 cannot text.
var numberPlans = map[string]string{
	"US": "1415555", "CA": "1604555", "NL": "3197010", "GB": "4477009", "DE": "4915555",
}

// numberStock is the stand-in's Numbers API, below /v1.
type numberStock struct {
	mu       sync.Mutex
	owned    map[string]stockNumber // by the account, by digits
	others   map[string]bool        // rented by others
	requests []NumberRequest
	next     []NumberBehaviour
}

type stockNumber struct {
	country string
	sms     bool
}

// NumberRequest is one request of the Numbers API that was to change something.
type NumberRequest struct {
	Method string
	Number string // without "+"
	Done   bool   // whatever was answered
	Status int    // what was answered; 0 for nothing
}

// NumberBehaviour is how one request of the Numbers API is answered.
type NumberBehaviour struct {
	// Method is the one it is for; "" is for whatever changes something.
	Method    string
	Before    func() // called first
	Status    int    // an HTTP error status
	Code      int    // MessageBird's code in the error
	Parameter string // what the error names
	Done      bool   // does what was asked for, and answers with the error
	HangUp    bool   // closes the connection in place of an answer
}

// NumbersURL is the base URL of the Numbers API, as in the configuration.
func (p *Provider) NumbersURL() string { return p.URL + "/v1" }

// OwnNumbers are the numbers that the account has, in E.164 and in order.
func (p *Provider) OwnNumbers() []string {
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	list := []string{}
	for _, digits := range slices.Sorted(maps.Keys(p.numbers.owned)) {
		list = append(list, "+"+digits)
	}
	return list
}

// GiveNumber gives the account a number, as if it had been rented on
// MessageBird's own page.
func (p *Provider) GiveNumber(e164, country string, sms bool) {
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	p.numbers.own(strings.TrimPrefix(e164, "+"), stockNumber{country, sms})
}

// TakeNumber has somebody else rent a number.
func (p *Provider) TakeNumber(e164 string) {
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	if p.numbers.others == nil {
		p.numbers.others = make(map[string]bool)
	}
	p.numbers.others[strings.TrimPrefix(e164, "+")] = true
}

// NumberRequests are the requests so far that were to change something.
func (p *Provider) NumberRequests() []NumberRequest {
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	return slices.Clone(p.numbers.requests)
}

// ThenNumbers says how the next requests of the Numbers API are answered, one
// each.
func (p *Provider) ThenNumbers(next ...NumberBehaviour) {
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	p.numbers.next = append(p.numbers.next, next...)
}

// mountNumbers adds the Numbers API to the stand-in.
func (p *Provider) mountNumbers(mux *http.ServeMux) {
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request, NumberBehaviour){
		"GET /v1/available-phone-numbers/{country}": p.searchNumbers,
		"GET /v1/phone-numbers":                     p.listNumbers,
		"POST /v1/phone-numbers":                    p.rentNumber,
		"DELETE /v1/phone-numbers/{number}":         p.returnNumber,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !p.allowed(w, r) {
				return
			}
			b := p.numbers.behaviour(r.Method)
			if b.Before != nil {
				b.Before()
			}
			handle(w, r, b)
		})
	}
}

// own needs the lock.
func (s *numberStock) own(digits string, n stockNumber) {
	if s.owned == nil {
		s.owned = make(map[string]stockNumber)
	}
	s.owned[digits] = n
}

// behaviour takes the next behaviour for a method.
func (s *numberStock) behaviour(method string) NumberBehaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.next {
		if b.Method == method || (b.Method == "" && method != http.MethodGet) {
			s.next = slices.Delete(s.next, i, i+1)
			return b
		}
	}
	return NumberBehaviour{}
}

// wrong answers as it was told to; false where it was told nothing.
func (b NumberBehaviour) wrong(w http.ResponseWriter) bool {
	if b.HangUp {
		panic(http.ErrAbortHandler)
	}
	if b.Status == 0 {
		return false
	}
	writeErrors(w, b.Status, b.Code, http.StatusText(b.Status), b.Parameter)
	return true
}

// does tells whether what was asked for is done.
func (b NumberBehaviour) does() bool { return b.Done || b.Status == 0 && !b.HangUp }

// answered notes a request. It needs the lock.
func (s *numberStock) answered(r *http.Request, digits string, b NumberBehaviour, done bool, status int) {
	switch {
	case b.HangUp:
		status = 0
	case b.Status != 0:
		status = b.Status
	}
	s.requests = append(s.requests, NumberRequest{Method: r.Method, Number: digits, Done: done, Status: status})
}

func (p *Provider) searchNumbers(w http.ResponseWriter, r *http.Request, b NumberBehaviour) {
	if b.wrong(w) {
		return
	}
	country, query := r.PathValue("country"), r.URL.Query()
	limit := numberOr(query.Get("limit"), 20)
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	items := []map[string]any{}
	for i := 0; i < 10_000 && len(items) < limit && numberPlans[country] != ""; i++ {
		digits := fmt.Sprintf("%s%04d", numberPlans[country], i)
		n := stockNumber{country, canText(digits)}
		_, ours := p.numbers.owned[digits]
		switch {
		case ours, p.numbers.others[digits], !hasFragment(digits, query.Get("number"), query.Get("search_pattern")):
		case slices.Contains(query["features"], "mms"), slices.Contains(query["features"], "sms") && !n.sms:
		default:
			items = append(items, n.json(digits))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": items, "limit": limit, "count": len(items)})
}

func (p *Provider) listNumbers(w http.ResponseWriter, r *http.Request, b NumberBehaviour) {
	if b.wrong(w) {
		return
	}
	limit, offset := numberOr(r.URL.Query().Get("limit"), 20), numberOr(r.URL.Query().Get("offset"), 0)
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	all := slices.Sorted(maps.Keys(p.numbers.owned))
	items := []map[string]any{}
	for _, digits := range all[min(offset, len(all)):min(offset+limit, len(all))] {
		items = append(items, p.numbers.owned[digits].json(digits))
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"offset": offset, "limit": limit, "count": len(items), "totalCount": len(all), "items": items,
	})
}

func (p *Provider) rentNumber(w http.ResponseWriter, r *http.Request, b NumberBehaviour) {
	var wanted struct {
		Number  string `json:"number"`
		Country string `json:"countryCode"`
		Months  int    `json:"billingIntervalMonths"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&wanted); err != nil || wanted.Months == 0 {
		writeErrors(w, http.StatusBadRequest, 9, "the body is not readable", "")
		return
	}
	n := stockNumber{wanted.Country, canText(wanted.Number)}
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	_, ours := p.numbers.owned[wanted.Number]
	plan := numberPlans[wanted.Country]
	free := plan != "" && strings.HasPrefix(wanted.Number, plan) && len(wanted.Number) == len(plan)+4 &&
		!ours && !p.numbers.others[wanted.Number]
	done, status := free && b.does(), http.StatusCreated
	if done {
		p.numbers.own(wanted.Number, n)
	}
	if !free {
		status = http.StatusUnprocessableEntity
	}
	p.numbers.answered(r, wanted.Number, b, done, status)
	switch {
	case b.wrong(w):
	case !free:
		writeErrors(w, status, 10, "number is not available", "number")
	default:
		writeJSON(w, status, n.json(wanted.Number))
	}
}

func (p *Provider) returnNumber(w http.ResponseWriter, r *http.Request, b NumberBehaviour) {
	digits := r.PathValue("number")
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	_, ours := p.numbers.owned[digits]
	done, status := ours && b.does(), http.StatusNoContent
	if done {
		delete(p.numbers.owned, digits)
	}
	if !ours {
		status = http.StatusNotFound
	}
	p.numbers.answered(r, digits, b, done, status)
	switch {
	case b.wrong(w):
	case !ours:
		writeErrors(w, status, 20, "number not found", "number")
	default:
		w.WriteHeader(status)
	}
}

func canText(digits string) bool { return !strings.HasSuffix(digits, "000") }

func hasFragment(digits, fragment, where string) bool {
	switch where {
	case "start":
		return strings.HasPrefix(digits, fragment)
	case "end":
		return strings.HasSuffix(digits, fragment)
	default:
		return strings.Contains(digits, fragment)
	}
}

func numberOr(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return n
	}
	return otherwise
}

// json is a number as MessageBird writes it.
func (n stockNumber) json(digits string) map[string]any {
	features := []string{"voice"}
	if n.sms {
		features = []string{"sms", "voice"}
	}
	return map[string]any{
		"number": digits, "country": n.country, "region": "", "locality": "", "features": features, "tags": []string{},
		"type": "mobile", "status": "active", "verificationRequired": false, "initialContractDuration": 1,
		"monthlyPrice": 1.5, "currency": "EUR",
	}
}
