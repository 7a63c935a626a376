package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/campaigns/admin"
	"deflectd/campaigns/report"
	"deflectd/campaigns/sender"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// person is somebody's number, which no error may name.
const person = "+14155550132"

// serve answers every request with f.
func serve(t *testing.T, f http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(f)
	transport := new(http.Transport)
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return New(server.URL+"/", "dfl_secret", transport)
}

func answerWith(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Every method asks what docs/openapi.json says.
func TestRequests(t *testing.T) {
	yes := true
	until := time.Date(2026, 3, 31, 0, 0, 0, 0, time.FixedZone("", 3600))
	tests := []struct {
		want string // method, address, headers that matter, body
		ask  func(context.Context, *Client) error
	}{
		{"GET /v1/campaigns", func(ctx context.Context, c *Client) error { _, err := c.Campaigns(ctx, CampaignQuery{}); return err }},
		{
			"GET /v1/campaigns?cursor=x&deleted=true&dnis=%2B1800%2A&enabled=true&limit=5&q=a+b",
			func(ctx context.Context, c *Client) error {
				_, err := c.Campaigns(ctx, CampaignQuery{Q: "a b", Enabled: &yes, DNIS: "+1800*", Deleted: true, Limit: 5, Cursor: "x"})
				return err
			},
		},
		{"GET /v1/campaigns/a%2Fb", func(ctx context.Context, c *Client) error { _, err := c.Campaign(ctx, "a/b"); return err }},
		{`POST /v1/campaigns k1 application/json {"id":"a"}`, func(ctx context.Context, c *Client) error {
			_, err := c.CreateCampaign(ctx, map[string]string{"id": "a"}, "k1")
			return err
		}},
		{`PUT /v1/campaigns/a "3" application/json {}`, func(ctx context.Context, c *Client) error {
			_, err := c.ReplaceCampaign(ctx, "a", struct{}{}, 3)
			return err
		}},
		{`PATCH /v1/campaigns/a * application/merge-patch+json {"name":null}`, func(ctx context.Context, c *Client) error {
			_, err := c.PatchCampaign(ctx, "a", map[string]any{"name": nil}, Any)
			return err
		}},
		{`DELETE /v1/campaigns/a "3"`, func(ctx context.Context, c *Client) error { return c.DeleteCampaign(ctx, "a", 3) }},
		{`POST /v1/campaigns/a/restore *`, func(ctx context.Context, c *Client) error { _, err := c.RestoreCampaign(ctx, "a", Any); return err }},
		{"GET /v1/campaigns/a/history?cursor=7&limit=2", func(ctx context.Context, c *Client) error { _, err := c.History(ctx, "a", "7", 2); return err }},
		{"GET /v1/campaigns/a/history/2", func(ctx context.Context, c *Client) error { _, err := c.Revision(ctx, "a", 2); return err }},
		{`POST /v1/campaigns/a/history/2/restore "5"`, func(ctx context.Context, c *Client) error { _, err := c.RestoreRevision(ctx, "a", 2, 5); return err }},
		{`POST /v1/campaigns/a/preview application/json {"draft":{"text":"x"}}`, func(ctx context.Context, c *Client) error {
			_, err := c.Preview(ctx, "a", PreviewRequest{Draft: map[string]string{"text": "x"}})
			return err
		}},
		{`POST /v1/campaigns/a/messages k2 application/json {"to":"+14155550132","test":true}`, func(ctx context.Context, c *Client) error {
			_, err := c.SendMessage(ctx, "a", admin.MessageRequest{To: person, Test: true}, "k2")
			return err
		}},
		{"GET /v1/messages?campaign=a&from=2026-03-29T23%3A00%3A00Z&state=failed&to=%2B14155550132&until=2026-03-30T23%3A00%3A00Z", func(ctx context.Context, c *Client) error {
			_, err := c.Messages(ctx, MessageQuery{To: person, Campaign: "a", State: "failed", From: until.AddDate(0, 0, -1), Until: until})
			return err
		}},
		{"GET /v1/messages/m", func(ctx context.Context, c *Client) error { _, err := c.Message(ctx, "m"); return err }},
		{"GET /v1/calls?active=true&ani=%2B14155550132&campaign=a&outcome=passed", func(ctx context.Context, c *Client) error {
			_, err := c.Calls(ctx, CallQuery{Campaign: "a", ANI: person, Outcome: "passed", Active: true})
			return err
		}},
		{`POST /v1/decisions application/json {"dnis":"1","ani":""}`, func(ctx context.Context, c *Client) error {
			_, err := c.Decide(ctx, report.Question{DNIS: "1"})
			return err
		}},
		{"GET /v1/service", func(ctx context.Context, c *Client) error { _, err := c.Service(ctx); return err }},
		{`PUT /v1/service application/json {"enabled":false}`, func(ctx context.Context, c *Client) error { _, err := c.SwitchService(ctx, false); return err }},
		{"GET /v1/senders", func(ctx context.Context, c *Client) error { _, err := c.Senders(ctx); return err }},
		{"GET /v1/senders/available?area=415&country=US&features=sms%2Cmms&limit=3", func(ctx context.Context, c *Client) error {
			_, err := c.AvailableNumbers(ctx, sender.Query{Country: "US", Area: "415", Features: []string{"sms", "mms"}, Limit: 3})
			return err
		}},
		{`POST /v1/senders k3 application/json {"number":"+14155550170","country":"US"}`, func(ctx context.Context, c *Client) error {
			_, err := c.ObtainSender(ctx, "+14155550170", "US", "k3")
			return err
		}},
		{"DELETE /v1/senders/+14155550170?confirm=true", func(ctx context.Context, c *Client) error { return c.ReleaseSender(ctx, "+14155550170", true) }},
		{"GET /v1/opt-outs?number=%2B14155550132&source=api", func(ctx context.Context, c *Client) error {
			_, err := c.OptOuts(ctx, OptOutQuery{Number: person, Source: "api"})
			return err
		}},
		{"GET /v1/opt-outs/+14155550132", func(ctx context.Context, c *Client) error { _, err := c.OptOut(ctx, person); return err }},
		{`PUT /v1/opt-outs/+14155550132 application/json {"reason":"asked"}`, func(ctx context.Context, c *Client) error { _, err := c.AddOptOut(ctx, person, "asked"); return err }},
		{"DELETE /v1/opt-outs/+14155550132?reason=asked", func(ctx context.Context, c *Client) error { return c.RemoveOptOut(ctx, person, "asked") }},
		{"POST /v1/opt-outs text/csv number", func(ctx context.Context, c *Client) error {
			_, err := c.ImportOptOuts(ctx, strings.NewReader("number"))
			return err
		}},
	}
	for _, test := range tests {
		t.Run(test.want, func(t *testing.T) {
			var got []string
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = []string{r.Method, r.URL.RequestURI()}
				for _, more := range []string{r.Header.Get("If-Match"), r.Header.Get("Idempotency-Key"), r.Header.Get("Content-Type"), string(body)} {
					if more != "" {
						got = append(got, more)
					}
				}
				if r.Header.Get("Authorization") != "Bearer dfl_secret" {
					got = append(got, "without a token")
				}
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				_, _ = io.WriteString(w, "{}")
			})
			require.NoError(t, test.ask(t.Context(), c))
			require.Equal(t, test.want, strings.Join(got, " "))
		})
	}
}

func TestErrors(t *testing.T) {
	const refusal = `{"title":"Conflict","status":409,"detail":"the id is taken","errors":[{"detail":"is taken","pointer":"/id"}]}`
	tests := []struct {
		name    string
		answer  http.HandlerFunc
		problem int // the status of the *admin.Problem; 0: it is none
		status  int // of the *AnswerError; 0: it is none
		says    string
	}{
		{"a problem", answerWith(409, "application/problem+json", refusal), 409, 0, "the id is taken"},
		{"a problem that passes", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			answerWith(503, "application/problem+json", strings.ReplaceAll(refusal, "409", "503"))(w, r)
		}, 503, 0, "the id is taken"},
		{"a problem that says another status", answerWith(500, "application/problem+json", refusal), 0, 500, "(500 Internal Server Error) is not one of deflectd's API"},
		{"a problem that is none", answerWith(502, "application/problem+json", "<html>"), 0, 502, "502"},
		{"the page of a proxy", answerWith(502, "text/html", "<html>"), 0, 502, "add an opt-out: the answer (502 Bad Gateway)"},
		{"another program", answerWith(200, "text/html", "<html>"), 0, 200, "(200 OK)"},
		{"half an answer", answerWith(200, "application/json", `{"number":`), 0, 0, "add an opt-out: read the answer: unexpected EOF"},
		{"sent elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, 0, 307, "307"},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, 0, "add an opt-out: EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				require.NotEqual(t, "/elsewhere", r.URL.Path, "the token went elsewhere")
				test.answer(w, r)
			})
			_, err := c.AddOptOut(t.Context(), person, "asked")
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "4155550132")
			require.NotContains(t, err.Error(), "secret")
			var p *admin.Problem
			if errors.As(err, &p) {
				require.Equal(t, test.problem, p.Status)
				require.Len(t, p.Errors, 1)
				require.Equal(t, test.problem == 503, p.Headers.Get("Retry-After") == "7")
			} else {
				require.Zero(t, test.problem)
			}
			require.Equal(t, test.problem == 409, Is(err, 409))
			var other *AnswerError
			if errors.As(err, &other) {
				require.Equal(t, test.status, other.Status)
			} else {
				require.Zero(t, test.status)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	c := New("http://127.0.0.1:1", "dfl_secret", nil)
	_, err := c.OptOut(t.Context(), person)
	require.ErrorContains(t, err, "read an opt-out: dial tcp 127.0.0.1:1")
	require.NotContains(t, err.Error(), "4155550132")
	_, err = New("::", "", nil).OptOut(t.Context(), person)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "4155550132")
}

func TestAContextEndsARequest(t *testing.T) {
	asked := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"items":[`)
		_ = http.NewResponseController(w).Flush()
		close(asked)
		<-r.Context().Done()
	})
	go func() {
		<-asked
		cancel()
	}()
	_, err := c.Campaigns(ctx, CampaignQuery{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestStrictRefusesWhatItDoesNotKnow(t *testing.T) {
	c := serve(t, answerWith(200, "application/json", `{"items":[{"id":"a","mood":"sunny"}]}`))
	found, err := c.Campaigns(t.Context(), CampaignQuery{})
	require.NoError(t, err)
	require.Equal(t, "a", found.Items[0].ID)
	_, err = c.Strict().Campaigns(t.Context(), CampaignQuery{})
	require.ErrorIs(t, err, ErrUnknownField)
	require.ErrorContains(t, err, `"mood"`)
}

func TestExport(t *testing.T) {
	list, err := serve(t, answerWith(200, "text/csv; charset=utf-8", "number\n")).ExportOptOuts(t.Context())
	require.NoError(t, err)
	text, err := io.ReadAll(list)
	require.NoError(t, errors.Join(err, list.Close()))
	require.Equal(t, "number\n", string(text))

	_, err = serve(t, answerWith(200, "text/html", "<html>")).ExportOptOuts(t.Context())
	require.ErrorContains(t, err, "export opt-outs")
	_, err = serve(t, answerWith(403, "application/problem+json", `{"title":"Forbidden","status":403,"detail":"needs the role editor"}`)).ExportOptOuts(t.Context())
	require.True(t, Is(err, 403))
}
