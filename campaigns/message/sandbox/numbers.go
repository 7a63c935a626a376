package sandbox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"

	"deflectd/campaigns/sender"
)

// TakenSuffix ends the numbers that cannot be rented, though they are found:
// somebody else is always faster.
const TakenSuffix = "99"

// perArea is how many numbers there are of an area: those that two digits tell
// apart.
const perArea = 100

// Numbers lets numbers that nobody has. In North America they are those set
// aside for fiction (555-0100 to 555-0199 of each area), in the United Kingdom
// likewise (07700 900000 to 900099, Ofcom); elsewhere they are made up after the
// example that libphonenumber has of a mobile number there. The same search
// finds the same numbers, less those that are rented. What is rented is
// forgotten when the process ends.
type Numbers struct {
	mu    sync.Mutex
	owned map[string]sender.Available
}

var _ sender.Numbers = (*Numbers)(nil)

// NewNumbers makes Numbers.
func NewNumbers() *Numbers {
	return &Numbers{owned: make(map[string]sender.Available)}
}

// Search implements sender.Numbers.
func (n *Numbers) Search(_ context.Context, q sender.Query) ([]sender.Available, error) {
	area := q.Area
	if area == "" && q.Match == sender.MatchStart {
		area = areaOf(q.Country, q.Pattern)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	list := []sender.Available{}
	for _, number := range invent(q.Country, area) {
		if _, owned := n.owned[number]; owned || !matches(q, number[1:]) {
			continue
		}
		if list = append(list, offer(number, q.Country)); len(list) == q.Limit {
			break
		}
	}
	return list, nil
}

// Obtain implements sender.Numbers.
func (n *Numbers) Obtain(_ context.Context, number, country string) (sender.Available, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, owned := n.owned[number]
	exists := slices.Contains(invent(country, areaOf(country, strings.TrimPrefix(number, "+"))), number)
	if owned || !exists || strings.HasSuffix(number, TakenSuffix) {
		return sender.Available{}, fmt.Errorf("%w: the sandbox does not have it", sender.ErrUnavailable)
	}
	got := offer(number, country)
	n.owned[number] = got
	return got, nil
}

// Release implements sender.Numbers.
func (n *Numbers) Release(_ context.Context, number string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.owned, number)
	return nil
}

// Owned implements sender.Numbers.
func (n *Numbers) Owned(context.Context) ([]sender.Available, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Values(n.owned)), nil
}

func offer(number, country string) sender.Available {
	return sender.Available{
		Number: number, Country: country, Features: []string{sender.FeatureSMS, "voice"}, Type: "mobile",
		Price: 1, Currency: "EUR", Months: 1,
	}
}

// matches tells whether a number, without "+", is one that was asked for.
func matches(q sender.Query, digits string) bool {
	switch {
	case slices.Contains(q.Features, "mms"):
		return false
	case q.Match == sender.MatchStart:
		return strings.HasPrefix(digits, q.Pattern)
	case q.Match == sender.MatchEnd:
		return strings.HasSuffix(digits, q.Pattern)
	default:
		return strings.Contains(digits, q.Pattern)
	}
}

// areaOf is what the digits of a number, or the first of them, have before those
// that tell our numbers apart.
func areaOf(country, digits string) string {
	code := strconv.Itoa(phonenumbers.GetCountryCodeForRegion(country))
	national := strings.TrimPrefix(digits, code)
	if size := len(stem(country)); len(national) > size {
		return national[:size]
	}
	return national
}

// stem is what the numbers of a country have in common, without its country
// calling code, where no area is asked for; "" where there is no such country.
func stem(country string) string {
	example := phonenumbers.GetExampleNumberForType(country, phonenumbers.MOBILE)
	national := ""
	if example != nil {
		national = phonenumbers.GetNationalSignificantNumber(example)
	}
	switch {
	case len(national) < 5:
		return ""
	case country == "US":
		return "41555501"
	case example.GetCountryCode() == 1:
		return national[:3] + "55501"
	case country == "GB":
		return "77009000"
	}
	return national[:len(national)-2]
}

// fixed are the digits of a stem, from its end, that no area changes.
func fixed(country string) int {
	switch {
	case phonenumbers.GetCountryCodeForRegion(country) == 1:
		return len("55501")
	case country == "GB":
		return len("77009000")
	}
	return 0
}

// invent makes the numbers of a country whose national number begins with area;
// none where there are no such numbers.
func invent(country, area string) []string {
	common := stem(country)
	if common == "" || len(area) > len(common) {
		return nil
	}
	free := len(common) - fixed(country)
	common = area[:min(len(area), free)] + common[min(len(area), free):]
	if !strings.HasPrefix(common, area) {
		return nil
	}
	code := phonenumbers.GetCountryCodeForRegion(country)
	list := make([]string, perArea)
	for i := range list {
		list[i] = fmt.Sprintf("+%d%s%02d", code, common, i)
	}
	return list
}
