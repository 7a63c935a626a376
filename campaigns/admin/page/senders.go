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
	"deflectd/campaigns/admin/client"
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
	p.handleLong("POST "+sendersPath+"/release", (*view).releaseSender)
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
	data.Searched, data.Where = true, countryName(q.Country)
	status := http.StatusOK
	found, err := v.api.AvailableNumbers(v.ctx(), q)
	var p *admin.Problem
	switch {
	case errors.As(err, &p):
		status = p.Status
		data.Trouble = v.blame(data.Inputs, p)
	case err != nil:
		return err
	}
	for _, a := range found {
		data.Found = append(data.Found, newAvailableRow(a))
	}
	return v.render(status, "senders", data)
}

// blame writes what is wrong beside the inputs it is about, and answers what is
// about none of them.
func (v *view) blame(inputs []input, p *admin.Problem) string {
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
		},
		{
			Name: "area", Label: "Area", Value: q.Area, Inputmode: "numeric", Max: 15, Placeholder: "any",
			Hint: "The first digits after the country code, such as 415.",
		},
		{
			Name: "pattern", Label: "Digits in the number", Value: q.Pattern, Inputmode: "numeric", Max: 15, Placeholder: "any",
			Hint: "Instead of an area: digits it should have.",
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
	if _, err := v.api.ObtainSender(v.ctx(), number, country, key); err != nil {
		return err
	}
	return v.done(sendersPath, "sender-obtained")
}

// releaseSender gives a number back, after it has said which campaigns stop.
func (v *view) releaseSender() error {
	if err := v.needs(admin.RoleAdmin); err != nil {
		return err
	}
	number := v.form("number")
	if v.form("confirmed") == "" {
		return v.confirmRelease(number, nil)
	}
	// What stops was shown; where more would stop by now the API refuses, and it
	// is shown again.
	err := v.api.ReleaseSender(v.ctx(), number, v.form("stops") != "")
	var p *admin.Problem
	if errors.As(err, &p) && p.Reason == "confirm" {
		return v.confirmRelease(number, []trouble{{Text: "Something stops without it that did not before"}})
	}
	if err != nil {
		return err
	}
	return v.done(sendersPath, "sender-released")
}

// confirmRelease says what stops without a number, and asks.
func (v *view) confirmRelease(number string, troubles []trouble) error {
	all, err := v.api.Senders(v.ctx())
	if err != nil {
		return err
	}
	last := len(all.Items) == 1
	if !slices.ContainsFunc(all.Items, func(s sender.Sender) bool { return s.ID == number }) {
		return refused(http.StatusNotFound, "That is none of your senders any more.")
	}
	c := confirmation{
		Title: "Release " + number + "?", Action: sendersPath + "/release", Danger: true, Button: "Release it", Back: sendersPath,
		Fields:   []kept{{"number", number}, {"confirmed", "yes"}},
		Text:     "The number is lost for good: somebody else may have it tomorrow.",
		Troubles: troubles,
	}
	c.Items, err = v.stopping(number, last)
	if err != nil {
		return err
	}
	if last || len(c.Items) > 0 {
		c.Fields = append(c.Fields, kept{"stops", "yes"})
	}
	switch {
	case last && len(c.Items) > 0:
		c.Text += " It is the last sender: without one, no text can be sent. These campaigns stop:"
	case last:
		c.Text += " It is the last sender: without one, no text can be sent. No campaign that is switched on uses it now."
	case len(c.Items) > 0:
		c.Text += " These campaigns send from this number and stop without it:"
	default:
		c.Text += " No campaign that is switched on names it, so none stops."
	}
	return v.confirm(c)
}

// stopping names the campaigns that are switched on and cannot send without a
// number: those that name it, and with the last sender those that name none.
func (v *view) stopping(number string, last bool) ([]string, error) {
	on := true
	query := client.CampaignQuery{Enabled: &on, Limit: 500}
	var names []string
	for {
		found, err := v.api.Campaigns(v.ctx(), query)
		if err != nil {
			return nil, err
		}
		for _, c := range found.Items {
			if c.Originator == "" && last || c.Originator != "" && sender.ID(c.Originator) == number {
				names = append(names, nameOf(c)+" ("+c.ID+")")
			}
		}
		if found.Next == "" {
			return names, nil
		}
		query.Cursor = found.Next
	}
}
