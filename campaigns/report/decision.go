package report

// Question is a call that somebody asks about: what would become of it.
type Question struct {
	DNIS         string `json:"dnis" doc:"The number that is dialled, as the trunk gives it."`
	ANI          string `json:"ani" doc:"The number of the caller, as the trunk gives it; empty or a word such as anonymous: withheld."`
	Presentation string `json:"pres,omitempty" doc:"Whether the caller's number may be shown, in Asterisk's words: allowed…, prohib… or unavailable; left out: allowed."`
	RDNIS        string `json:"rdnis,omitempty" doc:"The number that forwarded the call; left out: none did."`
}

// Decision is what would become of a call now, and every rule it would be judged
// by. Nothing of it is sent, counted or recorded.
type Decision struct {
	Offered  bool           `json:"offered" doc:"Whether the caller would be offered a text."`
	Outcome  Outcome        `json:"outcome,omitempty" enum:"passed,failed" doc:"What would become of the call; absent where a text would be offered, for then it is up to the caller."`
	Reason   Reason         `json:"reason,omitempty" doc:"Why it would; absent where a text would be offered."`
	Campaign string         `json:"campaign,omitempty" doc:"The id of the campaign that answers the number dialled; absent where none does."`
	Steps    []DecisionStep `json:"steps" doc:"Every rule, in the order in which calls are judged by them: the first that refuses decides."`
}

// DecisionStep is one rule that a call is judged by.
type DecisionStep struct {
	Name   StepName   `json:"name" enum:"campaigns,campaign,enabled,forwarded,withheld,caller_number,own_number,country,line_type,marketing_hours,service,sender,shutting_down,store,provider,history,opt_out,suppression,surge,cooldown,per_caller_per_day,campaign.per_caller_per_day,per_prefix_per_hour,campaign.per_day,segments_per_day,load" doc:"Which rule."`
	Result StepResult `json:"result" enum:"ok,refuses,unknown" doc:"ok: nothing against the call; refuses: it would not be offered a text; unknown: it could not be looked at, such as the caller's country where there is no number."`
	Reason Reason     `json:"reason,omitempty" doc:"The reason that the call would have if this rule decided; absent unless it refuses."`
	Detail string     `json:"detail" doc:"What was looked at, in plain words."`
	// Decides is true of one rule at most: the first that refuses.
	Decides bool `json:"decides,omitempty" doc:"This is the rule that decides: the first that refuses."`
}

// StepResult is what one rule says.
type StepResult string

// The results of a rule.
const (
	StepOK      StepResult = "ok"      // nothing against the call
	StepRefuses StepResult = "refuses" // the call would not be offered a text
	StepUnknown StepResult = "unknown" // it could not be looked at
)

// StepName names a rule.
type StepName string

// The rules, in the order in which calls are judged by them. What is known of the
// number comes before the state of the service, and the history, which takes a
// request, is asked only where nothing else speaks against the call.
const (
	StepCampaigns StepName = "campaigns"     // have the campaigns been read?
	StepCampaign  StepName = "campaign"      // does one answer the number dialled?
	StepEnabled   StepName = "enabled"       // is it switched on?
	StepForwarded StepName = "forwarded"     // was the call forwarded?
	StepWithheld  StepName = "withheld"      // is the caller's number withheld?
	StepCaller    StepName = "caller_number" // is it a number?
	StepOwn       StepName = "own_number"    // is it one of ours?
	StepCountry   StepName = "country"       // may its country be texted?
	StepLineType  StepName = "line_type"     // does the campaign text its kind of line?
	StepMarketing StepName = "marketing_hours"
	StepService   StepName = "service"       // is the service switched on?
	StepSender    StepName = "sender"        // is there anything that the text could come from?
	StepStopping  StepName = "shutting_down" // is deflectd being stopped?
	StepStore     StepName = "store"         // does Redis answer?
	StepProvider  StepName = "provider"      // does the provider take texts?

	StepHistory        StepName = "history"     // can it be read what has been?
	StepOptOut         StepName = "opt_out"     // has the person opted out?
	StepSuppression    StepName = "suppression" // have texts to the number failed for good?
	StepSurge          StepName = "surge"       // does the trunk show the number for many?
	StepCooldown       StepName = "cooldown"    // was it texted by this campaign just now?
	StepCaller24       StepName = "per_caller_per_day"
	StepCampaignCaller StepName = "campaign.per_caller_per_day"
	StepPrefix         StepName = "per_prefix_per_hour"
	StepCampaignDay    StepName = "campaign.per_day"
	StepSegments       StepName = "segments_per_day"

	StepLoad StepName = "load" // are there too many calls?
)

// StepNames are all rules, in the order of a Decision.
var StepNames = []StepName{
	StepCampaigns, StepCampaign, StepEnabled, StepForwarded, StepWithheld, StepCaller,
	StepOwn, StepCountry, StepLineType, StepMarketing,
	StepService, StepSender, StepStopping, StepStore, StepProvider,
	StepHistory, StepOptOut, StepSuppression, StepSurge, StepCooldown,
	StepCaller24, StepCampaignCaller, StepPrefix, StepCampaignDay, StepSegments,
	StepLoad,
}
