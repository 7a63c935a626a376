package sender

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Numbers is a provider that lets numbers.
//
// Its errors are ErrUnavailable, ErrNotAllowed and ErrProvider, wrapped; where
// Obtain or Release may have been done all the same, ErrUncertain as well. Any
// other error is taken for uncertain.
type Numbers interface {
	// Search finds numbers that can be obtained. The query is valid.
	Search(ctx context.Context, q Query) ([]Available, error)
	// Obtain rents one, in E.164, of a country (ISO 3166-1 alpha-2).
	Obtain(ctx context.Context, number, country string) (Available, error)
	// Release gives one back. It is no error if the account does not own it.
	Release(ctx context.Context, number string) error
	// Owned are all the numbers that the account has.
	Owned(ctx context.Context) ([]Available, error)
}

// Where a pattern has to match.
const (
	MatchStart    = "start"
	MatchEnd      = "end"
	MatchAnywhere = "anywhere"
)

// How many numbers a search gives.
const (
	defaultLimit = 20
	maxLimit     = 100
)

// Query selects numbers that can be obtained.
type Query struct {
	Country  string   // ISO 3166-1 alpha-2; needed
	Area     string   // digits that the national number begins with, such as "415"; not together with Pattern
	Pattern  string   // digits that are in the number, country code included
	Match    string   // where Pattern has to be: start, end or anywhere; anywhere when empty
	Features []string // what it must be able to do, besides sms: voice, mms
	Limit    int      // at most 100; 20 when zero
}

// Available is a number that can be obtained, or that the account has.
type Available struct {
	Number   string   `json:"number" doc:"The number in E.164."`
	Country  string   `json:"country" doc:"Its country (ISO 3166-1 alpha-2)."`
	Region   string   `json:"region,omitempty" doc:"The part of the country it belongs to."`
	Locality string   `json:"locality,omitempty" doc:"The place it belongs to."`
	Features []string `json:"features" doc:"What it can do: sms, voice, mms."`
	Type     string   `json:"type,omitempty" doc:"landline, mobile, toll_free or premium_rate."`
	Price    float64  `json:"monthly_price,omitempty" doc:"What it costs a month."`
	Currency string   `json:"currency,omitempty" doc:"The currency of the price (ISO 4217)."`
	Months   int      `json:"contract_months,omitempty" doc:"For how many months it is obtained at least."`
}

// texts tells whether texts can come from it.
func (a Available) texts() bool { return slices.Contains(a.Features, FeatureSMS) }

var (
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	digitsForm  = regexp.MustCompile(`^[0-9]{0,15}$`)
	numberForm  = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`) // ITU-T E.164
)

// checked is the query with its defaults. The error is ErrQuery.
func (q Query) checked() (Query, error) {
	q.Country = strings.ToUpper(q.Country)
	q.Features = slices.Clone(q.Features)
	if !slices.Contains(q.Features, FeatureSMS) {
		q.Features = append(q.Features, FeatureSMS)
	}
	if q.Match == "" {
		q.Match = MatchAnywhere
	}
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	switch {
	case !countryForm.MatchString(q.Country):
		return q, fmt.Errorf("%w: country must be two letters (ISO 3166-1), such as US", ErrQuery)
	case !digitsForm.MatchString(q.Area):
		return q, fmt.Errorf("%w: area must be the first digits of the national number, such as 415", ErrQuery)
	case !digitsForm.MatchString(q.Pattern):
		return q, fmt.Errorf("%w: pattern must be digits", ErrQuery)
	case q.Area != "" && q.Pattern != "":
		return q, fmt.Errorf("%w: area and pattern do not go together", ErrQuery)
	case !slices.Contains([]string{MatchStart, MatchEnd, MatchAnywhere}, q.Match):
		return q, fmt.Errorf("%w: match must be start, end or anywhere", ErrQuery)
	case q.Limit < 0 || q.Limit > maxLimit:
		return q, fmt.Errorf("%w: limit must be from 1 to %d", ErrQuery, maxLimit)
	}
	for _, f := range q.Features {
		if !slices.Contains([]string{FeatureSMS, "voice", "mms"}, f) {
			return q, fmt.Errorf("%w: features are sms, voice and mms", ErrQuery)
		}
	}
	return q, nil
}
