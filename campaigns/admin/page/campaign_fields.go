package page

import (
	"slices"
	"strings"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

// control is how a field of the campaign form is shown and read.
type control string

const (
	controlLine     control = "line"     // one line of text
	controlText     control = "text"     // text of several lines, kept as it was typed
	controlList     control = "list"     // one entry on a line
	controlNumber   control = "number"   // a whole number
	controlDuration control = "duration" // "90s", "15m", "72h", "90d"
	controlPause    control = "pause"    // a duration, or "0s" for none
	controlChoice   control = "choice"   // one of several words
	controlChecks   control = "checks"   // some of several words
	controlSwitch   control = "switch"   // yes or no
	controlPairs    control = "pairs"    // names and their values
)

// field is one part of a campaign that people edit.
type field struct {
	Name    string // of the control
	Pointer string // where it is in the campaign: a JSON pointer
	Label   string
	Hint    string
	Default string // the value that holds where nothing is written; several have spaces between them
	Empty   string // what holds then, in words, where that is no value
	Control control
	Choices []option
	Needed  bool   // nothing can be saved without it
	Size    string // short | half | "": how much room it takes
	Keys    string // numeric | tel | url: what a phone's keyboard should show
	Code    bool   // it is no prose
}

// group is what belongs together for whoever runs a campaign.
type group struct {
	Name  string
	Title string
	Intro string
	Parts []part
}

// part is some of a group's fields. The More of a group are folded away until
// they are asked for, or one of them says something.
type part struct {
	Title  string
	More   bool
	Fields []*field
}

// groups are all that a campaign form holds, in its order.
var groups = []group{
	{
		Name: "says", Title: "What it says", Intro: "The text a caller receives, and where its link leads.",
		Parts: []part{{Fields: saysFields}, {Title: "More about the link and the sending", More: true, Fields: sendingFields}},
	},
	{
		Name: "answers", Title: "Who it answers", Intro: "The numbers people dial to reach it, and the kinds of line its text goes to.",
		Parts: []part{{Fields: answersFields}},
	},
	{
		Name: "call", Title: "The call", Intro: "What the caller hears, and how the call ends.",
		Parts: []part{
			{Title: "The offer", Fields: offerFields},
			{Title: "After the offer", Fields: promptFields},
			{Title: "How the call ends", Fields: releaseFields},
			{Title: "Where in the dialplan it goes on", More: true, Fields: transferFields},
		},
	},
	{
		Name: "limits", Title: "Limits", Intro: "How often its text goes out. What is empty is as the service's configuration says for all campaigns.",
		Parts: []part{{Fields: limitFields}},
	},
}

var saysFields = []*field{
	{
		Name: "name", Pointer: "/name", Label: "Name", Control: controlLine,
		Hint: "For you and your colleagues; callers never see it.",
	},
	{
		Name: "id", Pointer: "/id", Label: "Short name (id)", Control: controlLine, Code: true, Needed: true,
		Hint: "Lower-case letters, digits, “-” and “_”. It is in figures and addresses, and never changes.",
	},
	{
		Name: "text", Pointer: "/text", Label: "Text", Control: controlText, Needed: true,
		Hint: "Write {link} where the link belongs, and {name} for the value of a parameter of that name.",
	},
	{
		Name: "interaction.url", Pointer: "/interaction/url", Label: "Address the link opens", Control: controlLine, Code: true, Needed: true, Keys: "url",
		Hint: "The web address of the visual flow. {interaction_id} in it stands for the interaction below.",
	},
	{
		Name: "interaction.id", Pointer: "/interaction/id", Label: "Interaction", Control: controlLine, Code: true, Size: "half",
		Hint: "What {interaction_id} in the address stands for.",
	},
	{
		Name: "originator", Pointer: "/originator", Label: "Sender", Control: controlLine, Size: "half", Empty: "the service's own sender",
		Hint: "A name of up to 11 letters and digits, or a number.",
	},
	{
		Name: "kind", Pointer: "/kind", Label: "Kind of text", Control: controlChoice, Default: campaigns.KindService,
		Choices: []option{
			{campaigns.KindService, "Service: it answers what the caller asked for"},
			{"marketing", "Marketing: only within marketing hours of the recipient"},
		},
	},
}

var sendingFields = []*field{
	{
		Name: "interaction.params", Pointer: "/interaction/params", Label: "Parameters", Control: controlPairs,
		Hint: "Added to the address; {name} in the text stands for the value.",
	},
	{
		Name: "interaction.caller_id", Pointer: "/interaction/caller_id", Label: "The caller's number in the address", Control: controlChoice, Size: "half", Default: campaigns.CallerIDPlain,
		Choices: []option{{campaigns.CallerIDPlain, "Added to it"}, {campaigns.CallerIDNone, "Left out"}},
		Hint:    "Whether the visual flow is told who called.",
	},
	{
		Name: "interaction.caller_id_param", Pointer: "/interaction/caller_id_param", Label: "Its name there", Control: controlLine, Code: true, Size: "half", Default: "callerId",
		Hint: "The name of the parameter that holds the caller's number.",
	},
	{
		Name: "link.expires_after", Pointer: "/link/expires_after", Label: "The link works for", Control: controlDuration, Code: true, Size: "half", Default: "72h",
		Hint: "From one minute to a year: 90m, 72h, 30d.",
	},
	{
		Name: "validity", Pointer: "/validity", Label: "The text is worth delivering for", Control: controlDuration, Code: true, Size: "half", Default: "15m",
		Hint: "From one minute to three days. It is given up after that.",
	},
	{
		Name: "on_unknown", Pointer: "/on_unknown", Label: "When nobody knows whether a text went out", Control: controlChoice, Default: campaigns.OnUnknownDrop,
		Choices: []option{
			{campaigns.OnUnknownDrop, "Leave it: nobody gets it twice"},
			{campaigns.OnUnknownResend, "Send it once more: somebody may get it twice"},
		},
	},
}

var answersFields = []*field{
	{
		Name: "enabled", Pointer: "/enabled", Label: "Switched on", Control: controlSwitch, Default: on,
		Hint: "While it is off, calls to its numbers go on as if there were no campaign.",
	},
	{
		Name: "dnis", Pointer: "/dnis", Label: "Numbers it answers", Control: controlList, Code: true, Needed: true, Keys: "tel",
		Hint: "One on a line, as they are dialled: +18005550100. A number that ends in * stands for all that begin so (+1800*); * alone for all that no other campaign answers.",
	},
	{
		Name: "line_types", Pointer: "/line_types", Label: "Kinds of line it may be sent to", Control: controlChecks,
		Default: string(phone.Mobile) + " " + string(phone.Unknown),
		Choices: []option{
			{string(phone.Mobile), "Mobile"},
			{string(phone.Unknown), "Fixed or mobile (North America does not say which)"},
			{string(phone.Fixed), "Fixed line"},
			{string(phone.VoIP), "Internet telephony (VoIP)"},
			{string(phone.Other), "Other: toll-free, premium rate, pagers"},
		},
		Hint: "Mobile, and fixed or mobile, are usual.",
	},
}

var offerFields = []*field{
	{
		Name: "offer.mode", Pointer: "/offer/mode", Label: "Before the text", Control: controlChoice, Default: campaigns.ModeAsk,
		Choices: []option{
			{campaigns.ModeAsk, "Ask: the caller presses a key for the text"},
			{campaigns.ModeSend, "Send it without asking"},
		},
	},
	{
		Name: "offer.prompt", Pointer: "/offer/prompt", Label: "What is played", Control: controlLine, Code: true, Default: "sound:deflectd/offer",
		Hint: "“sound:” and a sound file of Asterisk without its ending, several separated by commas. Where nobody is asked, nothing is played unless it is written here.",
	},
	{
		Name: "offer.accept", Pointer: "/offer/accept", Label: "Key for the text", Control: controlLine, Code: true, Size: "short", Default: "1", Hint: "0 to 9, * or #.",
	},
	{
		Name: "offer.decline", Pointer: "/offer/decline", Label: "Key to stay on the line", Control: controlLine, Code: true, Size: "short", Default: "2", Hint: "Another key.",
	},
	{
		Name: "offer.opt_out", Pointer: "/offer/opt_out", Label: "Key for “never text me”", Control: controlLine, Code: true, Size: "short", Empty: "none", Hint: "Empty: there is none.",
	},
	{
		Name: "offer.timeout", Pointer: "/offer/timeout", Label: "Wait for a key", Control: controlDuration, Code: true, Size: "half", Default: "6s", Hint: "After the offer was played: 1s to 30s.",
	},
	{
		Name: "offer.attempts", Pointer: "/offer/attempts", Label: "Times it is offered", Control: controlNumber, Code: true, Size: "half", Default: "2", Hint: "1 to 5. After the last the call goes on.", Keys: "numeric",
	},
}

var promptFields = []*field{
	{
		Name: "prompts.sent", Pointer: "/prompts/sent", Label: "Played when the text is on its way", Control: controlLine, Code: true, Empty: "nothing",
		Hint: "Such as sound:deflectd/sent.",
	},
	{
		Name: "prompts.failed", Pointer: "/prompts/failed", Label: "Played when it could not be sent", Control: controlLine, Code: true, Empty: "nothing",
		Hint: "Such as sound:deflectd/failed.",
	},
	{
		Name: "prompts.opted_out", Pointer: "/prompts/opted_out", Label: "Played to who asks never to be texted", Control: controlLine, Code: true, Empty: "nothing",
		Hint: "Such as sound:deflectd/opted-out.",
	},
}

var releaseFields = []*field{
	{
		Name: "release.action", Pointer: "/release/action", Label: "After the text", Control: controlChoice, Default: campaigns.ActionHangup,
		Choices: []option{
			{campaigns.ActionHangup, "Hang up: the caller goes on in the link"},
			{campaigns.ActionTransfer, "Go on in the dialplan: the caller stays on the line"},
		},
	},
	{
		Name: "release.wait_for", Pointer: "/release/wait_for", Label: "Once the text", Control: controlChoice, Size: "half", Default: campaigns.WaitAccepted,
		Choices: []option{
			{campaigns.WaitAccepted, "was taken by the provider"},
			{campaigns.WaitQueued, "is safely queued"},
		},
		Hint: "Queued goes with hanging up only.",
	},
	{
		Name: "release.wait", Pointer: "/release/wait", Label: "Wait for that", Control: controlDuration, Code: true, Size: "half", Default: "5s",
		Hint: "1s to 30s. If it takes longer, the call goes on in the dialplan.",
	},
}

var transferFields = []*field{
	{
		Name: "release.transfer.context", Pointer: "/release/transfer/context", Label: "Context", Control: controlLine, Code: true, Size: "short", Hint: "Empty: where the call came from.",
	},
	{
		Name: "release.transfer.extension", Pointer: "/release/transfer/extension", Label: "Extension", Control: controlLine, Code: true, Size: "short", Hint: "Needed with a context.",
	},
	{
		Name: "release.transfer.priority", Pointer: "/release/transfer/priority", Label: "Priority", Control: controlNumber, Code: true, Size: "short", Default: "1", Keys: "numeric",
	},
}

var limitFields = []*field{
	{
		Name: "limits.cooldown", Pointer: "/limits/cooldown", Label: "Pause before the same caller gets it again", Control: controlPause, Code: true, Size: "half", Empty: "as configured",
		Hint: "1s to 30d; 0s for no pause.",
	},
	{
		Name: "limits.per_caller_per_day", Pointer: "/limits/per_caller_per_day", Label: "Texts to one caller a day", Control: controlNumber, Code: true, Size: "half", Empty: "as configured", Keys: "numeric",
		Hint: "Within 24 hours; 0 for no limit of its own.",
	},
	{
		Name: "limits.per_day", Pointer: "/limits/per_day", Label: "Texts of this campaign a day", Control: controlNumber, Code: true, Size: "half", Empty: "no limit", Keys: "numeric",
		Hint: "Within 24 hours; 0 for no limit.",
	},
}

// fields are those of all groups, in their order.
var fields = allFields()

func allFields() (all []*field) {
	for _, g := range groups {
		for _, p := range g.Parts {
			all = append(all, p.Fields...)
		}
	}
	return all
}

// fieldAt is the field that a pointer of the API leads to, or into; rest is what
// of the pointer is left then. It is nil where the form has no such field.
func fieldAt(pointer string) (f *field, rest string) {
	i := slices.IndexFunc(fields, func(f *field) bool {
		return pointer == f.Pointer || strings.HasPrefix(pointer, f.Pointer+"/")
	})
	if i < 0 {
		return nil, pointer
	}
	return fields[i], strings.TrimPrefix(pointer[len(fields[i].Pointer):], "/")
}

// label is what people call a word of the field.
func (f *field) label(value string) string {
	for _, c := range f.Choices {
		if c.Value == value {
			return c.Label
		}
	}
	return value
}
