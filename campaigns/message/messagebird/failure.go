package messagebird

import (
	"strconv"
	"strings"

	"deflectd/campaigns/message"
)

// failure is why a text did not arrive.
type failure struct {
	reason string // a word of ours
	// permanent says that it is the number's fault and will not change soon: no
	// text will arrive there.
	permanent bool
}

// What can be the matter.
var (
	unknownSubscriber = failure{"unknown_subscriber", true}
	noSMSService      = failure{"no_sms_service", true}
	barred            = failure{"barred", true}
	barredForNow      = failure{"barred", false}
	optedOut          = failure{message.ReasonOptedOut, false} // has a list of its own
	unavailable       = failure{"unavailable_subscriber", false}
	full              = failure{"capacity_limit", false}
	networkError      = failure{"network_error", false}
	carrierRejected   = failure{"carrier_rejected", false} // the text or the sender, not the number
	noBalance         = failure{"no_balance", false}
	undelivered       = failure{"undelivered", false}
	tooLate           = failure{"expired", false}
)

// byErrorCode is the one table of what statusErrorCode in a delivery report
// means. The codes below 100 are those of the networks (3GPP TS 29.002, MAP user
// errors), as MessageBird lists them in "SMS Platform Extended Error Codes",
// https://docs.bird.com/api/channels-api/message-status-and-interactions/message-failure-sources;
// 103 is MessageBird's own. Careful with "permanent": a number of which it is
// learnt gets no texts for a while.
var byErrorCode = map[int]failure{
	1:   unknownSubscriber,             // unknown subscriber
	2:   networkError,                  // unknown base station
	3:   networkError,                  // unknown MSC
	5:   {"unknown_subscriber", false}, // unidentified subscriber: not known where it was looked for
	6:   unavailable,                   // absent subscriber, for short messages
	7:   networkError,                  // unknown equipment
	8:   unavailable,                   // roaming not allowed
	9:   unknownSubscriber,             // illegal subscriber: not one of that network
	10:  noSMSService,                  // bearer service not provisioned
	11:  noSMSService,                  // teleservice not provisioned: the line has no texts
	12:  barred,                        // illegal equipment; call barred, says MessageBird
	13:  barredForNow,                  // call barred
	21:  {"no_sms_service", false},     // facility not supported, where the phone is now
	26:  unavailable,                   // subsequent handover failure
	27:  unavailable,                   // absent subscriber
	31:  unavailable,                   // subscriber busy for short messages
	32:  undelivered,                   // delivery failure
	33:  full,                          // message waiting list full
	34:  networkError,                  // system failure
	35:  networkError,                  // data missing
	36:  networkError,                  // unexpected data value
	103: optedOut,
}

// byStatusReason is what a report may say in words, where its code is not known.
var byStatusReason = map[string]failure{
	"unknown subscriber":       unknownSubscriber,
	"unavailable subscriber":   unavailable,
	"unidentified subscriber":  {"unknown_subscriber", false},
	"carrier rejected":         carrierRejected,
	"capacity limit reached":   full,
	"received network error":   networkError,
	"insufficient balance":     noBalance,
	"opted out":                optedOut,
	"generic delivery failure": undelivered,
}

// failureOf is why a text did not arrive, by the code and the words of its
// delivery report.
func failureOf(s message.State, code, words string) failure {
	if n, err := strconv.Atoi(code); err == nil {
		if known, ok := byErrorCode[n]; ok {
			return known
		}
	}
	// "unknown subscriber" in one version of the API, "unknown_subscriber" in another.
	if known, ok := byStatusReason[strings.ReplaceAll(strings.ToLower(words), "_", " ")]; ok {
		return known
	}
	if s == message.Expired {
		return tooLate
	}
	return undelivered
}
