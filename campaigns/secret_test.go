package campaigns

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestPseudonymIsFixedForever(t *testing.T) {
	// What is stored under it outlives every version of the program. Made with
	// openssl: printf 'number +14155550132' | openssl dgst -sha256 -hmac KEY.
	secret := []byte(strings.Repeat("k", secretBytes))
	assert.Equal(t, "J5QrN5HIusP5F1Sk7gl_Vw", Pseudonym(secret, "+14155550132"))
}

func TestPseudonymsOfDifferentNumbersAndSecretsDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`\+[1-9][0-9]{6,14}`)
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		secret := rapid.SliceOfN(rapid.Byte(), secretBytes, secretBytes)
		s, other := secret.Draw(t, "secret"), secret.Draw(t, "other")
		p := Pseudonym(s, a)
		assert.Len(t, p, 22)
		assert.NotContains(t, p, a[1:])
		assert.Equal(t, a == b, p == Pseudonym(s, b))
		assert.Equal(t, string(s) == string(other), p == Pseudonym(other, a))
	})
}
