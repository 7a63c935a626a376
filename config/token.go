package config

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Role is what the holder of a token may do.
type Role string

// RoleAdmin may do everything. It is the only role yet.
const RoleAdmin Role = "admin"

const (
	tokenPrefix = "dfl_"
	hashPrefix  = "sha256:"
	// minAdminToken is the least length of a token that people make up.
	minAdminToken = 16
)

// Token is one way into the API. The configuration holds its hash alone.
type Token struct {
	// Who uses it; shown in logs.
	Name string `yaml:"name"`
	// What it may do: admin.
	Role Role `yaml:"role"`
	// Its hash, as deflectd token prints it.
	Hash Secret `yaml:"hash"`
}

// Matches says whether secret is the token this entry holds the hash of. It
// takes the same time whatever the difference is.
func (t Token) Matches(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(HashToken(secret)), []byte(t.Hash.Reveal())) == 1
}

// NewToken makes a token: 256 random bits in unpadded base64url after "dfl_",
// a prefix by which scanners for leaked secrets can find it.
func NewToken() (secret, hash string) {
	random := make([]byte, 32)
	rand.Read(random) // never fails: the program would have been ended
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	return secret, HashToken(secret)
}

// HashToken is the hash of a token as the configuration holds it. A plain
// SHA-256 is right for tokens of NewToken, unlike for passwords: 256 random bits
// cannot be guessed however fast the hash is, and every request computes it.
// DEFLECTD_ADMIN_TOKEN is made by people and may be guessed from its hash, which
// therefore is never written anywhere; and it is for a first run.
func HashToken(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// wellFormedHash says whether s could have come from HashToken.
func wellFormedHash(s string) bool {
	digits, found := strings.CutPrefix(s, hashPrefix)
	if !found || digits != strings.ToLower(digits) {
		return false
	}
	sum, err := hex.DecodeString(digits)
	return err == nil && len(sum) == sha256.Size
}
