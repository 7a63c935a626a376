package message

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

// forecasted is a campaign that there is nothing to say about.
func forecasted(text string, params ...string) *campaigns.Campaign {
	c := &campaigns.Campaign{
		ID: "billing", DNIS: []string{"+18005550100"}, Text: text,
		Interaction: campaigns.Interaction{URL: "https://visual.example.com/start", Params: map[string]string{}},
	}
	for i := 0; i < len(params); i += 2 {
		c.Interaction.Params[params[i]] = params[i+1]
	}
	c.SetDefaults()
	return c
}

func marketing(c *campaigns.Campaign) *campaigns.Campaign {
	c.Kind = campaigns.KindMarketing
	return c
}

func TestForecast(t *testing.T) {
	o := &Outbox{opts: Options{PublicURL: "https://t.example", Originator: "+14155550100"}}
	assert.Equal(t, Forecast{
		Text: "Ann, go to https://t.example/xxxxxxxxxxx", Link: "https://t.example/xxxxxxxxxxx",
		Encoding: GSM7, Segments: 1, Warnings: []campaigns.Problem{},
	}, o.Forecast(forecasted("{name}, go to {link}", "name", "Ann")))
}

func TestForecastWarns(t *testing.T) {
	const (
		text   = "/text"
		longer = "is sent in UCS-2 (up to 70 characters a segment, not 160) because the GSM 7-bit alphabet does not have all of its characters: "
	)
	type warning = campaigns.Problem
	warns := func(pointer, message string) warning { return warning{Pointer: pointer, Message: message} }
	for name, c := range map[string]struct {
		campaign *campaigns.Campaign
		want     []warning
	}{
		"no link": {forecasted("call us"), []warning{
			warns(text, "has no {link}: whoever gets it cannot open the interaction"),
		}},
		"marketing": {marketing(forecasted("Sale! {link}")), []warning{
			warns(text, `does not say how to opt out, as marketing should: add words such as "Reply STOP to opt out"`),
		}},
		"marketing that says it":       {marketing(forecasted("Sale! {link} Reply STOP to opt out")), []warning{}},
		"marketing that says it so":    {marketing(forecasted("Sale! {link} {how}", "how", "STOP to end")), []warning{}},
		"no marketing need not say it": {forecasted("{link}"), []warning{}},
		"a curly quote": {forecasted("it’s {link} ’"), []warning{
			warns(text, longer+"’ can be written '"),
		}},
		"a curly quote that costs": {forecasted("{link} " + strings.Repeat("it’s… ", 10)), []warning{
			warns(text, "takes 2 segments instead of 1 because the GSM 7-bit alphabet does not have all of its characters: "+
				"’ can be written ', … can be written ..."),
		}},
		"what is not seen": {forecasted("{link}\u00a0a\u200bb\u2028e\u0302 ê\u00a0"), []warning{
			warns(text, longer+"the no-break space (U+00A0) can be a space, the zero width space (U+200B) can be left out, "+
				"U+2028 can be a line end, e\u0302 can be written e, ê can be written e"),
		}},
		"an emoji": {forecasted("{link} 😀 it’s"), []warning{
			warns(text, longer+"’ can be written ', 😀 cannot be replaced"),
		}},
		"another script": {forecasted("{link} абвгдежзийклмнопрст"), []warning{
			warns(text, longer+"а б в г д е ж з и й and 9 more cannot be replaced"),
		}},
		"another script, long": {forecasted("{link} " + strings.Repeat("я", 100)), []warning{
			warns(text, longer+"я cannot be replaced"),
			warns(text, "takes 2 segments with its link, each of which is paid like a text"),
		}},
		"by a param": {forecasted("{a/b} {c} {link} {a/b}", "a/b", "ê", "c", "’", "unused", "😀"), []warning{
			warns("/interaction/params/a~1b", longer+"ê can be written e"),
			warns("/interaction/params/c", longer+"’ can be written '"),
		}},
		"long": {forecasted("{link}" + strings.Repeat("x", 160)), []warning{
			warns(text, "takes 2 segments with its link, each of which is paid like a text"),
		}},
		"long also without its quotes": {forecasted("{link}’" + strings.Repeat("x", 200)), []warning{
			warns(text, "takes 4 segments instead of 2 because the GSM 7-bit alphabet does not have all of its characters: ’ can be written '"),
			warns(text, "takes 4 segments with its link, each of which is paid like a text"),
		}},
		"too long": {forecasted("{link}" + strings.Repeat("x", 2000)), []warning{
			warns(text, "takes 14 segments with its link; at most 9 can be sent"),
		}},
		"too long by a param": {forecasted("{a}{a}{a}{a}{link}", "a", strings.Repeat("x", 400)), []warning{
			warns(text, "takes 11 segments with its link; at most 9 can be sent"),
		}},
		"expiry": {changed(func(c *campaigns.Campaign) {
			c.Validity, c.Link.ExpiresAfter = campaigns.Duration(time.Hour), campaigns.Duration(15*time.Minute)
		}), []warning{
			warns("/link/expires_after", "is 15m, less than /validity (1h): the link of a text that arrives late would be dead"),
		}},
		"not https": {changed(func(c *campaigns.Campaign) { c.Interaction.URL = "http://a.example" }), []warning{
			warns("/interaction/url", `does not begin with "https://": what it holds, such as the caller's number, can be read on its way`),
		}},
		"https in capitals": {changed(func(c *campaigns.Campaign) { c.Interaction.URL = "HTTPS://a.example" }), []warning{}},
	} {
		o := &Outbox{opts: Options{PublicURL: "https://t.example", Originator: "+14155550100"}}
		assert.Equal(t, c.want, o.Forecast(c.campaign, "US").Warnings, name)
	}
}

func changed(change func(c *campaigns.Campaign)) *campaigns.Campaign {
	c := forecasted("{link}")
	change(c)
	return c
}

// desks are senders by country, and one for all others.
type desks map[string]string

func (d desks) For(_ *campaigns.Campaign, asked string, to phone.Number) string {
	if asked != "" {
		return asked
	}
	if from, known := d[to.Region]; known {
		return from
	}
	return d[""]
}

func (d desks) Foresee(c *campaigns.Campaign, to phone.Number) string { return d.For(c, "", to) }

func TestForecastWarnsOfNamesThatDoNotArrive(t *testing.T) {
	c := forecasted("{link}")
	const pointer = "/originator"
	o := &Outbox{opts: Options{PublicURL: "https://t.example", Originator: "Acme"}}
	assert.Equal(t, []campaigns.Problem{
		{Pointer: pointer, Message: "the name Acme does not arrive in CA, US: a text there has to come from a number"},
	}, o.Forecast(c, "CA", "GB", "US").Warnings)
	assert.Empty(t, o.Forecast(c, "GB").Warnings)
	assert.Empty(t, o.Forecast(c).Warnings, "no country is known")

	c.Originator = "Billing"
	assert.Contains(t, o.Forecast(c, "US").Warnings[0].Message, "the name Billing")
	c.Originator = "+14155550100"
	assert.Empty(t, o.Forecast(c, "US").Warnings)

	// Where a number takes the place of the name, there is nothing to warn of.
	c.Originator = ""
	o.opts.Senders = desks{"": "Acme", "US": "+14155550100"}
	assert.Equal(t, []campaigns.Problem{
		{Pointer: pointer, Message: "the name Acme does not arrive in CA: a text there has to come from a number"},
	}, o.Forecast(c, "CA", "US").Warnings)
}

// A param may make a text longer than can be sent: that is refused by its field,
// and nothing is kept of it.
func TestATextThatItsParamsMakeTooLongIsRefused(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	o := newOutbox(t, rdb, p)
	r := request()
	r.Campaign.Text = strings.Repeat("{name} ", 4) + "{link}"
	r.Campaign.Interaction.Params = map[string]string{"name": "Ann"}
	require.Equal(t, 1, o.Forecast(r.Campaign).Segments)
	r.Params = map[string]string{"name": strings.Repeat("x", 400)}
	_, err := o.Send(t.Context(), r)
	var invalid campaigns.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid, 1)
	require.Equal(t, "/text", invalid[0].Pointer)
	require.Empty(t, keys(t, "*"))
	require.Empty(t, p.texts())
}
