package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/inbound"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/report"
	"deflectd/campaigns/sender"
)

// Problem is what every error is answered with (RFC 9457).
type Problem struct {
	Title  string   `json:"title" doc:"The HTTP status in words."`
	Status int      `json:"status" doc:"The HTTP status."`
	Detail string   `json:"detail,omitempty" doc:"What went wrong, for people."`
	Reason string   `json:"reason,omitempty" doc:"What went wrong, for programs: why a text was refused (the words of docs/outcomes.md and docs/texts.md), or what must be confirmed. A word may be added; take one that you do not know as the status alone says."`
	Errors []Detail `json:"errors,omitempty" doc:"What is wrong with which part of the request."`
	// Campaigns are those that would stop, where that must be confirmed.
	Campaigns []string `json:"campaigns,omitempty" doc:"The campaigns it is about."`

	// Headers are those of the answer that say more of it, such as Retry-After.
	Headers http.Header `json:"-"`
}

// Detail is one thing that is wrong with a request, and where.
type Detail struct {
	Detail    string  `json:"detail" doc:"What would be right."`
	Pointer   *string `json:"pointer,omitempty" doc:"Where in the body: a JSON pointer (RFC 6901); empty for all of it."`
	Parameter string  `json:"parameter,omitempty" doc:"Which parameter of the query or the path."`
	Header    string  `json:"header,omitempty" doc:"Which header."`
}

const problemType = "application/problem+json"

func problem(status int, detail string, errs ...Detail) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Errors: errs}
}

// invalid is the answer to a request that was understood and is wrong.
func invalid(errs ...Detail) *Problem {
	return problem(http.StatusUnprocessableEntity, "the request is not valid", errs...)
}

func inBody(pointer, detail string) Detail { return Detail{Pointer: &pointer, Detail: detail} }

func inParameter(name string) func(string) Detail {
	return func(detail string) Detail { return Detail{Parameter: name, Detail: detail} }
}

func inHeader(name, detail string) Detail { return Detail{Header: name, Detail: detail} }

// with adds a header to the answer.
func (p *Problem) with(name, value string) *Problem {
	if p.Headers == nil {
		p.Headers = http.Header{}
	}
	p.Headers.Set(name, value)
	return p
}

// because gives the reason in one word.
func (p *Problem) because(reason string) *Problem {
	p.Reason = reason
	return p
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status of the answer.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are headers of the answer.
func (p *Problem) GetHeaders() http.Header { return p.Headers }

// ContentType is the media type of the answer.
func (p *Problem) ContentType(string) string { return problemType }

func (p *Problem) write(w http.ResponseWriter) {
	for name, values := range p.Headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// problemOf is the one place that says what an error means to a client. What
// it does not know is a fault of this program: logged, and hidden from the
// client.
func (s *server) problemOf(err error) *Problem {
	var known *Problem
	var wrong campaigns.Invalid
	var refused *guard.Refused
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &wrong):
		return invalidCampaign(wrong)
	case errors.As(err, &refused):
		return refusalOf(refused.Refusal, s.Guards.Countries())
	}
	if missing := missingOf(err); missing != "" {
		return problem(http.StatusNotFound, missing)
	}
	if p := problemOfSender(err); p != nil {
		return p
	}
	switch {
	case errors.Is(err, campaigns.ErrStale):
		return problem(http.StatusPreconditionFailed, "the campaign was changed meanwhile: read it again")
	case errors.Is(err, campaigns.ErrNewer):
		return problem(http.StatusConflict, "the campaign was written by a newer version of deflectd and has fields that this one would lose")
	case errors.Is(err, campaigns.ErrNotDeleted):
		return problem(http.StatusConflict, "the campaign is not deleted").because("not_deleted")
	case errors.Is(err, message.ErrServiceOff):
		return problem(http.StatusConflict, "sending is switched off for all campaigns (/v1/service)").because("service_off")
	case errors.Is(err, message.ErrNoSender):
		return problem(http.StatusConflict, "there is no sender: configure one, name one in the campaign, or obtain one (/v1/senders)").because(noSender)
	case errors.Is(err, message.ErrConflict), errors.Is(err, campaigns.ErrKeyUsed), errors.Is(err, sender.ErrConflict):
		return problem(http.StatusConflict, "the idempotency key was used for another request",
			inHeader(idempotencyKey, "take a new key for a new request"))
	case errors.Is(err, message.ErrCursor), errors.Is(err, report.ErrCursor), errors.Is(err, optout.ErrCursor):
		return noCursor()
	case away(err):
		s.Logger.Warn("a request cannot be answered", "error", err)
		return problem(http.StatusServiceUnavailable, "the store does not answer: try again").with("Retry-After", "2")
	}
	s.Logger.Error("a request failed", "error", err)
	return problem(http.StatusInternalServerError, "deflectd made a mistake: its log says which")
}

// missingOf says what an error found missing, "" where it is another one.
func missingOf(err error) string {
	switch {
	case errors.Is(err, campaigns.ErrNotFound):
		return "there is no such campaign"
	case errors.Is(err, campaigns.ErrNoRevision):
		return "there is no such version of the campaign, or no longer"
	case errors.Is(err, message.ErrNotFound):
		return "there is no such message, or no longer"
	case errors.Is(err, report.ErrNotFound):
		return "there is no such call, or no longer"
	case errors.Is(err, optout.ErrNotFound):
		return "the number has not opted out"
	case errors.Is(err, sender.ErrNotFound):
		return "there is no such sender, or it is not one that was obtained"
	}
	return ""
}

// refusals begin what Redis answers while it can do nothing, or cannot write,
// for a while: it starts, is a replica just now, is full, or its cluster is not
// whole. Any other error it answers is a fault of this program or of the setup.
var refusals = []string{"LOADING", "READONLY", "OOM", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"}

// away says whether an error means that Redis, or this daemon, cannot do it
// now: connection refused or lost, too slow, no connection free, stopping, or
// one of the refusals.
func away(err error) bool {
	var refused redis.Error
	if errors.As(err, &refused) {
		word, _, _ := strings.Cut(refused.Error(), " ")
		return slices.Contains(refusals, word)
	}
	var network net.Error
	return errors.Is(err, errNoDecisions) || errors.Is(err, message.ErrStore) || errors.Is(err, message.ErrClosed) ||
		errors.Is(err, optout.ErrStore) || errors.Is(err, guard.ErrStore) || errors.Is(err, sender.ErrStore) || errors.Is(err, inbound.ErrStore) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF) || errors.Is(err, redis.ErrClosed) || errors.Is(err, redis.ErrPoolTimeout) ||
		errors.As(err, &network)
}

func invalidCampaign(wrong campaigns.Invalid) *Problem {
	p := invalid()
	for _, w := range wrong {
		p.Errors = append(p.Errors, inBody(w.Pointer, w.Message))
	}
	return p
}

// taken names the campaign that has a number of this one already.
func taken(err *campaigns.TakenError, c *campaigns.Campaign) *Problem {
	p := problem(http.StatusConflict, err.DNIS+" is answered by campaign "+err.Campaign)
	for i, dnis := range c.DNIS {
		if dnis == err.DNIS {
			p.Errors = append(p.Errors, inBody(pointer("dnis", i), "is answered by campaign "+err.Campaign))
		}
	}
	return p
}

// init sets what huma keeps once for the whole process: how errors look, that
// names in JSON are compared exactly, and that a list is never null.
func init() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		p := problem(status, detail)
		if status == http.StatusUnprocessableEntity {
			p.Detail = "the request is not valid"
		}
		for _, err := range errs {
			p.Errors = append(p.Errors, detailOf(err))
		}
		return p
	}
}

// required is how huma says that something is missing, at the place where it
// is missing from.
var required = regexp.MustCompile(`^expected required property (\S+) to be present$`)

// detailOf takes over an error that huma found. The value it found there is
// left out: it is the client's own, and may be personal.
func detailOf(err error) Detail {
	var found *huma.ErrorDetail
	if !errors.As(err, &found) {
		return Detail{Detail: err.Error()}
	}
	place, rest, _ := strings.Cut(found.Location, ".")
	switch place {
	case "path", "query":
		return inParameter(rest)(teaching(found.Message))
	case "header":
		return inHeader(rest, teaching(found.Message))
	}
	where := bodyPointer(found.Location)
	if missing := required.FindStringSubmatch(found.Message); missing != nil {
		return inBody(where+pointer(missing[1]), "is needed")
	}
	return inBody(where, teaching(found.Message))
}

// isMissing says whether an error that huma found is that something is not there.
func isMissing(err error) bool {
	var found *huma.ErrorDetail
	return errors.As(err, &found) && required.MatchString(found.Message)
}

// invalidOf is what is wrong with a campaign, of an error that says so.
func invalidOf(err error) campaigns.Invalid {
	var wrong campaigns.Invalid
	if errors.As(err, &wrong) {
		return wrong
	}
	return campaigns.Invalid{{Message: err.Error()}}
}

// bodyPointer writes huma's "body.dnis[0]" as a JSON pointer.
func bodyPointer(location string) string {
	location = strings.TrimPrefix(location, "body")
	return strings.NewReplacer("~", "~0", "/", "~1", ".", "/", "[", "/", "]", "").Replace(location)
}
