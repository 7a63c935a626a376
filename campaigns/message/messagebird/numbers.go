package messagebird

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	messagebird "github.com/messagebird/go-rest-api/v9"
	"github.com/messagebird/go-rest-api/v9/number"
	"github.com/nyaruka/phonenumbers"

	"deflectd/campaigns/sender"
)

const (
	// numbersRoot is how the library's addresses of the Numbers API begin.
	numbersRoot = "https://numbers.messagebird.com/v1"
	// ownedPage is how many numbers of the account are asked for at once, and
	// ownedMost how many are looked through at most.
	ownedPage, ownedMost = 50, 10_000
)

// Numbers searches, rents and gives back MessageBird's numbers (its Numbers
// API, https://developers.messagebird.com/api/numbers).
type Numbers struct {
	client *Client
}

var _ sender.Numbers = (*Numbers)(nil)

// NewNumbers makes Numbers of the account that client belongs to.
func NewNumbers(client *Client) *Numbers { return &Numbers{client: client} }

// Search implements sender.Numbers. Numbers for which MessageBird wants to see
// papers first are not among them: those cannot be rented over its API at once.
func (n *Numbers) Search(ctx context.Context, q sender.Query) ([]sender.Available, error) {
	fragment, match := q.Pattern, number.SearchPattern(q.Match)
	if q.Area != "" {
		code := phonenumbers.GetCountryCodeForRegion(q.Country)
		if code == 0 {
			return nil, fmt.Errorf("%w: no such country", sender.ErrQuery)
		}
		fragment, match = strconv.Itoa(code)+q.Area, number.SearchPatternStart
	}
	if fragment == "" {
		match = ""
	}
	found, err := number.Search(n.client.With(ctx), q.Country, &number.SearchRequest{
		Limit: q.Limit, Number: fragment, SearchPattern: match, Features: q.Features,
		ExcludeNumbersRequireVerification: true, Prices: true,
	})
	if err != nil {
		return nil, readError(err)
	}
	list := make([]sender.Available, 0, len(found.Items))
	for _, item := range found.Items {
		if item == nil || item.VerificationRequired {
			continue
		}
		list = append(list, available(item))
	}
	return list, nil
}

// Obtain implements sender.Numbers. The number is paid for month by month.
func (n *Numbers) Obtain(ctx context.Context, e164, country string) (sender.Available, error) {
	got, err := number.Purchase(n.client.With(ctx), &number.PurchaseRequest{
		Number: digits(e164), Country: country, BillingIntervalMonths: 1,
	})
	if err != nil {
		return sender.Available{}, numbersError(err, true)
	}
	if digits(got.Number) != digits(e164) {
		// It says that it did something, but not what was asked for.
		return sender.Available{}, numbersError(&AnswerError{Status: http.StatusCreated, Err: errors.New("it names another number")}, true)
	}
	return available(got), nil
}

// Release implements sender.Numbers. That a number is not there may be said by
// whatever stands at a wrong address, while its rent goes on: it is believed only
// where the account's list is there and does not have it.
func (n *Numbers) Release(ctx context.Context, e164 string) error {
	err := number.Delete(n.client.With(ctx), digits(e164))
	var status *StatusError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &status):
	case status.Status == http.StatusNotFound, status.Status == http.StatusGone, status.names(codeNotFound):
		return n.missing(ctx, e164, status)
	}
	if err = numbersError(err, true); errors.Is(err, sender.ErrUnavailable) {
		return fmt.Errorf("%w: %w", sender.ErrNotAllowed, status)
	}
	return err
}

// missing looks whether a number that was said not to be there is the account's
// all the same.
func (n *Numbers) missing(ctx context.Context, e164 string, said *StatusError) error {
	owned, err := n.Owned(ctx)
	if err == nil && !slices.ContainsFunc(owned, func(a sender.Available) bool { return digits(a.Number) == digits(e164) }) {
		return nil
	}
	if err == nil {
		err = errors.New("the account still has it")
	}
	// The second look's error goes by its words: it says nothing of the release.
	return fmt.Errorf("%w: %w: %w; looked up: %s", sender.ErrProvider, sender.ErrUncertain, said, err.Error())
}

// Owned implements sender.Numbers.
func (n *Numbers) Owned(ctx context.Context) ([]sender.Available, error) {
	var all []sender.Available
	for offset := 0; offset < ownedMost; {
		page, err := number.List(n.client.With(ctx), &number.ListRequest{Limit: ownedPage, Offset: offset})
		if err != nil {
			return nil, readError(err)
		}
		if page.Items == nil && page.Limit == 0 {
			// JSON of something else: that the account owns nothing must not be
			// taken from it.
			return nil, readError(&AnswerError{Status: http.StatusOK, Err: errors.New("it is no list of numbers")})
		}
		for _, item := range page.Items {
			if item != nil {
				all = append(all, available(item))
			}
		}
		offset += len(page.Items)
		if len(page.Items) == 0 || offset >= page.TotalCount {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%w: the account owns more than %d numbers", sender.ErrProvider, ownedMost)
}

// available is a number as the senders know it.
func available(n *number.Number) sender.Available {
	a := sender.Available{
		Number: "+" + digits(n.Number), Country: strings.ToUpper(n.Country), Region: n.Region, Locality: n.Locality,
		Features: []string{}, Type: string(n.Type), Price: n.MonthlyPrice, Currency: n.Currency,
		Months: n.InitialContractDuration,
	}
	for _, f := range n.Features {
		a.Features = append(a.Features, strings.ToLower(string(f)))
	}
	return a
}

// The one table of what the Numbers API may answer instead of "done". It has
// the codes of the REST API (see verdict.go), and says most by its status.
var (
	gone     = []int{http.StatusNotFound, http.StatusConflict, http.StatusGone}
	notTaken = []int{http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusServiceUnavailable}
)

const codeNotFound = 20

// numbersError says what an error means for a number. A request that changes
// something may have been done where its answer is not known.
func numbersError(err error, changes bool) error {
	var request *RequestError
	var status *StatusError
	uncertain := changes
	kind := sender.ErrProvider
	switch {
	case errors.As(err, &request):
		uncertain = changes && request.Written
	case !errors.As(err, &status): // success that cannot be read
	case slices.Contains(notTaken, status.Status), status.Status < 400:
		uncertain = false
	case status.Status >= 500:
	default:
		kind, uncertain = refusal(status), false
	}
	if uncertain {
		return fmt.Errorf("%w: %w: %w", sender.ErrProvider, sender.ErrUncertain, err)
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// readError says what an error means of a request that changes nothing and is
// about no single number: what is not there is the API.
func readError(err error) error {
	if failed := numbersError(err, false); !errors.Is(failed, sender.ErrUnavailable) {
		return failed
	}
	return fmt.Errorf("%w: %w", sender.ErrProvider, err)
}

// refusal tells a number that cannot be had from what the account may not do.
func refusal(status *StatusError) error {
	if slices.Contains(gone, status.Status) {
		return sender.ErrUnavailable
	}
	about := slices.ContainsFunc(status.Errors, func(e messagebird.Error) bool { return strings.EqualFold(e.Parameter, "number") })
	if about || status.names(codeNotFound) {
		return sender.ErrUnavailable
	}
	return sender.ErrNotAllowed
}

// names tells whether the answer has an error code.
func (e *StatusError) names(code int) bool {
	return slices.ContainsFunc(e.Errors, func(inner messagebird.Error) bool { return inner.Code == code })
}
