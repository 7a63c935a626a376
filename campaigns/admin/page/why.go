package page

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
	"deflectd/campaigns/report"
)

const (
	whyPath = "/why"
	// latelyLimit is how many texts and calls of a number are shown.
	latelyLimit = 5
)

// whyPage is what why.html shows.
type whyPage struct {
	Fields   []input // number and DNIS
	More     []input // what is rarely asked
	Open     bool    // some of More is filled in
	Troubles []trouble
	Decision *decisionShown
	Lately   *latelyShown
}

// decisionShown is what would become of a call.
type decisionShown struct {
	report.Decision
	Title string
	Text  string
	Steps []stepShown
}

// stepShown is one rule that a call is judged by.
type stepShown struct {
	report.DecisionStep
	Question string // what is asked
	Answer   string
	Class    string // of the badge
}

// latelyShown is what happened of late with a number.
type latelyShown struct {
	Texts []messageRow
	Calls []callRow
}

// callRow is one call of a number.
type callRow struct {
	At       time.Time
	Campaign string
	DNIS     string
	Outcome  string
	Means    string
	Reason   string
	Message  string // the id of its text
}

func (p *pages) whyRoutes() {
	p.handle("GET "+whyPath, func(v *view) error { return v.render(http.StatusOK, "why", newWhyPage(report.Question{})) })
	p.handle("POST "+whyPath, (*view).why)
	p.handleAgain("POST "+whyPath, (*view).why) // it changes nothing
}

func newWhyPage(q report.Question) whyPage {
	return whyPage{
		Open: q.Presentation != "" || q.RDNIS != "",
		Fields: []input{
			{Kind: "tel", Name: "ani", Label: "The caller's number", Value: q.ANI, Max: 64, Placeholder: "+14155550132", Code: true, Hint: "As the call shows it. Empty: it is withheld."},
			{Kind: "tel", Name: "dnis", Label: "The number dialled", Value: q.DNIS, Max: 64, Required: true, Placeholder: "+18005550100", Code: true, Hint: "One of yours: of a campaign, mostly."},
		},
		More: []input{
			{Kind: "select", Name: "pres", Label: "Presentation", Value: q.Presentation, Hint: "Whether the caller lets the number be shown.", Options: []option{
				{Value: "", Label: "Allowed"}, {Value: "prohib", Label: "Withheld"}, {Value: "unavailable", Label: "Not available"},
			}},
			{Kind: "tel", Name: "rdnis", Label: "Forwarded by", Value: q.RDNIS, Max: 64, Code: true, Hint: "The number that forwarded the call, if any did."},
		},
	}
}

// whyField names the control that a part of the API is about.
func whyField(place string) (name, label string) {
	name = strings.TrimPrefix(place, "/")
	for _, i := range append(newWhyPage(report.Question{}).Fields, newWhyPage(report.Question{}).More...) {
		if i.Name == name {
			return name, i.Label
		}
	}
	return "", ""
}

// why shows what would become of a call, and what has been of late. The numbers
// come in a form: they stay out of addresses.
func (v *view) why() error {
	q := report.Question{
		DNIS: strings.TrimSpace(v.form("dnis")), ANI: strings.TrimSpace(v.form("ani")),
		Presentation: v.form("pres"), RDNIS: strings.TrimSpace(v.form("rdnis")),
	}
	data := newWhyPage(q)
	if q.DNIS == "" {
		data.blame([]trouble{{Field: "dnis", Label: "The number dialled", Text: "is needed"}})
		return v.render(http.StatusUnprocessableEntity, "why", data)
	}
	decision, err := v.api.Decide(v.ctx(), q)
	troubles, err := searchTroubles(err, whyField)
	switch {
	case troubles != nil:
		data.blame(troubles)
		return v.render(http.StatusUnprocessableEntity, "why", data)
	case err != nil:
		return err
	}
	data.Decision = shownDecision(decision)
	if data.Lately, err = v.lately(q.ANI); err != nil {
		return err
	}
	return v.render(http.StatusOK, "why", data)
}

// blame puts what is wrong beside the controls it is about, and above the form.
func (d *whyPage) blame(troubles []trouble) {
	for _, t := range troubles {
		for _, form := range [][]input{d.Fields, d.More} {
			for i := range form {
				if form[i].Name == t.Field {
					form[i].Errors = append(form[i].Errors, t.Text)
				}
			}
		}
	}
	d.Troubles = troubles
}

// lately finds the last texts to and calls from a number; nil where it is none.
func (v *view) lately(number string) (*latelyShown, error) {
	if number == "" {
		return nil, nil
	}
	texts, err := v.api.Messages(v.ctx(), client.MessageQuery{To: number, Limit: latelyLimit})
	var p *admin.Problem
	if errors.As(err, &p) && p.Status == http.StatusUnprocessableEntity {
		return nil, nil // what is no number has no texts
	}
	if err != nil {
		return nil, err
	}
	calls, err := v.api.Calls(v.ctx(), client.CallQuery{ANI: number, Limit: latelyLimit})
	if err != nil {
		return nil, err
	}
	found := &latelyShown{}
	for _, m := range texts.Items {
		found.Texts = append(found.Texts, newMessageRow(m))
	}
	for _, c := range calls.Items {
		found.Calls = append(found.Calls, callRow{
			At: c.Started, Campaign: c.Campaign, DNIS: c.DNIS, Outcome: string(c.Outcome), Means: meansOf(c.Outcome, c.Reason),
			Reason: string(c.Reason), Message: c.Message,
		})
	}
	return found, nil
}

// meansOf explains what became of a call, as docs/outcomes.md does.
func meansOf(o report.Outcome, r report.Reason) string {
	for _, row := range report.Table {
		if row.Outcome == o && row.Reason == r {
			return row.Means
		}
	}
	return ""
}

func shownDecision(d report.Decision) *decisionShown {
	shown := &decisionShown{Decision: d}
	switch {
	case d.Offered:
		shown.Title = "Yes: the caller would be offered a text"
		shown.Text = "Nothing speaks against it at this moment."
	default:
		shown.Title = "No: the call would go on without an offer"
		shown.Text = meansOf(d.Outcome, d.Reason)
	}
	for _, s := range d.Steps {
		one := stepShown{DecisionStep: s, Question: questions[s.Name]}
		if one.Question == "" {
			one.Question = strings.ReplaceAll(string(s.Name), "_", " ")
		}
		switch s.Result {
		case report.StepOK:
			one.Answer, one.Class = "Fine", "on"
		case report.StepRefuses:
			one.Answer, one.Class = "Refuses", "danger"
		default:
			one.Answer, one.Class = "Not looked at", ""
		}
		shown.Steps = append(shown.Steps, one)
	}
	return shown
}

// questions are the rules of report.StepNames as people would ask.
var questions = map[report.StepName]string{
	report.StepCampaigns:      "Are the campaigns known?",
	report.StepCampaign:       "Does a campaign answer the number dialled?",
	report.StepEnabled:        "Is the campaign switched on?",
	report.StepForwarded:      "Was the call forwarded?",
	report.StepWithheld:       "Does the caller show a number?",
	report.StepCaller:         "Is it a telephone number?",
	report.StepOwn:            "Is it one of your own numbers?",
	report.StepCountry:        "May its country be texted?",
	report.StepLineType:       "Can that kind of line be texted?",
	report.StepMarketing:      "May marketing be sent at this hour?",
	report.StepService:        "Is the service switched on?",
	report.StepSender:         "Is there a sender?",
	report.StepStopping:       "Is deflectd about to stop?",
	report.StepStore:          "Does the store answer?",
	report.StepProvider:       "Does the provider take texts?",
	report.StepHistory:        "Can it be looked up what was before?",
	report.StepOptOut:         "Has the person opted out?",
	report.StepSuppression:    "Have texts to the number failed for good?",
	report.StepSurge:          "Do suspiciously many calls show this number?",
	report.StepCooldown:       "Was the person texted a short while ago?",
	report.StepCaller24:       "Has the person had enough texts today?",
	report.StepCampaignCaller: "Has the person had enough texts of this campaign today?",
	report.StepPrefix:         "Have numbers close to it had enough texts this hour?",
	report.StepCampaignDay:    "Has the campaign sent enough today?",
	report.StepSegments:       "Has enough been sent today in all?",
	report.StepLoad:           "Are there too many calls at once?",
}
