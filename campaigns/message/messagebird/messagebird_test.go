package messagebird

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	messagebird "github.com/messagebird/go-rest-api/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
)

var testSecret = []byte("0123456789abcdef0123456789abcdef")

func secret() []byte { return testSecret }

// created is what MessageBird answers to a text.
const created = `{"id":"e8077d803532c0b5937c639b60216938","href":"https://rest.messagebird.com/messages/e8077d803532c0b5937c639b60216938",
"direction":"mt","type":"sms","originator":"Acme","body":"hello","reference":"m1","validity":900,"gateway":10,"typeDetails":{},
"datacoding":"plain","mclass":1,"scheduledDatetime":null,"createdDatetime":"2026-01-02T10:02:59+00:00",
"recipients":{"totalCount":1,"totalSentCount":1,"totalDeliveredCount":0,"totalDeliveryFailedCount":0,
"items":[{"recipient":14155550132,"status":"sent","statusDatetime":"2026-01-02T10:02:59+00:00","messagePartCount":1}]}}`

// standIn is MessageBird, answering as handler does.
func standIn(t *testing.T, handler http.HandlerFunc) *Provider {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return at(t, s.URL)
}

func at(t *testing.T, base string) *Provider {
	t.Helper()
	c, err := NewClient(Options{AccessKey: "key", URL: base})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return NewProvider(c, "https://txt.example.com", secret)
}

func text() message.Text {
	return message.Text{Reference: "m1", To: "+14155550132", Originator: "Acme", Body: "hello", Validity: 14*time.Minute + 1}
}

func TestATextIsPostedAsTheAPIWantsIt(t *testing.T) {
	var got map[string]any
	p := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "POST /messages", r.Method+" "+r.URL.Path)
		assert.Equal(t, "AccessKey key", r.Header.Get("Authorization"))
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		assert.Empty(t, r.Header.Get("Idempotency-Key"), "it would let the HTTP client repeat a request")
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&got))
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, created)
	})
	id, err := p.Send(t.Context(), text())
	require.NoError(t, err)
	assert.Equal(t, "e8077d803532c0b5937c639b60216938", id)
	reportURL, _ := got["reportUrl"].(string)
	assert.Equal(t, "https://txt.example.com/webhooks/messagebird/report/"+token(testSecret, "m1"), reportURL)
	for field, want := range map[string]any{
		"originator": "Acme", "body": "hello", "reference": "m1", "datacoding": "plain", "validity": 841.0,
		"recipients": []any{"14155550132"}, "shortenUrls": false,
	} {
		assert.Equal(t, want, got[field], field)
	}
	unicode := text()
	unicode.Unicode = true
	_, err = p.Send(t.Context(), unicode)
	require.NoError(t, err)
	assert.Equal(t, "unicode", got["datacoding"])
}

// Every answer has a verdict and a reason.
func TestAnswers(t *testing.T) {
	code := func(n int, parameter string) string {
		return fmt.Sprintf(`{"errors":[{"code":%d,"description":"about 14155550132","parameter":%q}]}`, n, parameter)
	}
	html := "<html><body>Bad Gateway</body></html>"
	for _, c := range []struct {
		status  int
		body    string
		verdict message.Verdict
		reason  string
		healthy bool
	}{
		{422, code(9, "body"), message.Refused, "text_refused", true},
		{422, code(9, "foo"), message.Refused, "parameter_missing", true},
		{422, code(10, "originator"), message.Refused, "originator_refused", true},
		{422, code(10, "recipient"), message.Refused, "recipient_refused", true},
		{422, code(10, ""), message.Refused, "parameter_invalid", true},
		{401, code(2, "access_key"), message.NotProcessed, "access_key_refused", false},
		{404, code(20, ""), message.Refused, "not_found", true},
		{400, code(21, ""), message.Refused, "bad_request", true},
		{402, code(25, ""), message.NotProcessed, "no_balance", false},
		{422, code(25, ""), message.NotProcessed, "no_balance", false},
		{404, code(98, ""), message.NotProcessed, "api_not_found", false},
		{400, code(99, ""), message.Ambiguous, "provider_error", false},
		{409, code(101, ""), message.Ambiguous, "duplicate_entry", true},
		{422, code(103, "recipient"), message.Refused, "opted_out", true},
		{403, code(103, ""), message.Refused, "opted_out", true},
		{422, code(4711, ""), message.Refused, "rejected", true},
		{400, html, message.Refused, "rejected", true},
		{401, html, message.NotProcessed, "access_key_refused", false},
		{402, "", message.NotProcessed, "no_balance", false},
		{403, html, message.NotProcessed, "access_key_refused", false},
		{404, html, message.NotProcessed, "api_not_found", false},
		{405, "", message.NotProcessed, "api_not_found", false},
		{408, "", message.NotProcessed, "request_incomplete", false},
		{429, code(99, ""), message.NotProcessed, "rate_limited", true},
		{500, code(99, ""), message.Ambiguous, "provider_error", false},
		{500, html, message.Ambiguous, "provider_error", false},
		{502, html, message.Ambiguous, "provider_error", false},
		{503, html, message.NotProcessed, "unavailable", false},
		{504, "", message.Ambiguous, "provider_error", false},
		{302, "", message.NotProcessed, "api_not_found", false},
		{307, "", message.NotProcessed, "api_not_found", false},
		{201, html, message.Ambiguous, "answer_unreadable", false},
		{201, created[:200], message.Ambiguous, "answer_unreadable", false},
		{201, "", message.Ambiguous, "answer_unreadable", false},
		{201, "{}", message.Ambiguous, "answer_unreadable", false},
		{201, "null", message.Ambiguous, "answer_unreadable", false},
		{201, `{"id":"x","body":"` + strings.Repeat("x", maxAnswer) + `"}`, message.Ambiguous, "answer_unreadable", false},
		{204, "", message.Ambiguous, "answer_unreadable", false},
		{206, created, message.Ambiguous, "answer_unreadable", false},
	} {
		var calls atomic.Int64
		p := standIn(t, func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			if strings.HasPrefix(c.body, "<") {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		id, err := p.Send(t.Context(), text())
		name := fmt.Sprintf("%d %.60s", c.status, c.body)
		var failure *message.SendError
		require.ErrorAs(t, err, &failure, name)
		assert.Empty(t, id)
		assert.Equal(t, c.verdict, failure.Verdict, name)
		assert.Equal(t, c.reason, failure.Reason, name)
		assert.Equal(t, c.healthy, failure.Healthy, name)
		assert.NotContains(t, err.Error(), "4155550132", "no numbers in errors")
		assert.EqualValues(t, 1, calls.Load(), name)
	}
}

func TestAStrangeFieldDoesNotCostTheID(t *testing.T) {
	p := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"validity":"long","recipients":{"items":[{"recipient":"14155550132"}]},"id":"x1"}`)
	})
	id, err := p.Send(t.Context(), text())
	require.NoError(t, err)
	assert.Equal(t, "x1", id)
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "1e3": 0, "999999": time.Hour, "soon": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		assert.Equal(t, want, retryAfter(s, now), s)
	}
	p := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := p.Send(t.Context(), text())
	var failure *message.SendError
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, 3*time.Second, failure.RetryAfter)
}

// verdictOf is what a failed Send means for the text.
func verdictOf(t *testing.T, err error) message.Verdict {
	t.Helper()
	var failure *message.SendError
	require.ErrorAs(t, err, &failure)
	return failure.Verdict
}

func TestNoConnectionIsNotProcessed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := at(t, "http://"+l.Addr().String())
	require.NoError(t, l.Close())
	_, err = p.Send(t.Context(), text())
	assert.Equal(t, message.NotProcessed, verdictOf(t, err))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Send(ctx, text())
	assert.Equal(t, message.NotProcessed, verdictOf(t, err), "nothing was written")
}

// peers accepts connections and gives each to serve.
func peers(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

func TestAnAnswerThatNeverComesIsAmbiguous(t *testing.T) {
	var giveUp context.CancelFunc // of the client
	for name, serve := range map[string]func(net.Conn){
		"hang up after the request": func(c net.Conn) { readRequest(c) },
		"reset after the request": func(c net.Conn) {
			readRequest(c)
			_ = c.(*net.TCPConn).SetLinger(0)
		},
		"silence": func(c net.Conn) {
			readRequest(c)
			giveUp()
			_, _ = c.Read(make([]byte, 1))
		},
		"half an answer": func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 5000\r\n\r\n{\"id\":")
		},
		"half a header": func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 201 Cre")
		},
		"no HTTP": func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "220 smtp.example.com\r\n")
		},
		"endless header": func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 201 Created\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			giveUp = cancel
			_, err := at(t, peers(t, serve)).Send(ctx, text())
			assert.Equal(t, message.Ambiguous, verdictOf(t, err), err)
		})
	}
}

func readRequest(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// A kept connection that the server closes as the next request arrives: that
// request may have been read, so it is not written a second time.
func TestAKeptConnectionIsNoReasonToSendTwice(t *testing.T) {
	var requests atomic.Int64
	p := at(t, peers(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			if requests.Add(1) > 1 {
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s", len(created), created)
		}
	}))
	_, err := p.Send(t.Context(), text())
	require.NoError(t, err)
	_, err = p.Send(t.Context(), text())
	assert.Equal(t, message.Ambiguous, verdictOf(t, err))
	assert.EqualValues(t, 2, requests.Load())
}

func TestATextTooLongForTheWireThatIsCutOffIsNotProcessed(t *testing.T) {
	p := at(t, peers(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 100))
		_ = c.(*net.TCPConn).SetLinger(0)
	}))
	long := text()
	long.Body = strings.Repeat("x", 32<<20)
	_, err := p.Send(t.Context(), long)
	assert.Equal(t, message.NotProcessed, verdictOf(t, err), err)
}

func TestWithoutTheSecretNothingIsSent(t *testing.T) {
	c, err := NewClient(Options{AccessKey: "key", URL: "http://127.0.0.1:1"})
	require.NoError(t, err)
	_, err = NewProvider(c, "https://txt.example.com", func() []byte { return nil }).Send(t.Context(), text())
	assert.Equal(t, message.NotProcessed, verdictOf(t, err))
}

func TestTheClientWantsAnAddressAndAKey(t *testing.T) {
	for _, o := range []Options{{}, {AccessKey: "k", URL: "rest.messagebird.com"}, {AccessKey: "k", URL: "ftp://x"}, {AccessKey: "k", URL: "://"}} {
		_, err := NewClient(o)
		require.Error(t, err)
	}
	c, err := NewClient(Options{AccessKey: "k"})
	require.NoError(t, err)
	assert.Equal(t, messagebird.Endpoint, c.base)
}

func TestTheClientServesTheWholeLibrary(t *testing.T) {
	p := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = io.WriteString(w, `{"payment":"prepaid","type":"`+r.Header.Get("Content-Type")+`"}`)
		}
	})
	client := p.client.With(t.Context())
	var v struct{ Payment, Type string }
	require.NoError(t, client.Request(&v, http.MethodGet, "balance", nil))
	assert.Equal(t, "prepaid", v.Payment)
	require.NoError(t, client.Request(&v, http.MethodPost, "lookup", "a="+url.QueryEscape("b c")))
	assert.Equal(t, "application/x-www-form-urlencoded", v.Type)
	require.NoError(t, client.Request(nil, http.MethodDelete, p.client.base+"/messages/1", nil))
	var request *RequestError
	require.ErrorAs(t, client.Request(&v, "BAD METHOD", "x", nil), &request)
	require.ErrorAs(t, client.Request(&v, http.MethodPost, "x", func() {}), &request)
	assert.False(t, request.Written)
	require.Error(t, errors.Unwrap(request))
}
