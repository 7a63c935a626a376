package sandbox

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/sender"
)

func numbersOf(list []sender.Available) []string {
	out := make([]string, 0, len(list))
	for _, a := range list {
		out = append(out, a.Number)
	}
	return out
}

func TestNumbersAreFound(t *testing.T) {
	n := NewNumbers()
	for _, c := range []struct {
		query sender.Query
		first string // "" for nothing
		all   string // what all begin with
	}{
		{sender.Query{Country: "US"}, "+14155550100", "+141555501"},
		{sender.Query{Country: "US", Area: "212"}, "+12125550100", "+121255501"},
		{sender.Query{Country: "US", Area: "2"}, "+12155550100", "+121555501"},
		{sender.Query{Country: "US", Area: "2125550"}, "+12125550100", "+121255501"},
		{sender.Query{Country: "US", Area: "2126"}, "", ""},
		{sender.Query{Country: "CA", Area: "604"}, "+16045550100", "+160455501"},
		{sender.Query{Country: "GB"}, "+447700900000", "+4477009000"},
		{sender.Query{Country: "GB", Area: "77"}, "+447700900000", "+4477009000"},
		{sender.Query{Country: "GB", Area: "20"}, "", ""},
		{sender.Query{Country: "NL", Area: "97"}, "+31972345600", "+31972345"},
		{sender.Query{Country: "NL", Pattern: "3197", Match: "start"}, "+31972345600", "+31972345"},
		{sender.Query{Country: "US", Pattern: "77", Match: "end"}, "+14155550177", "+14155550177"},
		{sender.Query{Country: "US", Pattern: "5550142"}, "+14155550142", "+14155550142"},
		{sender.Query{Country: "US", Features: []string{"mms"}}, "", ""},
		{sender.Query{Country: "US", Area: strings.Repeat("4", 15)}, "", ""},
		{sender.Query{Country: "ZZ"}, "", ""},
		{sender.Query{Country: "AQ", Area: "1"}, "", ""},
	} {
		found, err := n.Search(t.Context(), c.query)
		require.NoError(t, err)
		again, err := n.Search(t.Context(), c.query)
		require.NoError(t, err)
		require.Equal(t, found, again)
		if c.first == "" {
			assert.Empty(t, found, "%+v", c.query)
			continue
		}
		require.NotEmpty(t, found, "%+v", c.query)
		assert.Equal(t, c.first, found[0].Number, "%+v", c.query)
		for _, a := range found {
			assert.True(t, strings.HasPrefix(a.Number, c.all), a.Number)
			assert.True(t, campaigns.ValidOriginator(a.Number))
			assert.Contains(t, a.Features, sender.FeatureSMS)
		}
	}
	limited, err := n.Search(t.Context(), sender.Query{Country: "US", Limit: 3})
	require.NoError(t, err)
	assert.Len(t, limited, 3)
}

// Wherever there is a country, its numbers can be found, and had one by one.
func TestEveryNumberFoundCanBeHad(t *testing.T) {
	n := NewNumbers()
	for _, country := range []string{"US", "CA", "JM", "GB", "NL", "DE", "FR", "IT", "AU", "SG", "BR", "AR", "NO"} {
		found, err := n.Search(t.Context(), sender.Query{Country: country, Limit: 5})
		require.NoError(t, err)
		require.NotEmpty(t, found, country)
		for _, a := range found {
			got, err := n.Obtain(t.Context(), a.Number, country)
			require.NoError(t, err, a.Number)
			require.Equal(t, a, got)
			_, err = phone.DNIS(a.Number, "US")
			require.NoError(t, err, a.Number)
		}
		after, err := n.Search(t.Context(), sender.Query{Country: country, Limit: 5})
		require.NoError(t, err)
		require.NotContains(t, numbersOf(after), found[0].Number)
	}
}

func TestNumbersAreRentedAndGivenBack(t *testing.T) {
	n := NewNumbers()
	got, err := n.Obtain(t.Context(), "+12125550142", "US")
	require.NoError(t, err)
	owned, err := n.Owned(t.Context())
	require.NoError(t, err)
	require.Equal(t, []sender.Available{got}, owned)
	for _, c := range [][2]string{
		{"+12125550142", "US"},
		{"+12125550199", "US"},
		{"+12125550042", "US"},
		{"+12125550143", "CA" + "X"},
		{"+12125550143", "NL"},
		{"", "US"},
		{"+", "US"},
	} {
		_, err := n.Obtain(t.Context(), c[0], c[1])
		require.ErrorIs(t, err, sender.ErrUnavailable, c)
	}
	require.NoError(t, n.Release(t.Context(), got.Number))
	require.NoError(t, n.Release(t.Context(), got.Number), "twice is no error")
	owned, err = n.Owned(t.Context())
	require.NoError(t, err)
	require.Empty(t, owned)
}
