package messagebird

import (
	"errors"
	"net/http"

	messagebird "github.com/messagebird/go-rest-api/v9"

	"deflectd/campaigns/message"
)

// rule is what an answer means for the text.
type rule struct {
	verdict message.Verdict
	reason  string
	healthy bool // the provider works: other texts may go through
}

// The one table of what MessageBird may answer: the error codes of its REST
// API, https://developers.messagebird.com/api/#api-errors.
//
// What only the operator can put right (a wrong key, an empty account, a wrong
// address) was not processed: the texts wait for it as long as they are valid,
// and meanwhile the provider counts as down.
var byCode = map[int]rule{
	2:   {message.NotProcessed, "access_key_refused", false}, // request not allowed
	9:   {message.Refused, "parameter_missing", true},        // missing params
	10:  {message.Refused, "parameter_invalid", true},        // invalid params
	20:  {message.Refused, "not_found", true},                // not found
	21:  {message.Refused, "bad_request", true},              // bad request
	25:  {message.NotProcessed, "no_balance", false},         // not enough balance
	98:  {message.NotProcessed, "api_not_found", false},      // API not found
	99:  {message.Ambiguous, "provider_error", false},        // internal error
	101: {message.Ambiguous, "duplicate_entry", true},        // duplicate entry: an earlier request may have been taken
	103: {message.Refused, message.ReasonOptedOut, true},     // the recipient opted out there: goes on the list of opt-outs
}

// byParameter says better what is wrong with a parameter (codes 9 and 10).
var byParameter = map[string]string{
	"originator": "originator_refused",
	"recipient":  "recipient_refused",
	"recipients": "recipient_refused",
	"body":       "text_refused",
}

// byStatus is for answers whose status says enough, and for those without a
// code that is known.
var byStatus = map[int]rule{
	http.StatusUnauthorized:       {message.NotProcessed, "access_key_refused", false},
	http.StatusPaymentRequired:    {message.NotProcessed, "no_balance", false},
	http.StatusForbidden:          {message.NotProcessed, "access_key_refused", false},
	http.StatusNotFound:           {message.NotProcessed, "api_not_found", false},
	http.StatusMethodNotAllowed:   {message.NotProcessed, "api_not_found", false},
	http.StatusRequestTimeout:     {message.NotProcessed, "request_incomplete", false}, // RFC 9110: no complete request arrived
	http.StatusTooManyRequests:    {message.NotProcessed, "rate_limited", true},
	http.StatusServiceUnavailable: {message.NotProcessed, "unavailable", false},
}

// What is left, by the kind of answer.
var (
	notSent    = rule{message.NotProcessed, "unreachable", false}
	noAnswer   = rule{message.Ambiguous, "no_answer", false}
	unreadable = rule{message.Ambiguous, "answer_unreadable", false}
	redirected = rule{message.NotProcessed, "api_not_found", false}
	rejected   = rule{message.Refused, "rejected", true}
	broken     = rule{message.Ambiguous, "provider_error", false}
)

// sendError gives an error of the client its verdict.
func sendError(err error) *message.SendError {
	var request *RequestError
	var status *StatusError
	switch {
	case errors.As(err, &status):
		r := ruleOf(status)
		return &message.SendError{Verdict: r.verdict, Reason: r.reason, Healthy: r.healthy, RetryAfter: status.RetryAfter, Err: err}
	case errors.As(err, &request) && !request.Written:
		return notSent.error(err)
	case errors.As(err, &request):
		return noAnswer.error(err)
	default:
		return unreadable.error(err)
	}
}

func (r rule) error(err error) *message.SendError {
	return &message.SendError{Verdict: r.verdict, Reason: r.reason, Healthy: r.healthy, Err: err}
}

// ruleOf finds the rule for an answer that is not "done".
func ruleOf(e *StatusError) rule {
	known, ok := byStatus[e.Status]
	switch {
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusServiceUnavailable, e.Status == http.StatusRequestTimeout:
		return known
	case e.Status >= 500:
		return broken
	case e.Status >= 400:
		if r, found := ruleOfCodes(e.Errors); found {
			return r
		}
		if ok {
			return known
		}
		return rejected
	case e.Status >= 300:
		return redirected
	default:
		return unreadable
	}
}

// ruleOfCodes finds the rule for the first code that is known.
func ruleOfCodes(list []messagebird.Error) (rule, bool) {
	for _, e := range list {
		r, ok := byCode[e.Code]
		if !ok {
			continue
		}
		if better, ok := byParameter[e.Parameter]; ok && (e.Code == 9 || e.Code == 10) {
			r.reason = better
		}
		return r, true
	}
	return rule{}, false
}
