package sender

import "strings"

// nameless are the countries (ISO 3166-1 alpha-2) whose networks deliver no
// texts from a name: they drop them, or put a number of their own in its place.
//
// The source is the table that Twilio publishes as "International support for
// Alphanumeric Sender ID" (help.twilio.com/articles/223133767), as of April
// 2026: the countries with a plain "No". What it says of the United States holds
// for the territories that their networks serve as well (MP, VI). Where a name
// has to be registered first, it arrives once that is done: those countries are
// not here.
const nameless = "BE BS CA CL CN CO CR DO EC GF GU HU IR KR KY MP MY NR NZ PA PR PY SY TW US UY VI ZA"

// withoutNames has a bit for each second letter of a country, by the first one: set
// where names do not arrive. It is looked at for every text.
var withoutNames = func() (table [26]uint32) {
	for country := range strings.FieldsSeq(nameless) {
		table[country[0]-'A'] |= 1 << (country[1] - 'A')
	}
	return table
}()

// Names tells whether texts from a name (an alphanumeric sender) arrive in a
// country (ISO 3166-1 alpha-2, in capitals), where need be after the name was
// registered there. Of what is no country, nothing is known against it.
func Names(country string) bool {
	if len(country) != 2 {
		return true
	}
	first, second := country[0]-'A', country[1]-'A'
	return first >= 26 || second >= 26 || withoutNames[first]>>second&1 == 0
}
