package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

func TestReadCampaignsNamesTheLine(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // lines of the error, less the name of the file
	}{
		{"empty", "", []string{": is empty: it must hold campaigns, a list; [] is none at all"}},
		{"nothing but a comment", "# none\n", []string{": is empty: it must hold campaigns, a list; [] is none at all"}},
		{"null", "campaigns:\n", []string{":1: campaigns: must be a list of campaigns; [] is none at all"}},
		{"a list", "- id: a\n", []string{":1: must hold campaigns, a list of them, and nothing else"}},
		{"another key", "campaigns: []\ncalls: []\n", []string{":2: calls: unknown key; here can be: campaigns"}},
		{"no YAML", "campaigns:\n\t- x\n", []string{":2: is not YAML: found character that cannot start any token"}},
		{"two documents", "campaigns: []\n---\ncampaigns: []\n", []string{":2: a second YAML document begins here; only one is read"}},
		{"a word", "campaigns: [a]\n", []string{":1: campaigns[0]: must hold settings: dnis, enabled, holdout_percent, hours, id, interaction, kind, limits, line_types, link, name, offer, on_unknown, originator, prompts, release, shadow, text, validity"}},
		{"no id", "campaigns:\n  - text: x\n", []string{":2: campaigns[0].id: is needed: a short name such as \"billing\""}},
		{
			"an id twice", "campaigns:\n  - id: a\n  - name: x\n    id: a\n",
			[]string{":4: campaigns[1].id: a is there twice: see line 2"},
		},
		{"an unknown key", "campaigns:\n  - id: a\n    offer:\n      promt: x\n", []string{":4: campaigns[0].offer.promt: unknown key; here can be: accept, attempts, decline, mode, opt_out, other_number, prompt, timeout"}},
		{"upper case", "campaigns:\n  - ID: a\n", []string{":2: campaigns[0].ID: unknown key", ""}},
		{"a key twice", "campaigns:\n  - id: a\n    text: x\n    text: y\n", []string{":4: campaigns[0].text: is given twice"}},
		{"what the store keeps", "campaigns:\n  - id: a\n    version: 3\n", []string{":3: campaigns[0].version: is set by deflectd: leave it out"}},
		{
			"wrong types", "campaigns:\n  - id: [a]\n    enabled: maybe\n    dnis: +1800\n    offer: x\n    link: {expires_after: {}}\n" +
				"    validity: soon\n    limits: {per_day: many}\n    interaction: {params: [a]}\n    line_types: [{}]\n",
			[]string{
				":2: campaigns[0].id: must be a single value",
				":3: campaigns[0].enabled: must be true or false",
				":4: campaigns[0].dnis: must be a list: [a, b]",
				":5: campaigns[0].offer: must hold settings: accept, attempts, decline, mode, opt_out, other_number, prompt, timeout",
				":6: campaigns[0].link.expires_after: must be a single value",
				`:7: campaigns[0].validity: "soon": a duration is written like "90s", "15m", "72h" or "90d"`,
				":8: campaigns[0].limits.per_day: must be a whole number",
				":9: campaigns[0].interaction.params: must hold names and their values",
				":10: campaigns[0].line_types[0]: must be a single value",
			},
		},
		{"nothing in a list", "campaigns:\n  - id: a\n    dnis: [~]\n", []string{":3: campaigns[0].dnis[0]: is empty: leave it out"}},
		{"nothing in a table", "campaigns:\n  - id: a\n    interaction: {params: {x: }}\n", []string{":3: campaigns[0].interaction.params.x: is empty: leave it out"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := readCampaigns("-", strings.NewReader(test.text))
			require.Error(t, err)
			got := strings.Split(err.Error(), "\n")
			for i, want := range test.want {
				if want != "" {
					require.Contains(t, got[i], "standard input"+want)
				}
			}
			if test.want[len(test.want)-1] != "" {
				require.Len(t, got, len(test.want), err)
			}
		})
	}
}

func TestReadCampaignsTakesWhatIsWritten(t *testing.T) {
	read, err := readCampaigns("-", strings.NewReader(`
campaigns:
  - id: 007
    name: NO
    enabled: false
    dnis: [+18005550100, 0123, "*"]
    text: |
      two
      lines {link}
    interaction: &visual {url: "https://example.com", params: {x: 1.50, on: yes}}
    offer: {accept: 1, attempts: 3}
    limits: {cooldown: 0s, per_caller_per_day: 0}
    link:
  - {id: b, interaction: *visual}
`))
	require.NoError(t, err)
	require.Len(t, read, 2)
	no, zero, pause := false, 0, campaigns.Pause(0)
	visual := campaigns.Interaction{URL: "https://example.com", Params: map[string]string{"x": "1.50", "on": "yes"}}
	require.Equal(t, &campaigns.Campaign{
		ID: "007", Name: "NO", Enabled: &no, DNIS: []string{"+18005550100", "0123", "*"}, Text: "two\nlines {link}\n",
		Interaction: visual, Offer: campaigns.Offer{Accept: "1", Attempts: 3},
		Limits: &campaigns.Limits{Cooldown: &pause, PerCallerPerDay: &zero},
	}, read[0].Campaign)
	require.Equal(t, visual, read[1].Interaction)
	require.Equal(t, 6, read[0].problem("/dnis/1", "").Line)
	require.Equal(t, 10, read[0].problem("/interaction/params/nowhere", "").Line)
	require.Equal(t, "campaigns[0].dnis[1]", read[0].problem("/dnis/1", "").Key)
}

func FuzzReadCampaigns(f *testing.F) {
	f.Add(twoCampaigns)
	f.Add(`{"campaigns": [{"id": "a", "limits": {"cooldown": "1h"}}]}`)
	f.Add("campaigns: &a [*a]")
	f.Add("campaigns:\n  - &a {id: *a}")
	f.Add("campaigns:\n  - <<: {id: a}")
	f.Fuzz(func(t *testing.T, text string) {
		read, err := readCampaigns("-", strings.NewReader(text))
		if err != nil {
			return
		}
		// What was read can be written, and read again as the same.
		var all []*campaigns.Campaign
		for _, e := range read {
			all = append(all, e.Campaign)
		}
		var out strings.Builder
		if err := writeCampaigns(&out, all); err != nil {
			return // such as a text that is not UTF-8
		}
		again, err := readCampaigns("-", strings.NewReader(out.String()))
		require.NoError(t, err, out.String())
		require.Len(t, again, len(read))
		for i, e := range again {
			require.Empty(t, campaigns.Changes(read[i].Campaign, e.Campaign), out.String())
		}
	})
}
