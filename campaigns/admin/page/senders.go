package page

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/sender"
)

const sendersPath = "/senders"

// senderRow is one number or name that texts come from.
type senderRow struct {
	ID       string
	What     string // what it is, in words
	Country  string // in words
	Features string
	Since    time.Time
	By       string
	Obtained bool // over the API, so that it can be released here
}

// senderRows are all of them.
type senderRows struct {
	Rows    []senderRow
	Inbound string // where the provider is to send what people text back
}

func newSenderRows(all admin.SenderList) senderRows {
	rows := senderRows{Inbound: all.Inbound}
	for _, s := range all.Items {
		row := senderRow{
			ID: s.ID, What: "Number", Country: countryName(s.Country), Features: strings.Join(s.Features, ", "),
			Since: s.Since, By: s.By, Obtained: s.Source == sender.SourceObtained,
		}
		if s.Kind == sender.KindName {
			row.What = "Name"
		}
		rows.Rows = append(rows.Rows, row)
	}
	return rows
}

// sendersPage is what senders.html shows.
type sendersPage struct {
	Senders  senderRows
	Inputs   []input // of the search for numbers
	Searched bool
	Found    []availableRow
	Where    string // what was searched for, in words
	Trouble  string // why nothing could be found out
}

// availableRow is a number that can be obtained.
type availableRow struct {
	Number, Country string
	Place           string
	Features        string
	Price           string
	Contract        string
	Key             string // makes pressing the button twice harmless
}

func (p *pages) senderRoutes() {
	p.notice("sender-obtained", "The number is yours: texts can come from it now.")
	p.notice("sender-released", "The number is released.")
	p.handleLong("GET "+sendersPath, (*view).showSenders)
	p.handleLong("POST "+sendersPath+"/obtain", (*view).obtainSender)
	p.handleAgain("POST "+sendersPath+"/obtain", func(v *view) error { return v.confirmObtaining(http.StatusOK, notDoneYet) })
	p.handleLong("POST "+sendersPath+"/release", (*view).releaseSender)
	p.handleAgain("POST "+sendersPath+"/release", func(v *view) error { return v.confirmRelease(v.form("number"), nil) })
}

func (v *view) showSenders() error {
	all, err := v.senders(v.ctx())
	if err != nil {
		return err
	}
	data := sendersPage{Senders: all}
	q := sender.Query{
		Country: strings.ToUpper(strings.TrimSpace(v.query("country"))), Limit: 20,
		Area: digitsOf(v.query("area")), Pattern: digitsOf(v.query("pattern")),
	}
	data.Inputs = v.numberInputs(q)
	if q.Country == "" || !v.may(admin.RoleAdmin) {
		return v.render(http.StatusOK, "senders", data)
	}
	found, err := v.findNumbers(q)
	status := http.StatusOK
	var p *admin.Problem
	switch {
	case errors.As(err, &p):
		status = p.Status
		data.Trouble = blame(data.Inputs, p)
	case err != nil:
		return err
	default:
		data.Searched, data.Where = true, countryName(q.Country)
	}
	for _, a := range found {
		data.Found = append(data.Found, newAvailableRow(a))
	}
	return v.render(status, "senders", data)
}

// findNumbers asks the provider for numbers to obtain. What is not even written
// like a search is refused in words for people, which the API has none for.
func (v *view) findNumbers(q sender.Query) ([]sender.Available, error) {
	p := &admin.Problem{
		Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity, Detail: "the request is not valid",
	}
	for name, digits := range map[string]string{"area": q.Area, "pattern": q.Pattern} {
		if strings.Trim(digits, "0123456789") != "" || len(digits) > maxDigits {
			p.Errors = append(p.Errors, admin.Detail{Parameter: name, Detail: "can only be digits, at most 15"})
		}
	}
	if len(q.Country) != 2 {
		p.Errors = append(p.Errors, admin.Detail{Parameter: "country", Detail: "choose one of the list"})
	}
	if len(p.Errors) > 0 {
		return nil, p
	}
	return v.api.AvailableNumbers(v.ctx(), q)
}

// maxDigits is how many digits a number has at most (ITU-T E.164).
const maxDigits = 15

// blame writes what is wrong beside the inputs it is about, and answers what is
// about none of them.
func blame(inputs []input, p *admin.Problem) string {
	blamed := false
	for _, d := range p.Errors {
		for i := range inputs {
			if inputs[i].Name == d.Parameter {
				inputs[i].Errors = append(inputs[i].Errors, d.Detail)
				blamed = true
			}
		}
	}
	if blamed {
		return ""
	}
	if len(p.Errors) > 0 {
		return p.Errors[0].Detail
	}
	return p.Detail
}

// digitsOf leaves out what people write between the digits of a number.
func digitsOf(s string) string {
	return strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", "+", "", ".", "").Replace(s)
}

// numberInputs are the inputs that numbers to obtain are searched with.
func (v *view) numberInputs(q sender.Query) []input {
	country := q.Country
	if country == "" {
		country = v.p.Region
	}
	return []input{
		{
			Kind: "select", Name: "country", Label: "Country", Value: country, Options: v.p.countries(country),
			Hint: "Where the number is from.",
		},
		{
			Name: "area", Label: "Area", Value: q.Area, Inputmode: "numeric", Max: 32, Placeholder: "any",
			Hint: "Its first digits, such as 415.",
		},
		{
			Name: "pattern", Label: "Digits in the number", Value: q.Pattern, Inputmode: "numeric", Max: 32, Placeholder: "any",
			Hint: "Instead of an area.",
		},
	}
}

// countries are those that a number can be looked for in: where texts go first,
// then all others by their names.
func (p *pages) countries(chosen string) []option {
	first := slices.Clone(p.Countries)
	for _, also := range []string{p.Region, chosen} {
		if len(also) == 2 && !slices.Contains(first, also) {
			first = append(first, also)
		}
	}
	var all []option
	for _, code := range first {
		all = append(all, option{code, countryName(code)})
	}
	var others []option
	for _, code := range phone.Regions() {
		if !slices.Contains(first, code) {
			others = append(others, option{code, countryName(code)})
		}
	}
	slices.SortFunc(others, func(a, b option) int { return strings.Compare(a.Label, b.Label) })
	return append(all, others...)
}

// countryName is the name of a country in English; its code where it has none.
func countryName(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := display.English.Regions().Name(region); name != "" {
		return name
	}
	return code
}

func newAvailableRow(a sender.Available) availableRow {
	row := availableRow{
		Number: a.Number, Country: a.Country, Features: strings.Join(a.Features, ", "), Key: rand.Text(),
		Price: "the price is not known here", Contract: "",
	}
	places := []string{}
	for _, place := range []string{a.Locality, a.Region} {
		if place != "" && !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	if len(places) == 0 {
		places = append(places, countryName(a.Country))
	}
	row.Place = strings.Join(places, ", ")
	if a.Price > 0 {
		row.Price = fmt.Sprintf("%.2f %s a month", a.Price, a.Currency)
	}
	if a.Months > 1 {
		row.Contract = fmt.Sprintf("for at least %d months", a.Months)
	}
	return row
}

// obtainSender obtains a number. The form was shown with its price, and with a
// key that makes pressing the button twice harmless.
func (v *view) obtainSender() error {
	if err := v.needs(admin.RoleAdmin); err != nil {
		return err
	}
	number, country, key := v.form("number"), v.form("country"), v.form("key")
	if len(key) < 16 || len(key) > 64 {
		return refused(http.StatusBadRequest, "The form was not understood. Nothing was obtained.")
	}
	_, err := v.api.ObtainSender(v.ctx(), number, country, key)
	if err == nil {
		return v.done(sendersPath, "sender-obtained")
	}
	p := v.excuse(err)
	says := sentence(p.Detail)
	switch {
	case p.Reason == "uncertain" || p.Reason == "busy":
		says = "The provider may have let you have it, but has not said so: it is being looked up."
	case p.Status < http.StatusInternalServerError:
		return err
	}
	return v.confirmObtaining(p.Status, says+" Ask again in a moment. However often you do, it is obtained once.")
}

// confirmObtaining asks whether a number is to be obtained, by the key it was
// asked for with.
func (v *view) confirmObtaining(status int, text string) error {
	c := confirmation{
		Title: "Obtain " + v.form("number") + "?", Text: text, Action: sendersPath + "/obtain", Button: "Obtain it", Back: sendersPath,
	}
	if status != http.StatusOK {
		c.Title, c.Button = "Is "+v.form("number")+" yours now?", "Ask again"
	}
	for _, name := range []string{"number", "country", "key"} {
		c.Fields = append(c.Fields, kept{name, v.form(name)})
	}
	return v.render(status, "confirm", c)
}
