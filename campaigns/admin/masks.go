package admin

import (
	"context"
	"strings"

	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
)

// maskedFor is what the description says of operations that show people.
const maskedFor = "Viewers see numbers of people masked."

// shown is something about a person as who asks may see it: in full for
// editors, else masked.
func shown[T any](ctx context.Context, v T, mask func(T) T) T {
	if identity(ctx).Role.Allows(RoleEditor) {
		return v
	}
	return mask(v)
}

// masked is shown for each of a list.
func masked[T any](ctx context.Context, all []T, mask func(T) T) []T {
	for i := range all {
		all[i] = shown(ctx, all[i], mask)
	}
	return all
}

// maskMessage takes the number out of a text, and its link: where that leads,
// the number may be.
func maskMessage(m message.Message) message.Message {
	m.To = phone.Mask(m.To)
	if m.URL != "" {
		m.Text = strings.ReplaceAll(m.Text, m.URL, "{link}")
	}
	m.Link, m.URL = "", ""
	return m
}

func maskCall(c report.Call) report.Call {
	c.ANI, c.Diverted = phone.Mask(c.ANI), phone.Mask(c.Diverted)
	return c
}

func maskOptOut(e optout.Entry) optout.Entry {
	e.Number = phone.Mask(e.Number)
	return e
}
