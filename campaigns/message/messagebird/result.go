package messagebird

import "net/http"

// result is what became of a request to a webhook, as it is counted.
type result string

// The results. Those of a request that was not taken for good have a status of
// their own; every other is answered 200.
const (
	taken          result = "taken"
	unknownStatus  result = "unknown_status"
	unknownMessage result = "unknown_message"
	notUnderstood  result = "not_understood" // genuine, but nobody could say what it means
	badToken       result = "bad_token"      // neither signed nor with the right token
	unsigned       result = "unsigned"       // with the right token, where that does not do
	badSignature   result = "bad_signature"  // signed, but not as it should be
	repeated       result = "repeated"       // signed as it should be, and taken before
	tooLong        result = "too_long"       // the query
	tooLarge       result = "too_large"      // the body
	cutShort       result = "cut_short"      // the body did not arrive whole
	inFlight       result = "in_flight"      // another request with this signature is being taken
	noSecret       result = "no_secret"      // the service secret is not known yet
	storeDown      result = "store_down"
)

// statuses are the answers other than 200.
var statuses = map[result]int{
	badToken:     http.StatusUnauthorized,
	unsigned:     http.StatusUnauthorized,
	badSignature: http.StatusUnauthorized,
	repeated:     http.StatusUnauthorized,
	tooLong:      http.StatusRequestURITooLong,
	tooLarge:     http.StatusRequestEntityTooLarge,
	cutShort:     http.StatusBadRequest,
	inFlight:     http.StatusServiceUnavailable,
	noSecret:     http.StatusServiceUnavailable,
	storeDown:    http.StatusServiceUnavailable,
}

// status is the HTTP status a request with this result is answered with.
func (r result) status() int {
	if status, ok := statuses[r]; ok {
		return status
	}
	return http.StatusOK
}
