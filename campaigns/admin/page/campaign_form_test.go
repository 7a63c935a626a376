package page

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"deflectd/campaigns"
)

// filled is a form as a browser posts it, with the boxes ticked that usually are.
func filled(change url.Values) url.Values {
	form := url.Values{
		"id": {"billing"}, "name": {"Billing questions"}, "text": {"Acme: pay your bill here {link}"},
		"interaction.url": {"https://visual.example.com/start"}, "dnis": {"+18005550100"},
		"enabled": {on}, "kind": {"service"}, "offer.mode": {"ask"}, "release.action": {"hangup"},
		"release.wait_for": {"accepted"}, "on_unknown": {"drop"}, "interaction.caller_id": {"plain"},
		"line_types": {"mobile", "unknown"}, "interaction.params.name": {"", ""}, "interaction.params.value": {"", ""},
	}
	for name, values := range change {
		form[name] = values
	}
	return form
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	body, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAFormWithNothingUnusualSaysOnlyWhatIsNeeded(t *testing.T) {
	doc, wrong := entriesOf(filled(nil)).document()
	if len(wrong) > 0 {
		t.Fatalf("wrong: %v", wrong)
	}
	want := `{"dnis":["+18005550100"],"id":"billing","interaction":{"url":"https://visual.example.com/start"},` +
		`"name":"Billing questions","text":"Acme: pay your bill here {link}"}`
	if got := asJSON(t, doc); got != want {
		t.Errorf("document\n got %s\nwant %s", got, want)
	}
}

func TestAnEmptyFormAsksTheAPIWhatIsNeeded(t *testing.T) {
	doc, wrong := entriesOf(url.Values{"enabled": {on}, "line_types": {"mobile", "unknown"}}).document()
	if len(wrong) > 0 {
		t.Fatalf("wrong: %v", wrong)
	}
	if got, want := asJSON(t, doc), `{"dnis":[],"id":"","interaction":{"url":""},"text":""}`; got != want {
		t.Errorf("document\n got %s\nwant %s", got, want)
	}
}

func TestDocument(t *testing.T) {
	for name, test := range map[string]struct {
		form    url.Values
		pointer string
		want    string // JSON; "null" for what is left out
		wrong   string // part of what is said of it
	}{
		"spaces around a line":        {url.Values{"name": {"  Bills \t"}}, "/name", `"Bills"`, ""},
		"spaces in a text stay":       {url.Values{"text": {" a\r\n{link} "}}, "/text", `" a\n{link} "`, ""},
		"numbers by line and comma":   {url.Values{"dnis": {"+18005550100\r\n\r\n 555 , 12*;"}}, "/dnis", `["+18005550100","555","12*"]`, ""},
		"no numbers":                  {url.Values{"dnis": {" \r\n"}}, "/dnis", `[]`, ""},
		"HTML is text":                {url.Values{"name": {`<script>alert(1)</script>`}}, "/name", `"\u003cscript\u003ealert(1)\u003c/script\u003e"`, ""},
		"emoji":                       {url.Values{"text": {"👍🏽 {link}"}}, "/text", `"👍🏽 {link}"`, ""},
		"right to left":               {url.Values{"text": {"שלום {link}"}}, "/text", `"שלום {link}"`, ""},
		"huge":                        {url.Values{"name": {strings.Repeat("x", 100_000)}}, "/name", `"` + strings.Repeat("x", 100_000) + `"`, ""},
		"off":                         {url.Values{"enabled": nil}, "/enabled", "false", ""},
		"on as usual":                 {url.Values{"enabled": {on}}, "/enabled", "null", ""},
		"no kind of line":             {url.Values{"line_types": nil}, "/line_types", `[]`, ""},
		"kinds of line in any order":  {url.Values{"line_types": {"unknown", "mobile"}}, "/line_types", "null", ""},
		"another kind of line":        {url.Values{"line_types": {"voip", "mobile"}}, "/line_types", `["mobile","voip"]`, ""},
		"a kind of line unheard of":   {url.Values{"line_types": {"<b>", "mobile"}}, "/line_types", `["mobile","\u003cb\u003e"]`, ""},
		"a duration":                  {url.Values{"validity": {"60m"}}, "/validity", `"1h"`, ""},
		"a duration as usual":         {url.Values{"validity": {"900s"}}, "/validity", "null", ""},
		"a duration that is none":     {url.Values{"validity": {"soon"}}, "/validity", "null", "is not a time"},
		"a duration without a unit":   {url.Values{"validity": {"15"}}, "/validity", "null", "is not a time"},
		"a negative duration":         {url.Values{"validity": {"-15m"}}, "/validity", "null", "is not a time"},
		"a huge duration":             {url.Values{"validity": {strings.Repeat("9", 400) + "h"}}, "/validity", "null", "is not a time"},
		"no pause":                    {url.Values{"limits.cooldown": {"0s"}}, "/limits/cooldown", `"0s"`, ""},
		"a pause that is none":        {url.Values{"limits.cooldown": {"<i>"}}, "/limits/cooldown", "null", "0s for none"},
		"no limit":                    {url.Values{"limits.per_day": {"0"}}, "/limits/per_day", "0", ""},
		"a number":                    {url.Values{"offer.attempts": {"3"}}, "/offer/attempts", "3", ""},
		"a number as usual":           {url.Values{"offer.attempts": {"02"}}, "/offer/attempts", "null", ""},
		"a number in words":           {url.Values{"offer.attempts": {"two"}}, "/offer/attempts", "null", "whole number"},
		"a broken number":             {url.Values{"offer.attempts": {"1.5"}}, "/offer/attempts", "null", "whole number"},
		"an emoji for a number":       {url.Values{"offer.attempts": {"3️⃣"}}, "/offer/attempts", "null", "whole number"},
		"a number without end":        {url.Values{"limits.per_day": {strings.Repeat("9", 5000)}}, "/limits/per_day", "null", "whole number"},
		"the usual offer, asked":      {url.Values{"offer.prompt": {"sound:deflectd/offer"}}, "/offer/prompt", "null", ""},
		"the usual offer, not asked":  {url.Values{"offer.prompt": {"sound:deflectd/offer"}, "offer.mode": {"send"}}, "/offer/prompt", `"sound:deflectd/offer"`, ""},
		"a word unheard of":           {url.Values{"kind": {"spam"}}, "/kind", `"spam"`, ""},
		"params":                      {pairs("lang", "en", "", "", " a ", " b "), "/interaction/params", `{"a":" b ","lang":"en"}`, ""},
		"a param without a value":     {pairs("lang", ""), "/interaction/params", `{"lang":""}`, ""},
		"a param without a name":      {pairs("", "en"), "/interaction/params", "null", "without a name"},
		"a param twice":               {pairs("lang", "en", "lang", "de"), "/interaction/params", "null", "twice"},
		"a param whose value is gone": {url.Values{"interaction.params.name": {"lang"}, "interaction.params.value": nil}, "/interaction/params", `{"lang":""}`, ""},
		"a param of another page":     {pairs("__proto__", "x"), "/interaction/params", `{"__proto__":"x"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			doc, wrong := entriesOf(filled(test.form)).document()
			if got := asJSON(t, valueAt(doc, test.pointer)); got != test.want {
				t.Errorf("%s is %s, want %s", test.pointer, got, test.want)
			}
			switch {
			case test.wrong == "" && len(wrong) > 0:
				t.Errorf("refused: %v", wrong)
			case test.wrong != "" && (len(wrong) != 1 || wrong[0].Pointer != test.pointer || !strings.Contains(wrong[0].Message, test.wrong)):
				t.Errorf("said %v, want %q at %s", wrong, test.wrong, test.pointer)
			}
		})
	}
}

func pairs(namesAndValues ...string) url.Values {
	form := url.Values{}
	for row := range slices.Chunk(namesAndValues, 2) {
		form.Add("interaction.params.name", row[0])
		form.Add("interaction.params.value", row[1])
	}
	return form
}

// full is a campaign in which every field that can be edited says something
// unusual.
func full() *campaigns.Campaign {
	enabled, cooldown, perCaller, perDay := false, campaigns.Pause(2*time.Hour), 5, 0
	return &campaigns.Campaign{
		ID: "billing", Name: "Billing", Enabled: &enabled, Kind: "marketing", DNIS: []string{"+18005550100", "12*"},
		Interaction: campaigns.Interaction{
			ID: "pay", URL: "https://visual.example.com/{interaction_id}", Params: map[string]string{"lang": "en", "a": ""},
			CallerID: campaigns.CallerIDNone, CallerIDParam: "who",
		},
		Text: "Pay\n{link}", Originator: "Acme", Validity: campaigns.Duration(time.Hour), OnUnknown: campaigns.OnUnknownResend,
		LineTypes: []string{"mobile", "voip"}, Link: campaigns.LinkPolicy{ExpiresAfter: campaigns.Duration(240 * time.Hour)},
		Offer: campaigns.Offer{
			Mode: campaigns.ModeSend, Prompt: "sound:x", Accept: "3", Decline: "4", OptOut: "9",
			Timeout: campaigns.Duration(9 * time.Second), Attempts: 3,
		},
		Prompts: campaigns.Prompts{Sent: "sound:a", Failed: "sound:b", OptedOut: "sound:c"},
		Release: campaigns.Release{
			Action: campaigns.ActionTransfer, WaitFor: campaigns.WaitQueued, Wait: campaigns.Duration(7 * time.Second),
			OnTimeout: campaigns.ActionTransfer, Transfer: campaigns.Transfer{Context: "ivr", Extension: "s", Priority: 2},
		},
		Limits: &campaigns.Limits{Cooldown: &cooldown, PerCallerPerDay: &perCaller, PerDay: &perDay},
	}
}

// notInTheForm are the fields of a campaign that are not built yet, or have
// only one value.
var notInTheForm = []string{"/offer/other_number", "/hours", "/shadow", "/holdout_percent", "/release/on_timeout"}

// TestEveryFieldOfACampaignIsInTheForm holds the form to the campaign: what is
// added there is missed here.
func TestEveryFieldOfACampaignIsInTheForm(t *testing.T) {
	var walk func(at string, typ reflect.Type)
	walk = func(at string, typ reflect.Type) {
		for i := range typ.NumField() {
			part := typ.Field(i)
			name, _, _ := strings.Cut(part.Tag.Get("json"), ",")
			pointer := at + "/" + name
			if part.Tag.Get("readOnly") == "true" || slices.Contains(notInTheForm, pointer) {
				continue
			}
			if f, _ := fieldAt(pointer); f != nil {
				continue
			}
			inner := part.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() != reflect.Struct {
				t.Errorf("%s cannot be edited", pointer)
				continue
			}
			walk(pointer, inner)
		}
	}
	walk("", reflect.TypeFor[campaigns.Campaign]())
}

func TestACampaignComesBackFromTheFormAsItWas(t *testing.T) {
	c := full()
	e, err := entriesIn(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if len(e[f.Name]) == 0 {
			t.Errorf("%s is not shown", f.Name)
		}
	}
	doc, wrong := e.document()
	if len(wrong) > 0 {
		t.Fatalf("wrong: %v", wrong)
	}
	back := new(campaigns.Campaign)
	if err := json.Unmarshal([]byte(asJSON(t, doc)), back); err != nil {
		t.Fatal(err)
	}
	back.Release.OnTimeout = c.Release.OnTimeout // has one value alone
	if got, want := asJSON(t, back), asJSON(t, c); got != want {
		t.Errorf("came back as\n%s\nwant\n%s", got, want)
	}
	if patch, wrong := e.patchOn(e); len(patch)+len(wrong) > 0 {
		t.Errorf("nothing was changed, and yet: %v %v", patch, wrong)
	}
}

func TestPatch(t *testing.T) {
	emptied := url.Values{}
	for _, f := range fields {
		emptied[f.Name] = []string{""}
	}
	emptied["id"], emptied["enabled"], emptied["line_types"] = []string{"billing"}, []string{on}, []string{"mobile", "unknown"}
	for name, test := range map[string]struct {
		form url.Values
		want string
	}{
		"nothing":       {nil, `{}`},
		"one field":     {url.Values{"name": {"Bills"}}, `{"name":"Bills"}`},
		"one emptied":   {url.Values{"originator": {" "}}, `{"originator":null}`},
		"back to usual": {url.Values{"validity": {"15m"}}, `{"validity":null}`},
		"a needed one":  {url.Values{"text": {""}}, `{"text":""}`},
		"same in other words": {
			url.Values{"validity": {"60m"}, "limits.cooldown": {"7200s"}, "offer.attempts": {"+3"}, "dnis": {"+18005550100, 12*"}}, `{}`,
		},
		"a param changed, one gone, one new": {pairs("lang", "de", "b", "1"), `{"interaction":{"params":{"a":null,"b":"1","lang":"de"}}}`},
		"all params gone":                    {pairs("", ""), `{"interaction":{"params":null}}`},
		"all emptied": {emptied, `{"dnis":[],"enabled":null,"interaction":{"caller_id":null,"caller_id_param":null,"id":null,"params":null,"url":""},` +
			`"kind":null,"limits":{"cooldown":null,"per_caller_per_day":null,"per_day":null},"line_types":null,"link":{"expires_after":null},"name":null,` +
			`"offer":{"accept":null,"attempts":null,"decline":null,"mode":null,"opt_out":null,"prompt":null,"timeout":null},"on_unknown":null,` +
			`"originator":null,"prompts":{"failed":null,"opted_out":null,"sent":null},` +
			`"release":{"action":null,"transfer":{"context":null,"extension":null,"priority":null},"wait":null,"wait_for":null},"text":"","validity":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			base, err := entriesIn(full())
			if err != nil {
				t.Fatal(err)
			}
			form := base.post()
			for name, values := range test.form {
				form[name] = values
			}
			if name == "all emptied" {
				form = test.form
			}
			patch, wrong := entriesOf(form).patchOn(base)
			if len(wrong) > 0 {
				t.Errorf("wrong: %v", wrong)
			}
			if got := asJSON(t, patch); got != test.want {
				t.Errorf("patch\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// post is a form as a browser posts it where these entries are shown.
func (e entries) post() url.Values {
	form := url.Values{}
	for _, f := range fields {
		got := e[f.Name]
		switch f.Control {
		case controlSwitch, controlChecks:
			if got == nil {
				got = strings.Fields(f.Default)
			}
			if got[0] != off {
				form[f.Name] = got
			}
		case controlPairs:
			for row := range slices.Chunk(got, 2) {
				form.Add(f.Name+pairName, row[0])
				form.Add(f.Name+pairValue, row[1])
			}
		case controlList:
			form.Set(f.Name, strings.Join(got, "\r\n"))
		default:
			form.Set(f.Name, strings.ReplaceAll(strings.Join(got, ""), "\n", "\r\n"))
		}
	}
	return form
}

func TestOffIsNotSavedAsOn(t *testing.T) {
	base, err := entriesIn(&campaigns.Campaign{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	form := base.post()
	delete(form, "enabled")
	patch, _ := entriesOf(form).patchOn(base)
	if got := asJSON(t, patch["enabled"]); got != "false" {
		t.Errorf("enabled is %s", got)
	}
}

func TestNotesStandByTheirFields(t *testing.T) {
	e := entriesOf(filled(url.Values{"dnis": {"+1800\n" + strings.Repeat("9", 100) + "\n<b>"}}))
	for name, test := range map[string]struct {
		problem campaigns.Problem
		field   string
		want    string
	}{
		"a field":           {campaigns.Problem{Pointer: "/text", Message: "is needed: so"}, "text", "Is needed: so."},
		"a list":            {campaigns.Problem{Pointer: "/dnis", Message: "is needed"}, "dnis", "Is needed."},
		"an entry":          {campaigns.Problem{Pointer: "/dnis/0", Message: "is no number"}, "dnis", "“+1800” is no number."},
		"a long entry":      {campaigns.Problem{Pointer: "/dnis/1", Message: "is no number"}, "dnis", "“" + strings.Repeat("9", 40) + "…” is no number."},
		"an entry too many": {campaigns.Problem{Pointer: "/dnis/7", Message: "is no number"}, "dnis", "Is no number."},
		"a param":           {campaigns.Problem{Pointer: "/interaction/params/a~1b", Message: "is long"}, "interaction.params", "“a/b” is long."},
		"a word of several": {campaigns.Problem{Pointer: "/line_types/1", Message: `"x" is not known.`}, "line_types", `"x" is not known.`},
		"deep":              {campaigns.Problem{Pointer: "/release/transfer/context", Message: "must"}, "release.transfer.context", "Must."},
		"not in the form":   {campaigns.Problem{Pointer: "/hours", Message: "is not available yet"}, "", "/hours is not available yet."},
		"all of it":         {campaigns.Problem{Pointer: "", Message: "is wrong"}, "", "Is wrong."},
		"a beginning alike": {campaigns.Problem{Pointer: "/textile", Message: "is wrong"}, "", "/textile is wrong."},
		"another field": {
			campaigns.Problem{Pointer: "/offer/decline", Message: `must be another key than /offer/accept ("1")`},
			"offer.decline", `Must be another key than “Key for the text” ("1").`,
		},
		"another entry": {
			campaigns.Problem{Pointer: "/dnis/2", Message: "says the same as /dnis/0 (+1800)"},
			"dnis", "“<b>” says the same as “Numbers it answers” (entry 1) (+1800).",
		},
		"an address is none": {
			campaigns.Problem{Pointer: "/interaction/url", Message: `such as "https://visual.example.com/text"`},
			"interaction.url", `Such as "https://visual.example.com/text".`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := e.notesOn([]campaigns.Problem{test.problem})
			if len(got) != 1 || !slices.Equal(got[test.field], []string{test.want}) {
				t.Errorf("got %q, want %q at %q", got, test.want, test.field)
			}
		})
	}
}
