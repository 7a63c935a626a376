package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const aText = `{"originator":"Acme","body":"Hi","recipients":["14155550123"],"reference":"m1","validity":900,` +
	`"datacoding":"plain","reportUrl":"%URL%"}`

// post sends a text the way MessageBird's own client does.
func post(ctx context.Context, p *Provider, body string) (status int, answer string, header http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/messages", strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	req.Header.Set("Authorization", "AccessKey "+p.AccessKey)
	res, err := single.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), res.Header, errors.Join(err, res.Body.Close())
}

func startProvider(t *testing.T) *Provider {
	t.Helper()
	p, err := StartProvider()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	return p
}

func TestProviderTakesTextsAndReports(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	reports := make(chan *http.Request, 1)
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reports <- r }))
	defer webhook.Close()

	status, answer, _, err := post(t.Context(), p, strings.Replace(aText, "%URL%", webhook.URL+"/report/x?y=1", 1))
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, status)
	require.Contains(t, answer, `"reference":"m1"`)
	require.Contains(t, answer, `"recipient":14155550123`)
	texts, err := p.AwaitTexts(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []string{"14155550123"}, texts[0].Recipients)
	require.Equal(t, 900, texts[0].Validity)
	require.Contains(t, answer, texts[0].ID)

	status, err = p.Report(t.Context(), texts[0], DeliveryReport{Status: "delivery_failed", ErrorCode: 103})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	r := <-reports
	require.Equal(t, "/report/x", r.URL.Path)
	for name, want := range map[string]string{
		"y": "1", "id": texts[0].ID, "reference": "m1", "status": "delivery_failed", "statusErrorCode": "103",
		"recipient": "14155550123",
	} {
		require.Equal(t, want, r.URL.Query().Get(name), name)
	}
}

func TestProviderBehaves(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.Then(Rejects(10, "originator is invalid", "originator"), TooMany(7), Breaks(503), HangsUp(), Slow(100*time.Millisecond))

	status, answer, _, err := post(t.Context(), p, aText)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, status)
	require.JSONEq(t, `{"errors":[{"code":10,"description":"originator is invalid","parameter":"originator"}]}`, answer)

	status, _, header, err := post(t.Context(), p, aText)
	require.NoError(t, err)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "7", header.Get("Retry-After"))

	status, answer, _, err = post(t.Context(), p, aText)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, answer, "<html>")

	_, _, _, err = post(t.Context(), p, aText)
	require.ErrorIs(t, err, io.EOF)

	begin := time.Now()
	status, _, _, err = post(t.Context(), p, aText)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, status)
	require.GreaterOrEqual(t, time.Since(begin), 100*time.Millisecond)

	p.Behave(Silent())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, _, _, err := post(ctx, p, aText)
		ended <- err
	}()
	require.Eventually(t, func() bool { return len(p.Requests()) == 6 }, time.Minute, 5*time.Millisecond)
	time.Sleep(100 * time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Len(t, p.Texts(), 1)

	require.NoError(t, p.Refuse())
	_, _, _, err = post(t.Context(), p, aText)
	var refused *net.OpError
	require.ErrorAs(t, err, &refused)
	p.Behave(Behaviour{})
	require.NoError(t, p.Accept())
	status, _, _, err = post(t.Context(), p, aText)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, status)

	p.AccessKey = "another"
	p.Behave(Behaviour{})
	res, err := single.Get(p.URL + "/balance")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
}

// What hangs in the provider ends with it.
func TestProviderStopsWhileItHangs(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.Behave(Silent())
	ended := make(chan error, 1)
	go func() {
		_, _, _, err := post(t.Context(), p, aText)
		ended <- err
	}()
	require.Eventually(t, func() bool { return len(p.Requests()) == 1 }, time.Minute, 5*time.Millisecond)
	require.NoError(t, p.Stop())
	require.Error(t, <-ended)
}
