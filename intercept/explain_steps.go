package intercept

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
)

// rules goes through all rules, in the order in which calls are judged by them:
// as decide has it, with the history behind it all, for it is asked last.
func (e *explanation) rules() {
	e.steps = make([]report.DecisionStep, 0, len(report.StepNames))
	e.ofTheCampaign()
	e.ofTheCaller()
	e.ofTheNumber()
	e.ofTheMoment()
	e.ofTheHistory()
	e.ofTheLoad()
}

func (e *explanation) ok(name report.StepName, detail string, args ...any) {
	e.steps = append(e.steps, report.DecisionStep{Name: name, Result: report.StepOK, Detail: fmt.Sprintf(detail, args...)})
}

func (e *explanation) refuses(name report.StepName, why report.Reason, detail string, args ...any) {
	e.steps = append(e.steps, report.DecisionStep{
		Name: name, Result: report.StepRefuses, Reason: why, Detail: fmt.Sprintf(detail, args...),
	})
}

func (e *explanation) unknown(name report.StepName, detail string) {
	e.steps = append(e.steps, report.DecisionStep{Name: name, Result: report.StepUnknown, Detail: detail})
}

const (
	noCampaign = "No campaign answers the number, so there is nothing to look at."
	noNumber   = "There is no caller's number that could be looked at."
	unread     = "Redis could not be asked."
)

func (e *explanation) ofTheCampaign() {
	c := e.f.campaign
	if e.f.known {
		e.ok(report.StepCampaigns, "The campaigns have been read.")
	} else {
		e.refuses(report.StepCampaigns, report.StoreDown, "The campaigns could not be read from Redis yet.")
	}
	switch {
	case c != nil:
		e.ok(report.StepCampaign, "The campaign %q answers the number dialled.", c.ID)
	case e.f.known:
		e.refuses(report.StepCampaign, report.NoCampaign, "No campaign answers the number dialled.")
	default:
		e.unknown(report.StepCampaign, "It is not known yet which campaign answers the number dialled.")
	}
	switch {
	case c == nil:
		e.unknown(report.StepEnabled, noCampaign)
	case c.IsEnabled():
		e.ok(report.StepEnabled, "The campaign is switched on.")
	default:
		e.refuses(report.StepEnabled, report.CampaignDisabled, "The campaign is switched off.")
	}
}

func (e *explanation) ofTheCaller() {
	if e.n.forwarded {
		e.refuses(report.StepForwarded, report.ANIForwarded, "The call was forwarded, so the number shown may not be that of the person who calls.")
	} else {
		e.ok(report.StepForwarded, "The call was not forwarded.")
	}
	switch {
	case prohibited(e.id.presentation):
		e.refuses(report.StepWithheld, report.ANIWithheld, "The caller does not want the number shown.")
	case e.n.withheld:
		e.refuses(report.StepWithheld, report.ANIWithheld, "There is no number, or a word in its place that says that it is withheld.")
	case e.id.presentation == "":
		e.ok(report.StepWithheld, "There is a number, and nothing is said against showing it.")
	default:
		e.ok(report.StepWithheld, "There is a number, and it may be shown.")
	}
	switch {
	case e.n.withheld:
		e.unknown(report.StepCaller, noNumber)
	case e.n.callerErr != nil:
		e.refuses(report.StepCaller, report.ANIInvalid, "It is no telephone number that anybody can have; without a + it is read as one of %s.", e.region)
	default:
		e.ok(report.StepCaller, "It is a telephone number.")
	}
}

// guarded is a rule of the guards: what it says where it refuses, and where it does
// not.
type guarded struct {
	step      report.StepName
	reason    guard.Reason
	limit     string
	bad, good string
}

// guards goes through rules of the guards.
func (e *explanation) guards(rules []guarded) {
	for _, rule := range rules {
		n := slices.IndexFunc(e.against, func(r guard.Refusal) bool { return r.Reason == rule.reason && r.Limit == rule.limit })
		if n < 0 {
			e.ok(rule.step, "%s", rule.good)
			continue
		}
		e.refuses(rule.step, report.Reason(rule.reason), "%s%s", rule.bad, yet(e.against[n].RetryAfter))
	}
}

// yet says for how long a refusal holds.
func yet(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return " It stays so for " + campaigns.Duration(max(time.Second, d.Round(time.Second))).String() + ", if nothing else happens."
}

func (e *explanation) ofTheNumber() {
	c := e.f.campaign
	if !e.numbered() {
		for _, name := range []report.StepName{report.StepOwn, report.StepCountry, report.StepLineType, report.StepMarketing} {
			e.unknown(name, noNumber)
		}
		return
	}
	country := e.n.caller.Region
	if country == "" {
		country = "no single country"
	}
	e.guards([]guarded{
		{
			step: report.StepOwn, reason: guard.ANIOwnNumber,
			bad: "The caller's number is one of your own, or one that a campaign answers.", good: "It is none of your own numbers.",
		},
		{
			step: report.StepCountry, reason: guard.CountryNotAllowed,
			bad:  "It is a number of " + country + ", which may not be texted (numbers.countries).",
			good: "It is a number of " + country + ", which may be texted.",
		},
	})
	if c == nil {
		e.unknown(report.StepLineType, noCampaign)
		e.unknown(report.StepMarketing, noCampaign)
		return
	}
	line := phone.LineType(e.n.caller)
	hours := "The campaign is no marketing: it may text at any hour."
	if c.Kind == campaigns.KindMarketing {
		hours = "It is within the marketing hours wherever the number may be."
	}
	e.guards([]guarded{
		{
			step: report.StepLineType, reason: guard.NotMobile,
			bad:  fmt.Sprintf("The kind of line is %s; the campaign texts %s alone (line_types).", line, strings.Join(c.LineTypes, ", ")),
			good: fmt.Sprintf("The kind of line is %s, which the campaign texts.", line),
		},
		{
			step: report.StepMarketing, reason: guard.OutsideHours, limit: guard.LimitMarketingHours,
			bad: "The campaign is marketing, and it is not within the marketing hours (limits.marketing_hours) in all the time zones that the number may be in, or none is known.", good: hours,
		},
	})
}

// ofTheMoment are the rules of how things stand for all calls.
func (e *explanation) ofTheMoment() {
	if e.f.serviceOff {
		e.refuses(report.StepService, report.ServiceOff, "Offering and sending is switched off.")
	} else {
		e.ok(report.StepService, "Offering and sending is switched on.")
	}
	switch {
	case e.f.campaign == nil:
		e.unknown(report.StepSender, noCampaign)
	case e.f.senderless:
		e.refuses(report.StepSender, report.ServiceOff, "There is no sender that the text could come from: name or obtain one.")
	default:
		e.ok(report.StepSender, "There is a sender that the text can come from.")
	}
	if e.f.draining {
		e.refuses(report.StepStopping, report.ShuttingDown, "deflectd is being stopped and takes no more calls.")
	} else {
		e.ok(report.StepStopping, "deflectd takes calls.")
	}
	if e.storeDown {
		e.refuses(report.StepStore, report.StoreDown, "Redis does not answer, so no text could be made safe.")
	} else {
		e.ok(report.StepStore, "Redis answers, as far as is known.")
	}
	switch {
	case e.f.campaign == nil:
		e.unknown(report.StepProvider, noCampaign)
	case e.f.providerDown:
		e.refuses(report.StepProvider, report.ProviderDown, "The provider cannot be reached or keeps failing, and the campaign waits for it (release.wait_for).")
	case waits(&e.f.campaign.Release):
		e.ok(report.StepProvider, "The provider takes texts, as far as is known.")
	default:
		e.ok(report.StepProvider, "The campaign does not wait for the provider.")
	}
}

// history are the rules that need it.
var history = []guarded{
	{
		step: report.StepOptOut, reason: guard.OptedOut,
		bad: "The person has opted out.", good: "The person has not opted out.",
	},
	{
		step: report.StepSuppression, reason: guard.Suppressed,
		bad: "A text to the number has failed for good, so none is tried for a while.", good: "No text to the number has failed for good lately.",
	},
	{
		step: report.StepSurge, reason: guard.ANIUntrusted, limit: guard.LimitSurge,
		bad: "So many calls came from the number within minutes that it can hardly be the number of whoever calls (limits.surge_calls).", good: "Not too many calls came from the number within the last minutes.",
	},
	{
		step: report.StepCooldown, reason: guard.Cooldown,
		bad: "The campaign has texted the number a short while ago (limits.cooldown).", good: "The campaign has not texted the number a short while ago.",
	},
	{
		step: report.StepCaller24, reason: guard.Capped, limit: guard.LimitCaller,
		bad: "The number has had as many texts within 24 hours as limits.per_caller_per_day of the configuration allows.", good: "The number may have another text within 24 hours.",
	},
	{
		step: report.StepCampaignCaller, reason: guard.Capped, limit: guard.LimitCampaignCaller,
		bad: "The number has had as many texts of the campaign within 24 hours as its limits.per_caller_per_day allows.", good: "The number may have another text of the campaign within 24 hours.",
	},
	{
		step: report.StepPrefix, reason: guard.Capped, limit: guard.LimitPrefix,
		bad: "The numbers that differ from this one in the last four digits alone have had as many texts within an hour as limits.per_prefix_per_hour allows.", good: "The numbers that differ from this one in the last four digits alone have not had too many texts within an hour.",
	},
	{
		step: report.StepCampaignDay, reason: guard.Capped, limit: guard.LimitCampaign,
		bad: "The campaign has sent as many texts within a day as its limits.per_day allows.", good: "The campaign may send another text today.",
	},
	{
		step: report.StepSegments, reason: guard.Capped, limit: guard.LimitSegments,
		bad: "The text takes more segments than are left of the day's (limits.segments_per_day).", good: "There are segments left of the day's.",
	},
}

func (e *explanation) ofTheHistory() {
	switch {
	case !e.looked && !e.numbered():
		e.unknown(report.StepHistory, noNumber)
	case !e.looked:
		e.unknown(report.StepHistory, noCampaign)
	case e.unread && e.f.refused.None():
		e.refuses(report.StepHistory, report.StoreDown, "Redis did not say in time what has been before; nobody is texted unasked.")
	case e.unread:
		e.unknown(report.StepHistory, "Redis did not say in time what has been before; but this is known without it:")
	default:
		e.ok(report.StepHistory, "Redis said what has been before.")
	}
	for _, rule := range history {
		refused := slices.ContainsFunc(e.against, func(r guard.Refusal) bool { return r.Reason == rule.reason && r.Limit == rule.limit })
		switch {
		case e.looked && (refused || !e.unread):
			e.guards([]guarded{rule})
		case e.unread:
			e.unknown(rule.step, unread)
		case !e.numbered():
			e.unknown(rule.step, noNumber)
		default:
			e.unknown(rule.step, noCampaign)
		}
	}
}

func (e *explanation) ofTheLoad() {
	switch {
	case e.share <= 0:
		e.refuses(report.StepLoad, report.Overload, "There are more calls at once than can be served (calls.max, or the switch is too slow).")
	case e.share < 1:
		e.unknown(report.StepLoad, fmt.Sprintf("There are so many calls that %.0f in a hundred are let go, whichever they are.", 100*(1-e.share)))
	default:
		e.ok(report.StepLoad, "There are not too many calls at once.")
	}
}
