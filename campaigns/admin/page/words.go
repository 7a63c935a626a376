package page

import "strings"

// inPlace says what the API tells programs in the words of people: not by which
// operation something is done, but where on the page.
func inPlace(text string) string { return places.Replace(text) }

var places = strings.NewReplacer(
	"sending is switched off for all campaigns (/v1/service)",
	"the service is switched off for all campaigns: an admin can switch it on at the top of SMS Management",

	"there is no sender: configure one, name one in the campaign, or obtain one (/v1/senders)",
	"there is nothing to send from: name a sender in the campaign, or have an admin obtain a number (SMS Management, Manage senders)",

	"there is no sender its texts could come from: name one, configure one, or obtain a number (/v1/senders)",
	"there is nothing its texts could come from: name a sender here, or have an admin obtain a number (SMS Management, Manage senders)",

	"the number has opted out (/v1/opt-outs)", "the number has opted out (see Opt-outs)",

	"texts to the number failed for good lately; DELETE /v1/suppressions/NUMBER has it tried again",
	"texts to the number failed for good lately, so none is tried for a while; who runs deflectd can have it tried again",

	"limits.per_caller_per_day of the campaign allows", "the campaign’s “Texts to one caller a day” allows",
	"its limits.per_day allows", "its “Texts of this campaign a day” allows",
	" (line_types)", "",

	"the campaign was changed meanwhile: read it again", "the campaign was changed meanwhile: open it again",
	"the idempotency key was used for another request", "this form has done something else already: open the page again",
	"the request is not valid", "something of it is not right",
)
