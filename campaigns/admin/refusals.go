package admin

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"deflectd/campaigns/guard"
)

// refusalOf says why a text to a number is refused. What is so because of the
// number itself is wrong with the request; what depends on what was before is a
// conflict, which time or an admin may end.
func refusalOf(r guard.Refusal, countries []string) *Problem {
	if what := unfit[r.Reason]; what != "" {
		if r.Reason == guard.CountryNotAllowed {
			what += "; those are: " + strings.Join(countries, ", ")
		}
		return invalid(inTo(what)).because(string(r.Reason))
	}
	detail := refused[r.Reason]
	if limit := limits[r.Limit]; limit != "" {
		detail = limit
	}
	if detail == "" {
		detail = unknownRefusal
	}
	p := problem(http.StatusConflict, detail).because(string(r.Reason))
	if r.RetryAfter > 0 {
		p = p.with("Retry-After", seconds(r.RetryAfter))
	}
	return p
}

// seconds is a time to wait in whole seconds, never too short.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10)
}

// unfit are the reasons that lie in the number itself.
var unfit = map[guard.Reason]string{
	guard.ANIOwnNumber:      "is one of your own numbers, which are never texted",
	guard.CountryNotAllowed: "is not a number of a country that may be texted",
	guard.NotMobile:         "is of a type of line that the campaign does not text (line_types)",
}

// unknownRefusal is the word for a reason that is newer than this list.
const unknownRefusal = "the text is refused"

// refused are the reasons that lie in what was before.
var refused = map[guard.Reason]string{
	guard.OptedOut:     "the number has opted out (/v1/opt-outs)",
	guard.Suppressed:   "texts to the number failed for good lately; DELETE /v1/suppressions/NUMBER has it tried again",
	guard.Cooldown:     "the campaign has texted the number a short while ago",
	guard.Capped:       "a limit on texts is reached",
	guard.OutsideHours: "it is not within the hours for marketing (limits.marketing_hours) where the number may be",
	guard.ANIUntrusted: "so many calls came from the number within minutes that it is not trusted",
}

// limits are the caps by their names.
var limits = map[string]string{
	guard.LimitCaller:         "the number has had as many texts within a day as limits.per_caller_per_day of the configuration allows",
	guard.LimitCampaignCaller: "the number has had as many texts within a day as limits.per_caller_per_day of the campaign allows",
	guard.LimitCampaign:       "the campaign has sent as many texts within a day as its limits.per_day allows",
	guard.LimitPrefix:         "the numbers that differ from this one in the last four digits alone have had as many texts within an hour as limits.per_prefix_per_hour of the configuration allows",
	guard.LimitSegments:       "as many segments were sent within a day as limits.segments_per_day of the configuration allows",
}
