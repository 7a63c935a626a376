package page

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// A file has time to arrive over a slow line, from who has signed in; nothing
// is kept of one from anybody else.
func TestAFileOverASlowLine(t *testing.T) {
	f := newFixture(t)
	o := f.page
	o.Registerer = prometheus.NewRegistry()
	listener := httptest.NewUnstartedServer(New(o))
	listener.Config.ReadTimeout, listener.Config.WriteTimeout = time.Second, 2*time.Second
	listener.Start()
	defer listener.Close()
	slow := *f
	slow.url = listener.URL
	b := f.browser("editor") // who has signed in where there is more time
	b.fixture = &slow
	send := func(b *browser) answer {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		require.NoError(t, form.WriteField(formToken, b.formToken()))
		file, err := form.CreateFormFile("file", "numbers.csv")
		require.NoError(t, err)
		_, err = file.Write([]byte("number\n+14155550132\n"))
		require.NoError(t, err)
		require.NoError(t, form.Close())
		return b.do(http.MethodPost, "/opt-outs/import", &slowly{body: &body, at: body.Len() / 2, wait: 3 * time.Second}, form.FormDataContentType())
	}
	send(b).want(200)
	require.Contains(t, f.call(http.MethodGet, "/v1/opt-outs", "", 200), "+14155550132")
}

// slowly is a body that pauses in the middle.
type slowly struct {
	body *bytes.Buffer
	at   int
	wait time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.body.Len() > s.at {
		return s.body.Read(p[:min(len(p), s.body.Len()-s.at)])
	}
	time.Sleep(s.wait) // longer than the listener waits
	s.wait = 0
	return s.body.Read(p)
}

func TestAFileThatIsTooLarge(t *testing.T) {
	f := newFixture(t)
	for _, who := range []string{"editor", ""} {
		b := f.browser(who)
		head := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n"
		body := io.MultiReader(strings.NewReader(head), io.LimitReader(zeros{}, maxUpload))
		a := b.do(http.MethodPost, "/opt-outs/import", body, "multipart/form-data; boundary=x")
		if who == "" {
			a.want(401).shows("choose the file once more")
			continue
		}
		a.want(413).shows("at most 10 MB", "Sign out")
	}
}

// zeros is a file without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// A file is not kept over a sign-in, and it says so.
func TestSessionEndsWithAFile(t *testing.T) {
	f := newFixture(t)
	b := f.browser("")
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	require.NoError(t, form.WriteField("reason", "they asked"))
	file, err := form.CreateFormFile("list", "numbers.csv")
	require.NoError(t, err)
	_, err = file.Write([]byte("+14155550132\n"))
	require.NoError(t, err)
	require.NoError(t, form.Close())
	b.do(http.MethodPost, "/opt-outs/import", &body, form.FormDataContentType()).want(401).
		shows("choose the file once more").hides("4155550132")
}
