package report

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Call is what is known of one call. While it lives Outcome and Reason are
// empty; its record, written once, has both. Times are in UTC.
type Call struct {
	ID      string `json:"id" doc:"The unguessable id of the call."`
	Node    string `json:"node,omitempty" doc:"The Asterisk it is on, as named in the configuration."`
	Channel string `json:"channel,omitempty" doc:"Its channel id in Asterisk."`

	DNIS         string `json:"dnis,omitempty" doc:"The number dialled."`
	ANI          string `json:"ani,omitempty" doc:"The caller's number; empty unless it is known that it may be shown, and once the person was forgotten."`
	Presentation string `json:"presentation,omitempty" doc:"Whether the caller's number may be shown, in Asterisk's words."`
	Diverted     string `json:"diverted,omitempty" doc:"The number that forwarded the call; empty where the caller's has to be, and once the person was forgotten."`

	Campaign string  `json:"campaign,omitempty" doc:"The id of the campaign that answers the number dialled."`
	Outcome  Outcome `json:"outcome,omitempty" enum:"deflected,texted,declined,passed,abandoned,failed" doc:"What became of it; absent while it lives."`
	Reason   Reason  `json:"reason,omitempty" doc:"Why it has its outcome; absent while it lives."`
	Message  string  `json:"message,omitempty" doc:"The id of the text sent for it."`

	Started  time.Time `json:"started_at" doc:"When it entered the application."`
	Answered time.Time `json:"answered_at,omitzero" doc:"When deflectd answered it."`
	Ended    time.Time `json:"ended_at,omitzero" doc:"When it was let go or hung up."`
	Steps    []Step    `json:"steps,omitempty" doc:"What happened, in order."`
}

// Step is one thing that happened in a call.
type Step struct {
	At     time.Time `json:"at" doc:"When."`
	Name   string    `json:"name" doc:"What."`
	Detail string    `json:"detail,omitempty" doc:"With what, or why."`
}

// numbers are the numbers of people that the call is found by and can be
// forgotten by: those in E.164, each once.
func (c *Call) numbers() []string {
	var numbers []string
	for _, n := range []string{c.ANI, c.Diverted} {
		if strings.HasPrefix(n, "+") && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// forget takes a number out of the call, and says whether it was in it.
func (c *Call) forget(e164 string) (had bool) {
	for _, n := range []*string{&c.ANI, &c.Diverted} {
		if *n == e164 {
			*n, had = "", true
		}
	}
	return had
}

// callIDLength is the number of base58 characters that 128 bits need.
const callIDLength = 22

// base58 is the alphabet without the characters that people confuse.
const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// CallID names a call: 22 characters of base58 that hold 128 bits of an
// HMAC-SHA256 over the node, the channel id and the time the channel was
// created. Nobody without the secret can guess it, and a daemon that is
// started again finds the same id for the same channel, so that a call has one
// record whoever writes it.
func CallID(secret []byte, node, channel string, created time.Time) string {
	mac := hmac.New(sha256.New, secret)
	var length [8]byte
	for _, part := range []string{node, channel} {
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	// Asterisk tells the time of creation in milliseconds.
	binary.BigEndian.PutUint64(length[:], uint64(created.UnixMilli()))
	mac.Write(length[:])
	return encode58(mac.Sum(nil)[:16])
}

// encode58 writes 16 bytes as one big-endian number in base58.
func encode58(b []byte) string {
	var id [callIDLength]byte
	n := [2]uint64{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:16])}
	for i := callIDLength - 1; i >= 0; i-- {
		var rest uint64
		for j := range n {
			rest, n[j] = divide58(rest, n[j])
		}
		id[i] = base58[rest]
	}
	return string(id[:])
}

// divide58 divides the 128-bit number made of rest and low, rest < 58, by 58
// and gives the remainder and the quotient.
func divide58(rest, low uint64) (remainder, quotient uint64) {
	quotient, remainder = bits.Div64(rest, low, 58)
	return remainder, quotient
}
