package phone

import "strings"

// maskedEnd is how many digits at the end of a number are shown.
const maskedEnd = 2

// Mask writes a number so that who knows it recognises it and nobody else
// learns it: the country code and the last two digits, "+1 ••• 32". Of a number
// that is in no known plan, of a short one as dialled and of what is no number
// it shows less, never more; "" stays empty.
func Mask(number string) string {
	if number == "" {
		return ""
	}
	var buf [maxInput]byte
	digits, plus, ok := clean(&buf, number)
	if !ok || len(digits) <= shortDigits {
		return "•••"
	}
	end := string(digits[len(digits)-maskedEnd:])
	if !plus {
		return "••• " + end
	}
	if code := callingCode(digits); code != "" {
		return "+" + code + " ••• " + end
	}
	return "+••• " + end
}

// callingCode is the country calling code that the digits of an international
// number begin with, "" where there is none. None begins with another one
// (ITU-T E.164, 6.2.1).
func callingCode(digits []byte) string {
	code := 0
	for i := 0; i < 3 && i < len(digits); i++ {
		code = 10*code + int(digits[i]-'0')
		if plans[code] != nil {
			return string(digits[:i+1])
		}
	}
	return ""
}

// Masked says whether a text is what Mask has made of a number.
func Masked(text string) bool { return strings.Contains(text, "•••") }
