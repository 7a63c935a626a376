package page

import (
	"bytes"
	"encoding/csv"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// upload posts a form with a file.
func (b *browser) upload(address, content string) answer {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	require.NoError(b.t, w.WriteField(formToken, b.formToken()))
	if content != "none" {
		part, err := w.CreateFormFile("file", "list.csv")
		require.NoError(b.t, err)
		_, err = part.Write([]byte(content))
		require.NoError(b.t, err)
	}
	require.NoError(b.t, w.Close())
	return b.do(http.MethodPost, address, &body, w.FormDataContentType())
}

func TestOptOutsAreAddedFoundAndRemoved(t *testing.T) {
	f := newFixture(t)
	editor := f.browser("editor")
	editor.get("/opt-outs").want(http.StatusOK).shows("Nobody has opted out")

	// A reason is needed, and what was typed is not lost.
	a := editor.post("/opt-outs/add", "add-number", "(415) 555-0132", "reason", " ").want(http.StatusUnprocessableEntity)
	a.shows("why is the number never to be texted?")
	require.Contains(t, a.body, `value="(415) 555-0132"`)
	a = editor.post("/opt-outs/add", "add-number", "nobody", "reason", "wrote").want(http.StatusUnprocessableEntity)
	a.shows("is not a telephone number")
	require.Contains(t, a.body, `href="#f-add-number"`)

	editor.post("/opt-outs/add", "add-number", "(415) 555-0132", "reason", "wrote <i>a letter</i>").
		to("/opt-outs?notice=opt-out-added").follow().
		shows(person, "Added by hand", "wrote <i>a letter</i>", "by editor", "no text to it begins")
	editor.post("/opt-outs/add", "add-number", person, "reason", "again").to("/opt-outs?notice=opt-out-known")

	editor.post("/opt-outs", "number", "415-555-0132").want(http.StatusOK).shows(person+" has opted out", "wrote <i>a letter</i>")
	editor.post("/opt-outs", "number", "+14155550133").want(http.StatusOK).shows("+14155550133 has not opted out")
	editor.post("/opt-outs", "number", "nobody").want(http.StatusUnprocessableEntity).shows("is not a telephone number")
	editor.post("/opt-outs", "number", "", "source", "inbound").to("/opt-outs?source=inbound").follow().hides(person)
	editor.get("/opt-outs?source=page").shows(person)
	editor.get("/opt-outs?source=nonsense&cursor=x").want(http.StatusOK).shows(person)

	// To remove it, somebody says why.
	editor.post("/opt-outs/remove", "number", person).want(http.StatusOK).shows("Let this number be texted again?", person)
	editor.post("/opt-outs/remove", "number", person, "confirmed", "yes", "why", "").want(http.StatusUnprocessableEntity).shows("how did the person ask for it?")
	editor.post("/opt-outs", "number", person).shows("has opted out")
	editor.post("/opt-outs/remove", "number", person, "confirmed", "yes", "why", "asked by email").to("/opt-outs?notice=opt-out-removed")
	editor.post("/opt-outs", "number", person).shows("has not opted out", "by editor", "asked by email")
	editor.post("/opt-outs/remove", "number", person, "confirmed", "yes", "why", "twice").want(http.StatusNotFound)
	require.NotContains(t, f.log.String(), "4155550132")
}

func TestOptOutsOfAViewer(t *testing.T) {
	f := newFixture(t)
	f.call(http.MethodPut, "/v1/opt-outs/+14155550132", "", http.StatusCreated)
	viewer := f.browser("viewer")
	viewer.get("/opt-outs").want(http.StatusOK).shows("+1 ••• 32").hides(person, "Add a number", "Import", "Export", "Remove")
	viewer.post("/opt-outs/add", "add-number", "+14155550133", "reason", "x").want(http.StatusForbidden)
	viewer.post("/opt-outs/remove", "number", person).want(http.StatusForbidden)
	viewer.post("/opt-outs/remove", "number", person, "confirmed", "yes", "why", "x").want(http.StatusForbidden)
	viewer.upload("/opt-outs/import", "+14155550133\n").want(http.StatusForbidden)
	viewer.get("/opt-outs/export").want(http.StatusForbidden)
	f.browser("editor").get("/opt-outs").shows(person).hides("+14155550133")
}

func TestOptOutsGoInAndOutAsAFile(t *testing.T) {
	f := newFixture(t)
	editor := f.browser("editor")
	editor.upload("/opt-outs/import", "number,reason\n+14155550132,first\n(415) 555-0133,\nnobody,\n+14155550132,\n").want(http.StatusOK).
		shows("2 numbers are new on the list, 1 was on it already, and 1 line could not be taken", "Line 4:").shows(person, "From a list")
	for content, says := range map[string]string{
		"none":                    "Choose a file first",
		"":                        "Is empty",
		"<script>\nx\n":           "no line of the list could be taken",
		strings.Repeat("a\n", 10): "no line of the list could be taken",
	} {
		a := editor.upload("/opt-outs/import", content)
		require.Equal(t, http.StatusUnprocessableEntity, a.code, a.body)
		require.Contains(t, strings.ToLower(a.text()), strings.ToLower(says))
		require.NotContains(t, a.body, "<script>\n")
	}
	editor.upload("/opt-outs/import", strings.Repeat("+14155550132\n", 1<<20)).want(http.StatusRequestEntityTooLarge)

	a := editor.get("/opt-outs/export").want(http.StatusOK)
	require.Equal(t, `attachment; filename="opt-outs.csv"`, a.header.Get("Content-Disposition"))
	require.Equal(t, "text/csv; charset=utf-8", a.header.Get("Content-Type"))
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 3)
	require.Equal(t, "number", rows[0][0])
}

// A session that is over: a search is answered, a number is shown to be added, a
// removal is asked about, and a file must be chosen anew. Nothing is done twice,
// and nothing without somebody who presses the button again.
func TestOptOutsAfterTheSessionIsOver(t *testing.T) {
	f := newFixture(t)
	f.call(http.MethodPut, "/v1/opt-outs/+14155550132", "", http.StatusCreated)
	tests := []struct {
		address string
		form    []string
		shows   string
	}{
		{"/opt-outs", []string{"number", person}, person + " has opted out"},
		{"/opt-outs/remove", []string{"number", person, "confirmed", "yes", "why", "asked"}, "Let this number be texted again?"},
		{"/opt-outs/add", []string{"add-number", "+14155550133", "reason", "wrote"}, "Add a number"},
		{"/messages", []string{"to", person}, "No text is like that"},
		{"/why", []string{"dnis", "+18005550101", "ani", person}, ""},
	}
	for _, test := range tests {
		b := f.browser("")
		a := b.post(test.address, test.form...)
		require.Contains(t, a.text(), "Your session is over", test.address)
		form := []string{"token", "editor", "again", test.address}
		for i := 0; i < len(test.form); i += 2 {
			require.Contains(t, a.body, `name="`+keptPrefix+test.form[i]+`"`, test.address)
			form = append(form, keptPrefix+test.form[i], test.form[i+1])
		}
		a = b.post("/sign-in", form...)
		require.Contains(t, a.text(), test.shows, test.address)
	}
	f.browser("editor").get("/opt-outs").shows(person).hides("+14155550133")
}
