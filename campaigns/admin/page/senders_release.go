package page

import (
	"errors"
	"net/http"
	"slices"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
	"deflectd/campaigns/sender"
)

// releaseSender gives a number back, after it has said which campaigns stop.
func (v *view) releaseSender() error {
	if err := v.needs(admin.RoleAdmin); err != nil {
		return err
	}
	number := v.form("number")
	if v.form("confirmed") == "" {
		return v.confirmRelease(number, nil)
	}
	// What stops was shown. Where more would stop by now it is shown again: the
	// API refuses where nothing was, and here the rest is found out.
	agreed := v.forms("stops")
	if len(agreed) > 0 {
		stops, err := v.stopping(number)
		if err != nil {
			return err
		}
		for _, s := range stops {
			if !slices.Contains(agreed, s.id) {
				return v.confirmRelease(number, moreStops)
			}
		}
	}
	err := v.api.ReleaseSender(v.ctx(), number, len(agreed) > 0)
	var p *admin.Problem
	if errors.As(err, &p) && p.Reason == "confirm" {
		return v.confirmRelease(number, moreStops)
	}
	if err != nil {
		return err
	}
	return v.done(sendersPath, "sender-released")
}

var moreStops = []trouble{{Text: "Something stops without it that did not before"}}

// stop is what stops without a sender.
type stop struct{ id, name string }

// lastSender stands for all texts, which stop without the last sender. No
// campaign has such an id.
const lastSender = "*"

// confirmRelease says what stops without a number, and asks.
func (v *view) confirmRelease(number string, troubles []trouble) error {
	all, err := v.api.Senders(v.ctx())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all.Items, func(s sender.Sender) bool { return s.ID == number }) {
		return refused(http.StatusNotFound, "That is none of your senders any more.")
	}
	c := confirmation{
		Title: "Release " + number + "?", Action: sendersPath + "/release", Danger: true, Button: "Release it", Back: sendersPath,
		Fields:   []kept{{"number", number}, {"confirmed", "yes"}},
		Text:     "The number is lost for good: somebody else may have it tomorrow.",
		Troubles: troubles,
	}
	stops, err := v.stopping(number)
	if err != nil {
		return err
	}
	last := false
	for _, s := range stops {
		c.Fields = append(c.Fields, kept{"stops", s.id})
		if s.id == lastSender {
			last = true
			continue
		}
		c.Items = append(c.Items, s.name+" ("+s.id+")")
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

// stopping is what stops without a number: lastSender where it is the last, and
// the campaigns that are switched on and name it; with the last sender those
// that name none as well.
func (v *view) stopping(number string) (stops []stop, err error) {
	all, err := v.api.Senders(v.ctx())
	if err != nil {
		return nil, err
	}
	last := len(all.Items) == 1 && all.Items[0].ID == number
	if last {
		stops = append(stops, stop{id: lastSender})
	}
	on := true
	query := client.CampaignQuery{Enabled: &on, Limit: 500}
	for {
		found, err := v.api.Campaigns(v.ctx(), query)
		if err != nil {
			return nil, err
		}
		for _, c := range found.Items {
			if c.Originator == "" && last || c.Originator != "" && sender.ID(c.Originator) == number {
				stops = append(stops, stop{c.ID, nameOf(c)})
			}
		}
		if found.Next == "" {
			return stops, nil
		}
		query.Cursor = found.Next
	}
}
