// Package phone reads telephone numbers: as dialled, as a trunk sends them, as
// an administrator writes them. Numbers leave it in E.164 (ITU-T E.164: "+" and
// at most 15 digits).
//
// What numbers there are is known by libphonenumber, through the package
// phonenumbers, and its answers are this package's answers. It is asked itself
// only where a number is written in an unusual way; else its patterns, compiled
// into automata, answer some hundred times faster.
package phone

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/nyaruka/phonenumbers"
)

var (
	// ErrWithheld says that there is no number because its owner does not show it.
	ErrWithheld = errors.New("number withheld")
	// ErrInvalid says that it is no number anybody can have.
	ErrInvalid = errors.New("not a valid number")
)

// shortDigits is how long a number without "+" may be to be kept as dialled:
// longer ones are national or international numbers.
const shortDigits = 7

// Number is a valid number and the country it belongs to.
type Number struct {
	E164   string
	Region string // ISO 3166-1 alpha-2; "" where the number belongs to no single country (+800, +882, …)
}

// Parse reads a caller's number as dialled or as SIP carries it. A number
// without "+" is read as one dialled in region (ISO 3166-1 alpha-2). The error
// is ErrWithheld or ErrInvalid; hostile input is ErrInvalid.
func Parse(s, region string) (Number, error) {
	if Withheld(s) {
		return Number{}, ErrWithheld
	}
	var buf [maxInput]byte
	digits, plus, ok := clean(&buf, s)
	if !ok {
		return Number{}, ErrInvalid
	}
	p, national, how := read(digits, plus, region)
	switch how {
	case plain:
		if country, valid := p.region(national); valid {
			return Number{E164: e164(s, p, national), Region: country}, nil
		}
		return Number{}, ErrInvalid
	case unusual:
		return parseSlowly(string(digits), plus, region)
	default:
		return Number{}, ErrInvalid
	}
}

// DNIS gives a dialled number its canonical form: E.164, or the digits as
// dialled where there are at most seven of them and no "+". It need not be a
// number that is in use, for a trunk delivers what it likes; but it must have a
// length that its country has. Otherwise the error is ErrInvalid.
func DNIS(s, region string) (string, error) {
	var buf [maxInput]byte
	digits, plus, ok := clean(&buf, s)
	switch {
	case !ok || len(digits) == 0:
		return "", errDNIS
	case !plus && len(digits) <= shortDigits:
		if len(s) == len(digits) {
			return s, nil
		}
		return string(digits), nil
	}
	p, national, how := read(digits, plus, region)
	switch {
	case how == unusual || how == plain && p.trunk.begins(national):
		return dnisSlowly(string(digits), plus, region)
	case how == plain && p.possible.has(len(national)):
		return e164(s, p, national), nil
	default:
		return "", errDNIS
	}
}

var errDNIS = fmt.Errorf("dialled number: %w", ErrInvalid)

// manner is how a number is written.
type manner uint8

const (
	hopeless manner = iota // like no number
	plain                  // so that its parts are known
	unusual                // so that libphonenumber itself has to be asked
)

// read finds the plan and the national number of what is written in a plain
// manner. It follows libphonenumber's parse step by step and stops where that
// begins to try and guess.
func read(digits []byte, plus bool, region string) (p *plan, national []byte, how manner) {
	if plus {
		return readInternational(digits)
	}
	build := diallings[region]
	if build == nil {
		return nil, nil, hopeless
	}
	d := build()
	if d == nil {
		return nil, nil, unusual
	}
	if n, ok := d.idd.length(digits); !ok {
		return nil, nil, unusual
	} else if n > 0 {
		return afterIDD(digits[n:])
	}
	// The country calling code without "+" before it.
	if rest, ok := bytes.CutPrefix(digits, []byte(d.plan.code)); ok {
		if d.trunk.pattern.begins(rest) {
			return nil, nil, unusual
		}
		if d.longer(len(digits)) || (!d.looks(digits) && d.looks(rest)) {
			return readInternational(digits)
		}
	}
	n, ok := d.trunk.length(digits)
	switch rest := digits[n:]; {
	case ok && n == 0:
		return d.plan, digits, plain
	case ok && !d.looks(digits) && d.lengths.has(len(rest)):
		return d.plan, rest, plain
	default:
		return nil, nil, unusual
	}
}

// afterIDD reads what stands behind an international prefix. A country calling
// code never begins with 0: where one seems to, the prefix was none.
func afterIDD(digits []byte) (p *plan, national []byte, how manner) {
	if len(digits) == 0 || digits[0] == '0' {
		return nil, nil, unusual
	}
	return readInternational(digits)
}

func readInternational(digits []byte) (p *plan, national []byte, how manner) {
	p, national = planOf(digits)
	switch {
	case p == nil && national == nil:
		return nil, nil, hopeless
	case p == nil || p.trunk.begins(national):
		return nil, nil, unusual
	}
	return p, national, plain
}

// e164 writes a number in E.164. Where s is written so, it is s.
func e164(s string, p *plan, national []byte) string {
	if n := 1 + len(p.code) + len(national); len(s) == n && s[0] == '+' {
		return s
	}
	var buf [maxInput + 4]byte
	b := append(buf[:0], '+')
	b = append(b, p.code...)
	b = append(b, national...)
	return string(b)
}

// parseSlowly is Parse by libphonenumber itself.
func parseSlowly(digits string, plus bool, region string) (Number, error) {
	n, err := libphonenumber(digits, plus, region)
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return Number{}, ErrInvalid
	}
	return Number{
		E164:   phonenumbers.Format(n, phonenumbers.E164),
		Region: country(phonenumbers.GetRegionCodeForNumber(n)),
	}, nil
}

// dnisSlowly is DNIS by libphonenumber itself. Its guesses do not always hold:
// what it would read as another number the next time has no canonical form.
func dnisSlowly(digits string, plus bool, region string) (string, error) {
	canonical := ""
	for range 2 {
		n, err := libphonenumber(digits, plus, region)
		if err != nil || phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
			return "", errDNIS
		}
		before := canonical
		canonical = phonenumbers.Format(n, phonenumbers.E164)
		if canonical == before {
			return canonical, nil
		}
		digits, plus = canonical[1:], true
	}
	return "", errDNIS
}

func libphonenumber(digits string, plus bool, region string) (*phonenumbers.PhoneNumber, error) {
	if plus {
		digits, region = "+"+digits, phonenumbers.UNKNOWN_REGION
	}
	return phonenumbers.Parse(digits, region)
}

// country hides libphonenumber's words for "no country".
func country(region string) string {
	if len(region) != 2 || region == phonenumbers.UNKNOWN_REGION {
		return ""
	}
	return region
}
