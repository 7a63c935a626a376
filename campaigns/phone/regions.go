package phone

import (
	"maps"
	"slices"

	"github.com/nyaruka/phonenumbers"
)

// Regions are the countries whose numbers are known (ISO 3166-1 alpha-2), in
// order.
func Regions() []string { return slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions())) }
