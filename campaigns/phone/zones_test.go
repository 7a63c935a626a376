package phone

import (
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"
)

func TestZonesAreAllThatANumberMayBeIn(t *testing.T) {
	for e164, want := range map[string][]string{
		"+14155550123":   {"America/Los_Angeles"},
		"+12125550123":   {"America/New_York"},
		"+4915112345678": {"Europe/Berlin"},
		"+97714123456":   {"Asia/Katmandu"}, // by its old name
		"+61212345678":   {"Australia/Sydney"},
		"+5592991234567": {"America/Manaus"}, // a mobile of a place
	} {
		var names []string
		for _, z := range Zones(Number{E164: e164}) {
			names = append(names, z.String())
		}
		require.Equal(t, want, names, e164)
	}
	// A mobile of Australia may be in any zone of it, and a number of North America
	// that is of no place in any zone there.
	require.Greater(t, len(Zones(Number{E164: "+61412345678"})), 3)
	require.Greater(t, len(Zones(Number{E164: "+18005550100"})), 20)
	for _, nobody := range []string{"", "+", "+999123456789", "+not a number", "+888888888888888"} {
		require.Nil(t, Zones(Number{E164: nobody}), nobody)
	}
}

// Every zone that libphonenumber knows can be loaded, with the rules this program
// brings along: for no number of the supported regions is one missing.
func TestTheRulesOfEveryZoneAreKnown(t *testing.T) {
	for region := range phonenumbers.GetSupportedRegions() {
		n := phonenumbers.GetExampleNumber(region)
		if n == nil {
			continue
		}
		e164 := phonenumbers.Format(n, phonenumbers.E164)
		names, err := phonenumbers.GetTimezonesForPrefix(e164)
		require.NoError(t, err)
		if names[0] == phonenumbers.UNKNOWN_TIMEZONE {
			require.Nil(t, Zones(Number{E164: e164}), region)
			t.Log("no zone is known of", region)
			continue
		}
		require.Len(t, Zones(Number{E164: e164}), len(names), "%s: %v", region, names)
	}
}

func TestZonesAreReadOnce(t *testing.T) {
	n := Number{E164: "+61412345678"}
	first := Zones(n)
	for i, z := range Zones(n) {
		require.Same(t, first[i], z)
	}
	require.Nil(t, zone("Atlantis/Capital"))
	require.Nil(t, zone("Atlantis/Capital"))
	require.NotNil(t, first[0])
	require.Equal(t, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).In(first[0]).Location(), first[0])
}

func BenchmarkZones(b *testing.B) {
	n := Number{E164: "+14155550123"}
	Zones(n)
	b.ReportAllocs()
	for b.Loop() {
		if len(Zones(n)) != 1 {
			b.Fatal("no zone")
		}
	}
}
