package report

import (
	"fmt"
	"strings"
)

// Row explains one outcome and reason to an operator.
type Row struct {
	Outcome Outcome
	Reason  Reason
	Means   string // what happened
	Do      string // what to do about it, empty where nothing is to be done
	// Reserved says that no call of this version has it: it is in the list for
	// dashboards that name it already.
	Reserved bool
}

// Table is the one closed list of outcomes and reasons. The documentation of
// the project has it from here.
var Table = []Row{
	{Outcome: Deflected, Reason: Released, Means: "The text is on its way and deflectd hung up, as the campaign says."},
	{Outcome: Deflected, Reason: CallerHungUp, Means: "The caller asked for the text, it is on its way, and the caller hung up before deflectd did."},

	{Outcome: Texted, Reason: ToTransfer, Means: "The provider took the text, and the call went on in the dialplan: because the campaign says so, or because Asterisk took it back first (step `taken back`)."},
	{Outcome: Texted, Reason: TransferRequested, Means: "The provider took the text, and the caller asked in the interaction for a person.", Reserved: true},

	{Outcome: Declined, Reason: KeypressDecline, Means: "The caller heard the offer and pressed the key that declines it."},
	{Outcome: Declined, Reason: KeypressOptOut, Means: "The caller pressed the key that asks never to be texted again (`offer.opt_out`), and the number is on the list of opt-outs."},
	{
		Outcome: Declined, Reason: NoKeypress, Means: "The caller heard the offer as often as the campaign says and pressed no key that means anything.",
		Do: "Many of these: listen to the prompt, and see whether keys arrive at all (the DTMF mode of the trunk).",
	},

	{
		Outcome: Passed, Reason: NoCampaign, Means: "No campaign answers the number dialled.",
		Do: "Give the number to a campaign, or do not send its calls to deflectd.",
	},
	{
		Outcome: Passed, Reason: CampaignDisabled, Means: "The campaign of the number dialled is switched off.",
		Do: "Switch it on when it should answer.",
	},
	{
		Outcome: Passed, Reason: ServiceOff, Means: "Offering and sending is switched off for all campaigns, or there is no sender that texts could come from.",
		Do: "See GET /v1/service for which it is. Switch the service on (PUT /v1/service), or configure or obtain a sender.",
	},
	{
		Outcome: Passed, Reason: OutsideHours, Means: "The campaign is marketing (`kind`), and it is not within the marketing hours in every time zone that the caller's number may be in, or none is known.",
		Do: "Nothing; or widen limits.marketing_hours, as far as the law of the callers' countries allows.",
	},
	{Outcome: Passed, Reason: ANIWithheld, Means: "The caller withheld the number, so there is nobody to text."},
	{
		Outcome: Passed, Reason: ANIInvalid, Means: "The caller's number is not a telephone number that exists.",
		Do: "Many of these: see how the trunk writes numbers, and whether numbers.region is the region of numbers without a +.",
	},
	{
		Outcome: Passed, Reason: ANIOwnNumber, Means: "The caller's number is one of numbers.own or is dialled for a campaign.",
		Do: "Many of these: the trunk or a forwarding PBX shows your number instead of the caller's.",
	},
	{
		Outcome: Passed, Reason: ANIForwarded, Means: "The call was forwarded, so the number shown may not be the one of the person who speaks.",
	},
	{
		Outcome: Passed, Reason: ANIUntrusted, Means: "The caller's number is shown on so large a share of the calls of the last minutes that it can hardly be the number of whoever calls.",
		Do: "See whether the trunk or a PBX shows one number for all its callers. If one number calls this often, somebody may be forging it.",
	},
	{
		Outcome: Passed, Reason: NotMobile, Means: "The caller's number is of a kind of line that the campaign does not text (`line_types`), such as a landline.",
		Do: "Add the kind to line_types if texts arrive there.",
	},
	{
		Outcome: Passed, Reason: CountryNotAllowed, Means: "The caller's number is of a country that may not be texted.",
		Do: "Add the country to numbers.countries if its texts are worth their price.",
	},
	{Outcome: Passed, Reason: OptedOut, Means: "The caller asked never to be texted."},
	{
		Outcome: Passed, Reason: Suppressed, Means: "A text to the caller's number failed for good a while ago, so for some time none is tried.",
		Do: "If the number receives texts: DELETE /v1/suppressions/{number}.",
	},
	{Outcome: Passed, Reason: Cooldown, Means: "The caller was texted by this campaign a short while ago."},
	{
		Outcome: Passed, Reason: Capped, Means: "A limit on texts is reached: of the caller, of the campaign, of a range of numbers, or of the service (step `refused` says which).",
		Do: "See deflectd_guard_refusals_total{guard,at}. Many at once, and callers of a few ranges of numbers: somebody may be calling for the texts alone. Else raise the limit, in the configuration or in the campaign.",
	},
	{Outcome: Passed, Reason: RepeatCaller, Means: "The caller has called again and should reach a person.", Reserved: true},
	{Outcome: Passed, Reason: Holdout, Means: "The call is one of the random few that go straight on, to measure what deflection changes.", Reserved: true},
	{Outcome: Passed, Reason: Shadow, Means: "The campaign only watches: the call would have been offered a text.", Reserved: true},
	{
		Outcome: Passed, Reason: Overload, Means: "More calls at once than calls.max, or than deflectd and Asterisk could serve in time.",
		Do: "Raise calls.max if the machine is not busy; else give it more, or run another deflectd.",
	},
	{Outcome: Passed, Reason: ShuttingDown, Means: "deflectd was told to stop."},

	{
		Outcome: Abandoned, Reason: CallerHungUp, Means: "The caller hung up before asking for a text.",
		Do: "Many of these: the offer takes too long to come to the point.",
	},

	{
		Outcome: Failed, Reason: MessageRejected, Means: "The text was refused for good, or was cancelled meanwhile: over the API, or because the person asked never to be texted.",
		Do: "Read the message: its reason is the provider's. Often the originator, the balance or the number.",
	},
	{
		Outcome: Failed, Reason: MessageTimeout, Means: "The provider had not taken the text when the time for that was over, or when Asterisk took the call back (step `taken back`). One that was still queued was cancelled.",
		Do: "Look at deflectd_message_submit_seconds; raise release.wait if the provider is always slow.",
	},
	{
		Outcome: Failed, Reason: ProviderDown, Means: "The provider could not be reached or kept failing.",
		Do: "See /readyz and the log for how it fails.",
	},
	{
		Outcome: Failed, Reason: StoreDown, Means: "Redis does not answer, or did not in time: it is not known whether the caller may be texted, or the text could not be made safe, or the wish never to be texted (step `opt-out`), which is written once Redis answers.",
		Do: "Look at deflectd_redis_up and at Redis.",
	},
	{
		Outcome: Failed, Reason: PromptFailed, Means: "Asterisk said that it could not play the offer.",
		Do: "See that the file of offer.prompt is in Asterisk's sounds, in a format it can read.",
	},
	{
		Outcome: Failed, Reason: SwitchLost, Means: "Asterisk stopped, did not answer, or was out of reach during the call; or it took the call back into the dialplan by itself (step `taken back`). A text that the caller was promised still comes.",
		Do: "Look at deflectd_asterisk_up, and at Asterisk. Where calls are taken back: DEFLECTD_PATIENCE must be longer than the longest offer.",
	},
	{
		Outcome: Failed, Reason: Orphaned, Means: "The call was found in the application with no deflectd that serves it, and was let go.",
		Do: "Seen after deflectd was killed. At other times: two daemons may share one application name.",
	},
	{
		Outcome: Failed, Reason: Internal, Means: "deflectd itself made a mistake, or was too busy to take what Asterisk told it of the call (step `events lost`).",
		Do: "Events lost: give the machine more CPU, or run another deflectd. Else please report it with the log lines of the call.",
	},
}

// outcomes explains the outcomes, in the order of Table.
var outcomes = []struct {
	Outcome Outcome
	Means   string
}{
	{Deflected, "The text was made durable and the call ended in the hands of deflectd."},
	{Texted, "The provider took the text, and the call was let go."},
	{Declined, "A text was offered, and the caller stays; the call was let go."},
	{Passed, "A rule forbids the text, before the offer or after it; the call was let go."},
	{Abandoned, "The caller hung up before asking for a text."},
	{Failed, "Something broke; the call was let go, or lost with the switch."},
}

// Document writes Table as a page of Markdown.
func Document() string {
	var page strings.Builder
	page.WriteString(`# What became of a call

Every call has one outcome and one reason: in its record (` + "`GET /v1/calls`" + `), in the channel variables
` + "`DEFLECTD_OUTCOME`" + ` and ` + "`DEFLECTD_REASON`" + `, and in ` + "`deflectd_calls_total{campaign,outcome,reason}`" + `. "Let go" means
that the call went on in the dialplan. A reason marked with * is reserved: no call of this version has it.
`)
	for _, o := range outcomes {
		fmt.Fprintf(&page, "\n## %s\n%s\n\n| reason | what it means | what to do |\n|---|---|---|\n", o.Outcome, o.Means)
		for _, row := range Table {
			if row.Outcome != o.Outcome {
				continue
			}
			mark := ""
			if row.Reserved {
				mark = " *"
			}
			fmt.Fprintf(&page, "| `%s`%s | %s | %s |\n", row.Reason, mark, row.Means, row.Do)
		}
	}
	return page.String()
}
