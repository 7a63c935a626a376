package page

import (
	"strings"

	"deflectd/campaigns/message"
)

// stateShown is the state of a text in words.
type stateShown struct {
	Word  string // that of the API
	Label string
	Class string // of the badge
	Means string
}

// stateWords are all states of a text, as people are told of them.
var stateWords = map[message.State]stateShown{
	message.Queued:    {Label: "Waiting", Means: "It is safe, and is sent as soon as it can be."},
	message.Sending:   {Label: "Being sent", Means: "It is with the provider at this moment."},
	message.Accepted:  {Label: "Sent", Class: "on", Means: "The provider took it. Whether it arrived is not reported yet."},
	message.Delivered: {Label: "Delivered", Class: "on", Means: "The telephone has it."},
	message.Failed:    {Label: "Failed", Class: "danger", Means: "It was refused for good, or could not be delivered."},
	message.Expired:   {Label: "Too late", Class: "warn", Means: "It could not be sent or delivered in time."},
	message.Unknown:   {Label: "Not known", Class: "warn", Means: "Nobody knows whether it went out. A delivery report may still tell."},
	message.Cancelled: {Label: "Withdrawn", Class: "off", Means: "It was taken back before it was sent."},
}

func shownState(s message.State) stateShown {
	shown, known := stateWords[s]
	if !known {
		shown = stateShown{Label: string(s)}
	}
	shown.Word = string(s)
	return shown
}

// stateOptions are the choices of a search.
func stateOptions() []option {
	all := []option{{Value: "", Label: "Any"}}
	for _, s := range message.States() {
		all = append(all, option{Value: string(s), Label: stateWords[s].Label})
	}
	return all
}

// reasons are the words of docs/texts.md for why a text is in its state, as
// people are told of them.
var reasons = map[string]string{
	"requested":       "asked for",
	"provider":        "said by the provider",
	"report":          "reported by the provider",
	"external":        "sent by another gateway",
	"validity_over":   "it could not be sent in time",
	"opted_out":       "the person has opted out",
	"forgotten":       "the person was forgotten",
	"sender_released": "the number it was to come from was given back",
	"provider_down":   "waits for the provider",
	"service_off":     "waits for the service to be switched on",
	"store_down":      "waits for Redis",
	"shutdown":        "waits for another deflectd",
	"outside_hours":   "waits for the hours in which marketing may be sent",
	"held_up":         "the attempt took too long to begin, and is made again",
	"worker_lost":     "the deflectd that was sending it died",
	"resend":          "no report came, and it is sent once more",

	"unreachable":            "the provider could not be reached: it is tried again",
	"unavailable":            "the provider is not available: it is tried again",
	"request_incomplete":     "the provider did not get all of it: it is tried again",
	"rate_limited":           "the provider takes no more at once: it is tried again",
	"access_key_refused":     "the provider does not take the access key: put sms.messagebird.access_key right",
	"no_balance":             "the account at the provider is empty: charge it",
	"api_not_found":          "the provider is not at its address: put sms.messagebird.url right",
	"originator_refused":     "the provider does not allow this sender",
	"recipient_refused":      "the provider does not take this number",
	"text_refused":           "the provider does not take this text",
	"no_answer":              "the provider did not answer",
	"provider_error":         "the provider had a fault of its own",
	"answer_unreadable":      "the answer of the provider could not be read",
	"duplicate_entry":        "the provider says that it has it already",
	"unknown_subscriber":     "nobody has this number",
	"no_sms_service":         "the line takes no texts: a landline, mostly",
	"barred":                 "the line may not be texted",
	"capacity_limit":         "the telephone or the network is full",
	"network_error":          "the network failed",
	"undelivered":            "the network could not deliver it",
	"expired":                "the network could not deliver it in time",
	"carrier_rejected":       "the network does not like the text or the sender: register it",
	"unavailable_subscriber": "the telephone is switched off or out of reach",
}

// reasonWords says in words why a text is in its state; a word that is not known
// stays as it is.
func reasonWords(word string) string {
	if n, found := strings.CutPrefix(word, "attempt "); found {
		return "attempt " + n + " to send it"
	}
	if words := reasons[word]; words != "" {
		return words
	}
	return word
}
