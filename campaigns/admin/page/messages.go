package page

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
	"deflectd/campaigns/message"
	"deflectd/campaigns/phone"
)

const (
	messagesPath = "/messages"
	// messagesLimit is how many texts a page shows at once.
	messagesLimit = 50
)

// messagesPage is what messages.html shows.
type messagesPage struct {
	Fields   []input
	Troubles []trouble
	Rows     []messageRow
	Pager    pager
	// Next is what the form of the next page holds, where a number is searched
	// for: numbers stay out of addresses.
	Next []kept
	// Narrowed says that not all texts were asked for; Goes that the search is
	// not over yet.
	Narrowed, Goes bool
}

// messageRow is one text of a list.
type messageRow struct {
	ID, Number, Campaign string
	Forgotten            bool
	State                stateShown
	Why                  string
	Test, External       bool
	At                   time.Time
}

func (p *pages) messageRoutes() {
	p.handle("GET "+messagesPath, (*view).messages)
	p.handle("POST "+messagesPath, (*view).findMessages)
	p.handleAgain("POST "+messagesPath, (*view).findMessages) // it changes nothing
	p.handle("GET "+messagesPath+"/{id}", (*view).message)
}

// messageSearch is what texts are searched by, as it was typed.
type messageSearch struct {
	to, campaign, state, from, until string
	cursor                           string
}

func newMessageSearch(value func(string) string) messageSearch {
	return messageSearch{
		to: strings.TrimSpace(value("to")), campaign: strings.TrimSpace(value("campaign")), state: value("state"),
		from: value("from"), until: value("until"), cursor: value("cursor"),
	}
}

// values are the search for an address or a form, less the number.
func (s messageSearch) values() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{
		"campaign": s.campaign, "state": s.state, "from": s.from, "until": s.until, "cursor": s.cursor,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values
}

func (s messageSearch) address() string {
	if values := s.values(); len(values) > 0 {
		return messagesPath + "?" + values.Encode()
	}
	return messagesPath
}

// query is the search as the API takes it; what is no day is in troubles.
func (s messageSearch) query() (q client.MessageQuery, troubles []trouble) {
	q = client.MessageQuery{To: s.to, Campaign: s.campaign, State: s.state, Limit: messagesLimit, Cursor: s.cursor}
	day := func(value, name string) time.Time {
		if value == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.DateOnly, value)
		if err != nil {
			field, label := messageField(name)
			troubles = append(troubles, trouble{Field: field, Label: label, Text: "must be a day, such as 2026-03-31"})
		}
		return t
	}
	q.From = day(s.from, "from")
	if q.Until = day(s.until, "until"); !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1) // the day itself counts
	}
	return q, troubles
}

// messageField names the control that a parameter of the API is about.
func messageField(place string) (name, label string) {
	switch place {
	case "to":
		return "to", "Number"
	case "campaign":
		return "campaign", "Campaign"
	case "state":
		return "state", "State"
	case "from":
		return "from", "From"
	case "until":
		return "until", "Up to and with"
	}
	return "", ""
}

// fields are the controls of the search.
func (s messageSearch) fields(troubles []trouble) []input {
	fields := []input{
		{Kind: "tel", Name: "to", Value: s.to, Hint: "The whole number: parts of numbers are not searched.", Max: 64, Placeholder: "+14155550132", Code: true},
		{Name: "campaign", Value: s.campaign, Hint: "Its short name (id).", Max: 64, Code: true},
		{Kind: "select", Name: "state", Value: s.state, Options: stateOptions()},
		{Kind: "date", Name: "from", Value: s.from, Hint: "A day, in UTC."},
		{Kind: "date", Name: "until", Value: s.until, Hint: "A day, in UTC."},
	}
	for i := range fields {
		_, fields[i].Label = messageField(fields[i].Name)
		for _, t := range troubles {
			if t.Field == fields[i].Name {
				fields[i].Errors = append(fields[i].Errors, t.Text)
			}
		}
	}
	return fields
}

// messages lists texts. A number to search for comes in a form (findMessages),
// never in an address.
func (v *view) messages() error {
	s := newMessageSearch(v.query)
	s.to = ""
	return v.showMessages(s)
}

// findMessages searches texts. What needs no number has an address of its own.
func (v *view) findMessages() error {
	s := newMessageSearch(v.form)
	if s.to == "" {
		v.redirect(s.address())
		return nil
	}
	return v.showMessages(s)
}

func (v *view) showMessages(s messageSearch) error {
	query, troubles := s.query()
	var found client.List[message.Message]
	if troubles == nil {
		var err error
		if found, troubles, err = v.findTexts(query); err != nil {
			return err
		}
	}
	status := http.StatusOK
	if troubles != nil {
		status = http.StatusUnprocessableEntity
	}
	data := messagesPage{
		Troubles: troubles, Fields: s.fields(troubles),
		Goes: found.Next != "", Narrowed: s != messageSearch{},
	}
	for _, m := range found.Items {
		data.Rows = append(data.Rows, newMessageRow(m))
	}
	first, next := s, s
	first.cursor, next.cursor = "", found.Next
	switch {
	case s.to == "":
		if s.cursor != "" {
			data.Pager.First = first.address()
		}
		if found.Next != "" {
			data.Pager.Next = next.address()
		}
	case found.Next != "":
		data.Next = hiddenFields(next.values(), kept{Name: "to", Value: s.to})
	}
	return v.render(status, "messages", data)
}

// hiddenFields are values as a form holds them unseen, in the order of their
// names.
func hiddenFields(values url.Values, more ...kept) []kept {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		more = append(more, kept{Name: name, Value: values.Get(name)})
	}
	return more
}

// findTexts asks for texts. A place in the list that is of another time, or made
// up, is its beginning; what else is wrong with the search is in troubles.
func (v *view) findTexts(query client.MessageQuery) (found client.List[message.Message], troubles []trouble, err error) {
	found, err = v.api.Messages(v.ctx(), query)
	if query.Cursor != "" && client.Is(err, http.StatusUnprocessableEntity) {
		query.Cursor = ""
		found, err = v.api.Messages(v.ctx(), query)
	}
	troubles, err = searchTroubles(err, messageField)
	return found, troubles, err
}

// searchTroubles takes what is wrong with what somebody typed out of an error.
func searchTroubles(err error, field func(string) (name, label string)) ([]trouble, error) {
	var p *admin.Problem
	if errors.As(err, &p) && p.Status == http.StatusUnprocessableEntity {
		return troublesOf(p, field), nil
	}
	return nil, err
}

func newMessageRow(m message.Message) messageRow {
	return messageRow{
		ID: m.ID, Number: phone.Mask(m.To), Forgotten: m.To == "", Campaign: m.Campaign,
		State: shownState(m.State), Why: reasonWords(m.Reason), Test: m.Test, External: m.Provider == message.ProviderExternal, At: m.Created,
	}
}

// messagePage is what message.html shows.
type messagePage struct {
	message.Message
	Shown     stateShown
	Why       string
	Forgotten bool
	// Masked says that the number is not shown in full, for want of a role.
	Masked  bool
	Lines   []string // the text as it was sent
	Sandbox bool     // nobody got it: the provider shows what would have been sent
	Moves   bool     // its state may still change
	Steps   []messageStep
}

// messageStep is one state that a text was in.
type messageStep struct {
	At    string // to the second: most of it happens within a minute
	Exact string // as RFC 3339
	State stateShown
	Why   string
}

func (v *view) message() error {
	m, err := v.api.Message(v.ctx(), v.r.PathValue("id"))
	if err != nil {
		return err
	}
	data := messagePage{
		Message: m, Shown: shownState(m.State), Why: reasonWords(m.Reason), Forgotten: m.To == "",
		Masked: phone.Masked(m.To), Sandbox: m.Provider == "sandbox", Moves: !m.State.Final(),
	}
	if data.Sandbox && m.State == message.Delivered {
		data.Shown.Means = "The sandbox has reported it as delivered; it sends nothing."
	}
	if m.Text != "" {
		data.Lines = strings.Split(m.Text, "\n")
	}
	for _, h := range m.History {
		data.Steps = append(data.Steps, messageStep{
			At: h.At.UTC().Format("2 Jan 2006, 15:04:05 UTC"), Exact: h.At.UTC().Format(time.RFC3339Nano),
			State: shownState(h.State), Why: reasonWords(h.Cause),
		})
	}
	return v.render(http.StatusOK, "message", data)
}
