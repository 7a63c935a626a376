package guard

import (
	"time"

	"deflectd/campaigns"
)

// Reason says why a text may not go out, or a call not be offered one. It is
// the reason of the call's record.
type Reason string

// The reasons of a refusal.
const (
	OptedOut          Reason = "opted_out"           // the person asked never to be texted
	Suppressed        Reason = "suppressed"          // texts to the number failed for good a while ago
	Cooldown          Reason = "cooldown"            // the campaign has texted the number just now
	Capped            Reason = "capped"              // a limit is reached: see Refusal.Limit
	ANIUntrusted      Reason = "ani_untrusted"       // too many calls come from one number: the trunk hides the real one
	NotMobile         Reason = "not_mobile"          // the campaign does not text this kind of line
	CountryNotAllowed Reason = "country_not_allowed" // texts may not go to the number's country
	ANIOwnNumber      Reason = "ani_own_number"      // the number is our own
	OutsideHours      Reason = "outside_hours"       // not at this hour: see Refusal.Limit
)

// The limits that can be reached.
const (
	LimitCaller         = "per_caller_per_day"          // texts to one number in 24 hours
	LimitCampaignCaller = "campaign.per_caller_per_day" // of one campaign
	LimitCampaign       = "campaign.per_day"            // texts of one campaign in 24 hours
	LimitPrefix         = "per_prefix_per_hour"         // texts to numbers that differ in the last four digits only
	LimitSegments       = "segments_per_day"            // segments of all texts in 24 hours
	LimitSurge          = "surge"                       // calls of one number in 10 minutes
	LimitMarketingHours = "marketing_hours"             // the hours of texts that nobody has asked for
)

// Refusal is what a guard says. The zero value refuses nothing.
type Refusal struct {
	Reason Reason
	// Limit is which limit is reached, with Capped, ANIUntrusted and OutsideHours.
	Limit string
	// RetryAfter is how long it stays so, where nothing else happens; 0 where
	// that is not known, or for ever.
	RetryAfter time.Duration
}

// None says that nothing is refused.
func (r Refusal) None() bool { return r.Reason == "" }

// String says what is refused and for how long, without naming anybody.
func (r Refusal) String() string {
	if r.None() {
		return "allowed"
	}
	s := string(r.Reason)
	if r.Limit != "" {
		s += " (" + r.Limit + ")"
	}
	if r.RetryAfter > 0 {
		s += ", for " + campaigns.Duration(max(time.Second, r.RetryAfter.Round(time.Second))).String()
	}
	return s
}

// labels are all that a refusal is counted as: the reasons that have no limit,
// and the limits.
var labels = []string{
	string(OptedOut), string(Suppressed), string(Cooldown),
	string(NotMobile), string(CountryNotAllowed), string(ANIOwnNumber),
	LimitCaller, LimitCampaignCaller, LimitCampaign, LimitPrefix, LimitSegments, LimitSurge, LimitMarketingHours,
}

// label is what the refusal is counted as.
func (r Refusal) label() string {
	if r.Limit != "" {
		return r.Limit
	}
	return string(r.Reason)
}

// Refused is the error of a text that a guard refuses.
type Refused struct{ Refusal }

// Error says what is refused, without naming anybody.
func (e *Refused) Error() string { return "the text is refused: " + e.String() }
