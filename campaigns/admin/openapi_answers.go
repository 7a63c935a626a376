package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// document is the API's description: OpenAPI 3.1 as JSON, the same bytes for
// the same API. It changes api.
func document(api huma.API) []byte {
	described := api.OpenAPI()
	described.Components.Responses = map[string]*huma.Response{}
	for _, item := range described.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op != nil {
				describe(op, described.Components.Responses)
			}
		}
	}
	raw, err := json.Marshal(described)
	if err != nil {
		panic("the API has no description: " + err.Error()) // of our own types alone
	}
	var out bytes.Buffer
	_ = json.Indent(&out, raw, "", "  ")
	out.WriteByte('\n')
	return out.Bytes()
}

// errorAnswer is how an error is described that many operations answer.
type errorAnswer struct {
	name        string // among the components
	description string
	header      string // "" for none
	says        string // what is in the header
}

// errorAnswers are all errors by their status. A conflict with a time to wait is
// another one, see conflictInTime.
var errorAnswers = map[int]errorAnswer{
	http.StatusBadRequest:            {"BadRequest", "The request cannot be read: its query, or a body that is no JSON.", "", ""},
	http.StatusUnauthorized:          {"Unauthorized", "There is no token, or it is not known.", "WWW-Authenticate", "How to sign in (RFC 6750)."},
	http.StatusForbidden:             {"Forbidden", "The role of the token does not allow it (reason role).", "", ""},
	http.StatusNotFound:              {"NotFound", "It is not there, or no longer.", "", ""},
	http.StatusConflict:              {"Conflict", "It does not go together with what is there.", "", ""},
	http.StatusPreconditionFailed:    {"PreconditionFailed", "It was changed meanwhile: read it again.", "ETag", "The version that is there now."},
	http.StatusRequestEntityTooLarge: {"TooLarge", "The body is too large.", "", ""},
	http.StatusUnsupportedMediaType:  {"UnsupportedMediaType", "The body has another type than the operation takes.", "", ""},
	http.StatusUnprocessableEntity:   {"Invalid", "The request can be read, and is wrong: errors says where and what would be right.", "", ""},
	http.StatusPreconditionRequired:  {"PreconditionRequired", "If-Match is needed.", "", ""},
	http.StatusTooManyRequests:       {"TooManyAttempts", "So many wrong tokens came from the address that no more are looked at for a while.", "Retry-After", "When the next token is looked at, in seconds."},
	http.StatusInternalServerError:   {"Mistake", "deflectd made a mistake: its log says which.", "", ""},
	http.StatusBadGateway:            {"ProviderAway", "The provider does not answer as it should.", "Retry-After", "When to try again, in seconds."},
	http.StatusServiceUnavailable:    {"StoreAway", "It cannot be done just now: the store does not answer.", "Retry-After", "When to try again, in seconds."},
}

// conflictInTime is a conflict that time may end.
var conflictInTime = errorAnswer{
	"ConflictInTime", "It cannot be done as things are, see reason; it may be possible later.",
	"Retry-After", "When it may be possible, in seconds, where that is known.",
}

// describe adds the errors that every request with a body may be answered with,
// and describes each error once for all operations.
func describe(op *huma.Operation, shared map[string]*huma.Response) {
	if op.RequestBody != nil {
		for _, code := range []int{http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType} {
			like := *op.Responses["400"]
			op.Responses[strconv.Itoa(code)] = &like
		}
	}
	for status, response := range op.Responses {
		code, err := strconv.Atoi(status)
		if err != nil || code < http.StatusBadRequest {
			continue
		}
		a, known := errorAnswers[code]
		if !known {
			panic("no word for status " + status)
		}
		if code == http.StatusConflict && (slices.Contains(op.Tags, "messages") || slices.Contains(op.Tags, "senders")) {
			a = conflictInTime
		}
		if shared[a.name] == nil {
			response.Description = a.description
			if a.header != "" {
				response.Headers = map[string]*huma.Param{a.header: {Description: a.says, Schema: &huma.Schema{Type: huma.TypeString}}}
			}
			shared[a.name] = response
		}
		op.Responses[status] = &huma.Response{Ref: "#/components/responses/" + a.name}
	}
}
