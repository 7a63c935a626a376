// Package link makes short links and leads those who open them to the
// interaction: the code, the address it stands for, where both are kept, and
// the redirect on the public listener.
package link

import "crypto/rand"

const (
	// CodeLength is how long a code is: 11 characters of base58 hold 64
	// random bits, too many to find one by trying.
	CodeLength = 11

	// alphabet is base58 as Bitcoin writes it: no 0, O, I and l, which people
	// mistake for one another.
	alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
)

// NewCode makes a random code. It says nothing about whom it is for.
func NewCode() string {
	// A byte that is not below the greatest multiple of 58 would favour the
	// first characters: it is thrown away.
	const limit = 256 / len(alphabet) * len(alphabet)
	var code [CodeLength]byte
	var random [2 * CodeLength]byte
	for n := 0; n < len(code); {
		_, _ = rand.Read(random[:]) // never fails, see crypto/rand
		for _, b := range random {
			if int(b) < limit && n < len(code) {
				code[n] = alphabet[int(b)%len(alphabet)]
				n++
			}
		}
	}
	return string(code[:])
}

// isCode tells whether s is written like a code. What is not needs no look
// into the store.
func isCode(s string) bool {
	if len(s) != CodeLength {
		return false
	}
	for i := range len(s) {
		if !inAlphabet[s[i]] {
			return false
		}
	}
	return true
}

var inAlphabet = func() (set [256]bool) {
	for i := range len(alphabet) {
		set[alphabet[i]] = true
	}
	return set
}()
