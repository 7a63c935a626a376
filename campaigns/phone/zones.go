package phone

import (
	"slices"
	"strconv"
	"sync"
	"time"
	_ "time/tzdata" // the rules of all zones, also where the machine has none

	"github.com/nyaruka/phonenumbers"
)

// Zones are all time zones that a number in E.164 may be in, as its numbering plan
// says: those of its place, or, where the number is of no place as most mobile ones
// are, all of its country calling code (libphonenumber's
// PhoneNumberToTimeZonesMapper). Nil where not one is known, or where the rules of
// one of them are not.
//
// A telephone may be elsewhere: a number may be taken along to another place, and
// its owner may travel. Nobody but the network knows.
func Zones(n Number) []*time.Location {
	var buf [maxInput]byte
	digits, plus, ok := clean(&buf, n.E164)
	if !ok || !plus {
		return nil
	}
	prefix := string(digits)
	if code := callingCode(digits); !geographical(n, code) {
		prefix = code
	}
	names, err := phonenumbers.GetTimezonesForPrefix(prefix)
	if err != nil || len(names) == 0 || slices.Contains(names, phonenumbers.UNKNOWN_TIMEZONE) {
		return nil
	}
	list := make([]*time.Location, len(names))
	for i, name := range names {
		if list[i] = zone(name); list[i] == nil {
			return nil
		}
	}
	return list
}

// geographical tells whether a number's beginning says where it is: that of a
// landline does, and of what may be one, and in some countries that of a mobile.
func geographical(n Number, code string) bool {
	switch LineType(n) {
	case Fixed, Unknown:
		return true
	case Mobile:
		number, err := strconv.ParseInt(code, 10, 32)
		return err == nil && phonenumbers.GEO_MOBILE_COUNTRIES[int32(number)]
	default:
		return false
	}
}

// zones are those that were asked for, by name: to read one is to read a file. A
// zone that is not known is nil. There are some 400.
var zones sync.Map

func zone(name string) *time.Location {
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		z = nil
	}
	zones.Store(name, z)
	return z
}
