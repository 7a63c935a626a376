package message

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/link"
	"deflectd/campaigns/phone"
)

// senders chooses as it is told.
type senders func(c *campaigns.Campaign, asked string, to phone.Number) string

func (s senders) For(c *campaigns.Campaign, asked string, to phone.Number) string {
	return s(c, asked, to)
}

func (s senders) Foresee(c *campaigns.Campaign, to phone.Number) string { return s(c, "", to) }

func TestTheSendersSayWhatATextComesFrom(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	sender := "+14155550199"
	o := newOutbox(t, rdb, p, func(o *Options) {
		o.Senders = senders(func(c *campaigns.Campaign, asked string, to phone.Number) string {
			assert.Equal(t, "billing", c.ID)
			assert.Equal(t, "Asked", asked)
			assert.Equal(t, caller, to.E164)
			return sender
		})
	})
	r := request()
	r.Originator = "Asked"
	pending, err := o.Send(t.Context(), r)
	require.NoError(t, err)
	states(t, pending)
	assert.Equal(t, sender, pending.Message().Originator)
	assert.Equal(t, sender, p.texts()[0].Originator)

	sender = ""
	_, err = o.Send(t.Context(), r)
	require.ErrorIs(t, err, ErrNoSender)
	sender = "Acme Billing Department"
	_, err = o.Send(t.Context(), r)
	var invalid campaigns.Invalid
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "/originator", invalid[0].Pointer)
	assert.Len(t, p.texts(), 1)
}

func TestParamsOfOneText(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	r := request()
	r.Campaign.Interaction.Params = map[string]string{"lang": "en", "due": "soon"}
	r.Campaign.Text = "Acme: due {due} {link}"
	r.Params = map[string]string{"due": "on 5 May"}
	r.Key = "key"
	pending, err := o.Send(t.Context(), r)
	require.NoError(t, err)
	states(t, pending)
	m := pending.Message()
	assert.Equal(t, "Acme: due on 5 May "+m.URL, m.Text)
	assert.Equal(t, "https://visual.example.com/start?interaction=pay&due=on+5+May&lang=en&callerId=%2B14155550132",
		rdb.Get(t.Context(), link.URLKey(m.Link)).Val())

	r.Params = map[string]string{"due": "on 6 May"}
	_, err = o.Send(t.Context(), r)
	require.ErrorIs(t, err, ErrConflict, "another text")
	r.Key, r.Params = "", map[string]string{"nosuch": "x"}
	_, err = o.Send(t.Context(), r)
	var invalid campaigns.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid, 1)
	assert.Equal(t, "/params/nosuch", invalid[0].Pointer)
}
