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

// What tokens may do, each role all that the one before it may.
const (
	RoleViewer Role = "viewer" // read, with the numbers of people masked
	RoleEditor Role = "editor" // change campaigns and opt-outs, send test texts
	RoleAdmin  Role = "admin"  // everything
)

const (
	// maxTokenName is the longest name of a token, in characters: it stands in
	// the history of every campaign that was changed with it.
	maxTokenName = 64
	tokenPrefix  = "dfl_"
	hashPrefix   = "sha256:"
	// minAdminToken is the least length of a token that people make up.
	minAdminToken = 16
)

// Token is one way into the API. The configuration holds its hash alone.
type Token struct {
	// Who uses it; shown in logs, and beside every change of a campaign.
	Name string `yaml:"name"`
	// What it may do: viewer reads, with the numbers of people masked; editor also changes campaigns and opt-outs, and sends test texts; admin does everything.
	Role Role `yaml:"role"`
	// Its hash, as deflectd token prints it.
	Hash Secret `yaml:"hash"`
}

// Matches says whether secret is the token this entry holds the hash of. It
// takes the same time whatever the difference is.
func (t Token) Matches(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(HashToken(secret)), []byte(t.Hash.Reveal())) == 1
}

// Fingerprint is another one for every token, of which nothing can be told of the
// token itself but by who guesses it.
func (t Token) Fingerprint() string {
	sum := sha256.Sum256([]byte("fingerprint " + t.Name + " " + t.Hash.Reveal()))
	return hex.EncodeToString(sum[:16])
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
