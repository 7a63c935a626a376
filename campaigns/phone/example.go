package phone

import "github.com/nyaruka/phonenumbers"

// Example is a mobile number as they are in a region (ISO 3166-1 alpha-2), for
// people to look at: libphonenumber's example of one. It is false where there is
// none. It may be somebody's: nothing is ever sent to it.
func Example(region string) (Number, bool) {
	n := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
	if n == nil {
		return Number{}, false
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	got, err := Parse(e164, region)
	return got, err == nil
}
