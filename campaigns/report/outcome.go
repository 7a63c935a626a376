// Package report keeps the facts of every call and the figures made of them.
package report

import "slices"

// Outcome is what became of a call; every call has exactly one.
type Outcome string

// The outcomes of a call.
const (
	Deflected Outcome = "deflected" // the text was made durable and the call ended in our hands
	Texted    Outcome = "texted"    // the provider took the text, and the call was let go
	Declined  Outcome = "declined"  // offered, and the caller stays; let go
	Passed    Outcome = "passed"    // a rule forbids the text; let go
	Abandoned Outcome = "abandoned" // the caller hung up before asking for a text
	Failed    Outcome = "failed"    // something broke; let go, or lost with the switch
)

// Reason says why a call has its outcome.
type Reason string

// The reasons, by the outcome they belong to.
const (
	Released     Reason = "released"       // deflected: we hung up
	CallerHungUp Reason = "caller_hung_up" // deflected, abandoned

	ToTransfer        Reason = "transfer" // texted
	TransferRequested Reason = "transfer_requested"

	KeypressDecline Reason = "keypress_decline" // declined
	KeypressOptOut  Reason = "keypress_opt_out"
	NoKeypress      Reason = "no_keypress"

	NoCampaign        Reason = "no_campaign" // passed
	CampaignDisabled  Reason = "campaign_disabled"
	ServiceOff        Reason = "service_off"
	OutsideHours      Reason = "outside_hours"
	ANIWithheld       Reason = "ani_withheld"
	ANIInvalid        Reason = "ani_invalid"
	ANIOwnNumber      Reason = "ani_own_number"
	ANIForwarded      Reason = "ani_forwarded"
	ANIUntrusted      Reason = "ani_untrusted"
	NotMobile         Reason = "not_mobile"
	CountryNotAllowed Reason = "country_not_allowed"
	OptedOut          Reason = "opted_out"
	Suppressed        Reason = "suppressed"
	Cooldown          Reason = "cooldown"
	Capped            Reason = "capped"
	RepeatCaller      Reason = "repeat_caller"
	Holdout           Reason = "holdout"
	Shadow            Reason = "shadow"
	Overload          Reason = "overload"
	ShuttingDown      Reason = "shutting_down"

	MessageRejected Reason = "message_rejected" // failed
	MessageTimeout  Reason = "message_timeout"
	ProviderDown    Reason = "provider_down"
	StoreDown       Reason = "store_down"
	PromptFailed    Reason = "prompt_failed"
	SwitchLost      Reason = "switch_lost"
	Orphaned        Reason = "orphaned"
	Internal        Reason = "internal"
)

// Reasons is what may be recorded, by outcome: a pair that is not in it is a
// fault of this program. It is made of Table.
var Reasons = func() map[Outcome][]Reason {
	reasons := make(map[Outcome][]Reason)
	for _, row := range Table {
		reasons[row.Outcome] = append(reasons[row.Outcome], row.Reason)
	}
	return reasons
}()

// allowed says whether a reason may stand with an outcome.
func allowed(o Outcome, r Reason) bool { return slices.Contains(Reasons[o], r) }
