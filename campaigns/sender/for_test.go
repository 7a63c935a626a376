package sender

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

// with makes Senders that know the stored ones.
func with(configured string, st stored) *Senders {
	s := New(Options{Configured: configured})
	s.now.Store(s.build(st))
	return s
}

func obtainedIn(country string, ids ...string) (list []Sender) {
	for _, id := range ids {
		list = append(list, Sender{ID: id, Kind: KindNumber, Country: country, Features: []string{"sms"}, Source: SourceObtained})
	}
	return list
}

var (
	toUS = phone.Number{E164: "+14155550132", Region: "US"}
	toCA = phone.Number{E164: "+16045550132", Region: "CA"}
	toNL = phone.Number{E164: "+31612345678", Region: "NL"}
)

func TestFor(t *testing.T) {
	us, nl := obtainedIn("US", "+14155550001"), obtainedIn("NL", "+31970100001")
	voice := Sender{ID: "+14155550002", Kind: KindNumber, Country: "US", Features: []string{"voice"}}
	for name, c := range map[string]struct {
		configured string
		stored     stored
		campaign   string
		asked      string
		to         phone.Number
		want       string
	}{
		"nothing at all":                      {to: toUS, want: ""},
		"the configured one":                  {configured: "Acme", to: toNL, want: "Acme"},
		"the campaign's before it":            {configured: "Acme", campaign: "Shop", to: toNL, want: "Shop"},
		"what was asked for before that":      {configured: "Acme", campaign: "Shop", asked: "+31970199999", to: toNL, want: "+31970199999"},
		"the configured before obtained ones": {configured: "Acme", stored: stored{senders: nl}, to: toNL, want: "Acme"},
		"one of the country":                  {stored: stored{senders: append(us, nl...)}, to: toNL, want: "+31970100001"},
		"any where there is none of it":       {stored: stored{senders: us}, to: toNL, want: "+14155550001"},
		"not one that cannot text":            {stored: stored{senders: []Sender{voice}}, to: toUS, want: ""},

		"a name gives way in the US":                    {configured: "Acme", stored: stored{senders: append(us, nl...)}, to: toUS, want: "+14155550001"},
		"a campaign's name gives way":                   {campaign: "Acme", stored: stored{senders: us}, to: toUS, want: "+14155550001"},
		"a name that was asked for gives way":           {asked: "Acme", stored: stored{senders: us}, to: toCA, want: "+14155550001"},
		"a name stays where nothing else is":            {configured: "Acme", to: toUS, want: "Acme"},
		"a name stays where names arrive":               {campaign: "Acme", stored: stored{senders: nl}, to: toNL, want: "Acme"},
		"a number stays in the US":                      {configured: "+31970199999", stored: stored{senders: us}, to: toUS, want: "+31970199999"},
		"a name gives way to another that is no number": {configured: "Acme", campaign: "Shop", to: toUS, want: "Shop"},

		"nothing from a released campaign's":  {configured: "Acme", campaign: "+14155550001", stored: stored{released: []string{"+14155550001"}, senders: nl}, to: toUS, want: ""},
		"with and without plus it is one":     {campaign: "14155550001", stored: stored{released: []string{"+14155550001"}}, to: toUS, want: ""},
		"nothing from a released one asked":   {asked: "+14155550001", stored: stored{released: []string{"+14155550001"}, senders: nl}, to: toUS, want: ""},
		"a released configured one is passed": {configured: "14155550001", stored: stored{released: []string{"+14155550001"}, senders: nl}, to: toUS, want: "+31970100001"},
		"nor from one about to be released": {
			stored: stored{senders: us, pending: map[string]pending{"+14155550001": {kind: releasing}}}, to: toUS, want: "",
		},
		"one that is about to be obtained is none yet": {
			stored: stored{pending: map[string]pending{"+14155550001": {kind: obtaining}}}, to: toUS, want: "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := with(c.configured, c.stored)
			require.Equal(t, c.want, s.For(&campaigns.Campaign{Originator: c.campaign}, c.asked, c.to))
			if c.campaign == "" {
				require.Equal(t, c.want, s.For(nil, c.asked, c.to))
			}
			if c.asked == "" {
				require.Equal(t, c.want != "", s.Sends(&campaigns.Campaign{Originator: c.campaign}), "Sends")
			}
			if c.asked == "" && c.campaign == "" {
				require.Equal(t, c.want != "", s.Any(), "Any")
			}
		})
	}
}

func TestOnePersonOneNumber(t *testing.T) {
	var ids []string
	for i := range 10 {
		ids = append(ids, fmt.Sprintf("+1415555%04d", i))
	}
	all, fewer := with("", stored{senders: obtainedIn("US", ids...)}), with("", stored{senders: obtainedIn("US", ids[:9]...)})
	count := make(map[string]int)
	for i := range 1000 {
		to := phone.Number{E164: fmt.Sprintf("+1212556%04d", i), Region: "US"}
		from := all.For(nil, "", to)
		require.Equal(t, from, all.For(nil, "", to))
		if from != ids[9] {
			require.Equal(t, from, fewer.For(nil, "", to), "another number left")
		}
		count[from]++
	}
	for _, id := range ids {
		require.Greater(t, count[id], 50, "a fair share of 1000")
	}
}

func TestANameThatDoesNotArriveIsWarnedOfOnce(t *testing.T) {
	var said bytes.Buffer
	s := New(Options{Configured: "Acme", Logger: slog.New(slog.NewTextHandler(&said, nil))})
	s.now.Store(s.build(stored{}))
	require.Equal(t, "Acme", s.Foresee(nil, toUS))
	require.Empty(t, said.String(), "nothing was sent")
	for range 3 {
		s.For(nil, "", toUS)
		s.For(nil, "", toNL)
	}
	s.For(nil, "", toCA)
	require.Equal(t, 2, strings.Count(said.String(), "level=WARN"), said.String())
	require.NotContains(t, said.String(), "0132")
}

func TestOwn(t *testing.T) {
	s := with("14155550009", stored{senders: obtainedIn("US", "+14155550001")})
	require.True(t, s.Own("+14155550001"))
	require.True(t, s.Own("+14155550009"))
	require.False(t, s.Own("+14155550002"))
	require.False(t, with("Acme", stored{}).Own("+Acme"))
}

func TestNames(t *testing.T) {
	for country, want := range map[string]bool{
		"US": false, "CA": false, "PR": false, "BE": false, "ZA": false, "NZ": false,
		"NL": true, "DE": true, "GB": true, "FR": true, "AU": true, "IN": true, "": true, "us": true, "ZZ": true, "??": true, "USA": true,
	} {
		require.Equal(t, want, Names(country), country)
	}
}

func TestQueries(t *testing.T) {
	q, err := Query{Country: "us", Area: "415"}.checked()
	require.NoError(t, err)
	require.Equal(t, Query{Country: "US", Area: "415", Match: MatchAnywhere, Features: []string{"sms"}, Limit: 20}, q)
	for _, wrong := range []Query{
		{},
		{Country: "USA"},
		{Country: "US", Area: "41a"},
		{Country: "US", Pattern: "+1"},
		{Country: "US", Area: "1", Pattern: "1"},
		{Country: "US", Match: "middle"},
		{Country: "US", Limit: -1},
		{Country: "US", Limit: 101},
		{Country: "US", Features: []string{"fax"}},
	} {
		_, err := wrong.checked()
		require.ErrorIs(t, err, ErrQuery, "%+v", wrong)
	}
}

func FuzzPending(f *testing.F) {
	f.Add("obtain 00ff 1 2 1 - -\n{}")
	f.Add("release 00ff 1 2 3 k d\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parsePending(raw)
		if err == nil && !strings.HasSuffix(raw, p.body) {
			t.Fatal("the body is not what stands last")
		}
	})
}

func BenchmarkFor(b *testing.B) {
	var ids []string
	for i := range 10 {
		ids = append(ids, fmt.Sprintf("+1415555%04d", i))
	}
	for name, s := range map[string]*Senders{
		"configured": with("Acme", stored{}),
		"obtained":   with("", stored{senders: obtainedIn("US", ids...)}),
		"gives_way":  with("Acme", stored{senders: obtainedIn("US", ids...)}),
		"warns":      with("Acme", stored{}),
	} {
		to := toUS
		if name == "configured" {
			to = toNL
		}
		c := &campaigns.Campaign{}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.For(c, "", to)
			}
		})
	}
}
