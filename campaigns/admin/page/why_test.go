package page

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/report"
)

func TestWhySaysStepByStep(t *testing.T) {
	var asked report.Question
	decision := report.Decision{
		Outcome: report.Passed, Reason: report.Cooldown, Campaign: "billing", Steps: []report.DecisionStep{
			{Name: report.StepCampaign, Result: report.StepOK, Detail: "billing answers <b>+18005550101</b>"},
			{Name: report.StepCooldown, Result: report.StepRefuses, Reason: report.Cooldown, Detail: "texted 5 minutes ago", Decides: true},
			{Name: report.StepLoad, Result: report.StepUnknown, Detail: "it was not asked"},
		},
	}
	f := newFixture(t, func(o *admin.Options) {
		o.Decide = func(_ context.Context, q report.Question) (report.Decision, error) {
			asked = q
			return decision, nil
		}
	})
	f.sender()
	f.create(billing)
	f.text("billing", person, false)
	f.options.Recorder.Record(report.Call{
		ID: "c1", ANI: person, DNIS: "+18005550101", Campaign: "billing", Outcome: report.Passed, Reason: report.OptedOut,
		Started: time.Now().UTC(), Ended: time.Now().UTC(),
	})
	editor := f.browser("editor")
	editor.get("/why").want(http.StatusOK).shows("Why did this number (not) get a text?", "Find out").hides("Step by step")

	var a answer
	require.Eventually(t, func() bool { // the record of the call is written behind
		a = editor.post("/why", "ani", " "+person+" ", "dnis", "+18005550101", "pres", "", "rdnis", "").want(http.StatusOK)
		return strings.Contains(a.text(), "passed The caller asked never to be texted.")
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, report.Question{DNIS: "+18005550101", ANI: person}, asked)
	a.shows("No: the call would go on without an offer", "The caller was texted by this campaign a short while ago.",
		"Recorded as passed, cooldown", "Does a campaign answer the number dialled? Fine Billing answers <b>+18005550101</b>.",
		"Was the person texted a short while ago? Refuses This decides. Texted 5 minutes ago.", "Not looked at",
		"The last texts to this number", "+1 ••• 32")
	require.NotContains(t, a.body, "<b>+1")
	require.Contains(t, a.body, `<li class="refuses decides">`)
	require.Contains(t, a.body, `value="`+strings.ReplaceAll(person, "+", "&#43;")+`"`)

	decision = report.Decision{Offered: true, Campaign: "billing"}
	editor.post("/why", "ani", "anonymous", "dnis", "+18005550101", "rdnis", "+14155550199").want(http.StatusOK).
		shows("Yes: the caller would be offered a text").hides("The last texts")
	require.Equal(t, "+14155550199", asked.RDNIS)
	f.browser("viewer").post("/why", "ani", person, "dnis", "+18005550101").want(http.StatusOK).shows("Yes: the caller")
	require.NotContains(t, f.log.String(), "4155550132")

	// Every rule is asked about in words.
	for _, name := range report.StepNames {
		require.NotEmpty(t, questions[name], name)
	}
}

func TestWhyWithBadInput(t *testing.T) {
	f := newFixture(t, func(o *admin.Options) {
		o.Decide = func(context.Context, report.Question) (report.Decision, error) {
			return report.Decision{}, errors.New("it broke")
		}
	})
	editor := f.browser("editor")
	editor.post("/why", "ani", person, "dnis", "").want(http.StatusUnprocessableEntity).shows("The number dialled: is needed")
	a := editor.post("/why", "ani", strings.Repeat("9", 65), "dnis", "<script>").want(http.StatusUnprocessableEntity)
	require.Contains(t, a.body, `href="#f-ani"`)
	require.Contains(t, a.body, `value="&lt;script&gt;"`)
	editor.post("/why", "ani", "", "dnis", "1").want(http.StatusInternalServerError)
}
