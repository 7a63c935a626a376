package page

import (
	"errors"
	"html/template"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/admin"
)

func TestFunctions(t *testing.T) {
	require.Equal(t, "1 text", plural(1, "text", "texts"))
	require.Equal(t, "0 texts", plural(int64(0), "text", "texts"))
	require.Equal(t, "1,234,567", count(1234567))
	require.Equal(t, "-1,000", count(-1000))
	require.Equal(t, "999", count(999))
	require.Equal(t, "Is needed.", sentence("is needed"))
	require.Equal(t, "What?", sentence("what?"))
	require.Equal(t, "Ärger.", sentence(" ärger "))
	require.Equal(t, "", sentence(""))
	at := time.Date(2026, 3, 9, 23, 30, 0, 0, time.FixedZone("", -2*3600))
	require.Equal(t, template.HTML(`<time datetime="2026-03-10T01:30:00Z">10 Mar 2026, 01:30 UTC</time>`), timeElement(at))
	require.Equal(t, template.HTML(`<time datetime="2026-03-10T01:30:00Z">10 Mar 2026</time>`), dayElement(at))
	require.Empty(t, timeElement(time.Time{}))
	_, err := dict("a")
	require.Error(t, err)
	_, err = dict(1, 2)
	require.Error(t, err)
	_, err = newInput("Nme", "x")
	require.Error(t, err)
	_, err = newInput("Name", 1)
	require.Error(t, err)
}

// inputPage shows inputs alone.
func inputPage(t *testing.T, i input) string {
	t.Helper()
	var b []byte
	parts := loadTemplates(loadAssets()).parts
	template.Must(parts.New("one").Parse(`{{template "input" .Data}}`))
	b, err := execute(parts, "one", &shown{Data: i})
	require.NoError(t, err)
	return string(b)
}

func TestInputsSayWhatTheyAre(t *testing.T) {
	text := inputPage(t, input{
		Name: "interaction.url", Label: "Address", Hint: "Where it leads", Value: `"><script>alert(1)</script>`,
		Errors: []string{"must be https"}, Warnings: []string{"is long"}, Required: true, Max: 9, Code: true,
	})
	require.Contains(t, text, `<label for="f-interaction-url">Address <span class="needed">(needed)</span></label>`)
	require.Contains(t, text, `aria-describedby="f-interaction-url-error f-interaction-url-hint f-interaction-url-warning"`)
	require.Contains(t, text, `aria-invalid="true"`)
	require.Contains(t, text, `id="f-interaction-url-error"><p>Must be https.</p>`)
	require.Contains(t, text, `id="f-interaction-url-warning"><p>Is long.</p>`)
	require.Contains(t, text, ` required`)
	require.Contains(t, text, ` maxlength="9"`)
	require.NotContains(t, text, "<script>")

	text = inputPage(t, input{Kind: "textarea", Name: "text", Label: "Text", Value: "\nfirst line was empty"})
	require.Contains(t, text, ">\n\nfirst line was empty</textarea>", "browsers drop the first line break of a textarea")
	text = inputPage(t, input{Kind: "select", Name: "kind", Label: "Kind", Value: "b", Options: []option{{"a", "A"}, {"b", "B"}}})
	require.Contains(t, text, `<option value="b" selected>B</option>`)
	require.Contains(t, text, `<option value="a">A</option>`)
	text = inputPage(t, input{Kind: "checkbox", Name: "on", Label: "On", Checked: true, Hint: "h"})
	require.Contains(t, text, `<input type="checkbox" id="f-on" name="on" value="true" checked aria-describedby="f-on-hint">`)
	text = inputPage(t, input{Kind: "checks", Name: "lines", Label: "Lines", Values: []string{"x"}, Options: []option{{"x", "X"}, {"y", "Y"}}, Errors: []string{"no"}})
	require.Contains(t, text, `<fieldset class="checks" aria-describedby="f-lines-error">`)
	require.Contains(t, text, `id="f-lines-0" name="lines" value="x" checked>`)
	require.Contains(t, text, `<label for="f-lines-1">Y</label>`)
}

func TestTroubles(t *testing.T) {
	pointer := "/text"
	p := &admin.Problem{Status: 422, Detail: "the request is not valid", Errors: []admin.Detail{
		{Detail: "is needed", Pointer: &pointer}, {Detail: "is odd", Parameter: "q"},
	}}
	require.Equal(t, []trouble{{Text: "text is needed"}, {Text: "q is odd"}}, troublesOf(p, nil))
	require.Equal(t, []trouble{{Text: "is needed", Field: "text", Label: "Text"}, {Text: "q is odd"}}, troublesOf(p, func(place string) (string, string) {
		if place == pointer {
			return "text", "Text"
		}
		return "", ""
	}))
	require.Equal(t, []trouble{{Text: "there is no such campaign"}}, troublesOf(&admin.Problem{Detail: "there is no such campaign"}, nil))
}

// Whatever goes wrong is said on a page, and what was thrown stays out of the log.
func TestPagesThatFail(t *testing.T) {
	f := newFixture(t)
	p := f.page
	p.Registerer = nil
	pages := newPages(p)
	pages.handle("GET /panics", func(*view) error { panic("+14155550132 said hello") })
	pages.handle("GET /fails", func(*view) error { return errors.New("it broke") })
	pages.handle("GET /half", func(v *view) error {
		v.write(200, []byte("half"))
		return errors.New("too late")
	})
	pages.handle("GET /wrong-template", func(v *view) error { return v.render(200, "nothing", nil) })
	pages.handle("GET /wrong-notice", func(v *view) error { return v.done("/", "nothing") })
	b := f.with(http.HandlerFunc(pages.serve)).browser("admin")
	for _, address := range []string{"/panics", "/fails", "/wrong-template", "/wrong-notice"} {
		b.get(address).want(500).shows("Something went wrong", "deflectd made a mistake: its log says which.")
	}
	require.NotContains(t, f.log.String(), "4155550132")
	require.Contains(t, f.log.String(), "it broke")
	_, err := b.client.Get(b.url + "/half")
	require.Error(t, err, "half a page is none")
}
