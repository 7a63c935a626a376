package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// answer is what an HTTP request was answered with.
type answer struct {
	status int
	header http.Header
	body   string
}

// request sends one HTTP request; headers are "Name: value". Redirects are not
// followed.
func request(t *testing.T, method, address, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := httpClient.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, errors.Join(err, res.Body.Close()))
	return answer{res.StatusCode, res.Header, string(text)}
}

// api sends one request to the API, with a token. The body is JSON as it is
// (a string), a value to be encoded, or nil.
func (w *world) api(t *testing.T, method, path string, body any, headers ...string) answer {
	t.Helper()
	var text string
	switch body := body.(type) {
	case nil:
	case string:
		text = body
	default:
		encoded, err := json.Marshal(body)
		require.NoError(t, err)
		text = string(encoded)
	}
	headers = append([]string{"Authorization: Bearer " + w.token, "Content-Type: application/json"}, headers...)
	return request(t, method, w.admin+path, text, headers...)
}

// into decodes the JSON of an answer that has the status.
func (a answer) into(t *testing.T, status int, v any) {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	require.NoError(t, json.NewDecoder(bytes.NewBufferString(a.body)).Decode(v), a.body)
}

// campaign creates a campaign of this test's own over the API and waits until
// calls are answered by it. It asks with a prompt of one second and has
// defaults in everything else; change changes it first.
func (w *world) campaign(t *testing.T, change ...func(*campaigns.Campaign)) campaigns.Campaign {
	t.Helper()
	c := campaigns.Campaign{
		ID:          "c" + strconv.FormatInt(w.counter.Add(1), 10),
		DNIS:        []string{w.dnis()},
		Interaction: campaigns.Interaction{ID: "help", URL: "https://visual.example.com/start?interaction={interaction_id}"},
		Text:        "Acme: help is here {link}",
		Offer:       campaigns.Offer{Prompt: lab.SoundSecond},
	}
	for _, f := range change {
		f(&c)
	}
	w.api(t, http.MethodPost, "/v1/campaigns", c).into(t, http.StatusCreated, &c)
	w.known(t, c.UpdatedAt)
	return c
}

// known waits until calls are handled by what was changed over the API at that
// time: the campaigns in memory have been read since.
func (w *world) known(t *testing.T, changed time.Time) {
	t.Helper()
	eventually(t, func() error {
		if read := w.metric(t, "deflectd_campaigns_loaded_timestamp_seconds"); read < float64(changed.UnixMilli())/1000 {
			return fmt.Errorf("the campaigns were read at %f, before %s", read, changed)
		}
		return nil
	})
}

// decided waits until calls to a number end so, as they are judged now; "" where
// they are offered a text.
func (w *world) decided(t *testing.T, dnis string, reason report.Reason) {
	t.Helper()
	caller := w.number()
	eventually(t, func() error {
		var d report.Decision
		w.api(t, http.MethodPost, "/v1/decisions", map[string]string{"dnis": dnis, "ani": caller}).into(t, http.StatusOK, &d)
		if d.Reason != reason {
			return fmt.Errorf("a call to %s would be %s (%s)", dnis, d.Outcome, d.Reason)
		}
		return nil
	})
}

// ended is the record of the one call that a campaign had. It waits for it and
// asserts that there is one, that it says so, and that it was counted so and
// not otherwise.
func (w *world) ended(t *testing.T, c campaigns.Campaign, outcome report.Outcome, reason report.Reason) report.Call {
	t.Helper()
	record := w.record(t, url.Values{"campaign": {c.ID}})
	require.Equal(t, outcome, record.Outcome, "%+v", record)
	require.Equal(t, reason, record.Reason, "%+v", record)
	require.Equal(t, "pbx", record.Node)
	require.False(t, record.Started.IsZero())
	require.False(t, record.Ended.Before(record.Started))
	w.counted(t, 1, fmt.Sprintf(`deflectd_calls_total{campaign=%q,outcome=%q,reason=%q}`, c.ID, outcome, reason))
	w.counted(t, 1, fmt.Sprintf(`deflectd_calls_total{campaign=%q,`, c.ID))
	return record
}

// record waits for the record that the query of GET /v1/calls finds, and
// asserts that it is the only one.
func (w *world) record(t *testing.T, query url.Values) report.Call {
	t.Helper()
	var found []report.Call
	eventually(t, func() error {
		if found = w.records(t, query); len(found) == 0 {
			return fmt.Errorf("no record of a call with %s", query.Encode())
		}
		return nil
	})
	require.Len(t, found, 1, "%+v", found)
	return found[0]
}

// records are all records that the query of GET /v1/calls finds.
func (w *world) records(t *testing.T, query url.Values) []report.Call {
	t.Helper()
	var all []report.Call
	for query := firstPage(query); ; {
		var found struct {
			Items []report.Call `json:"items"`
			Next  string        `json:"next_cursor"`
		}
		w.api(t, http.MethodGet, "/v1/calls?"+query.Encode(), nil).into(t, http.StatusOK, &found)
		all = append(all, found.Items...)
		if found.Next == "" {
			return all
		}
		query.Set("cursor", found.Next)
	}
}

// firstPage asks for the first page of a list.
func firstPage(query url.Values) url.Values {
	first := url.Values{"limit": {"100"}}
	maps.Copy(first, query)
	return first
}

// steps are the names of what happened in a call, in order.
func steps(c report.Call) []string {
	names := make([]string, len(c.Steps))
	for i, s := range c.Steps {
		names[i] = strings.TrimSuffix(s.Name+" "+s.Detail, " ")
	}
	return names
}

// count says how often something happened in a call.
func count(c report.Call, step string) int {
	n := 0
	for _, s := range steps(c) {
		if s == step {
			n++
		}
	}
	return n
}

// message waits until the message has the state, and returns it.
func (w *world) message(t *testing.T, id string, state message.State) message.Message {
	t.Helper()
	eventually(t, func() error { return w.messageIs(t, id, state) })
	var m message.Message
	w.api(t, http.MethodGet, "/v1/messages/"+id, nil).into(t, http.StatusOK, &m)
	return m
}

// messageIs complains unless the message has the state.
func (w *world) messageIs(t *testing.T, id string, state message.State) error {
	t.Helper()
	var m message.Message
	w.api(t, http.MethodGet, "/v1/messages/"+id, nil).into(t, http.StatusOK, &m)
	if m.State != state {
		return fmt.Errorf("message %s is %s (%s), not %s", id, m.State, m.Reason, state)
	}
	return nil
}

// text waits for the one request that the provider got for a number, and
// asserts that it took it.
func (w *world) text(t *testing.T, number string) lab.TextRequest {
	t.Helper()
	var texts []lab.TextRequest
	eventually(t, func() error {
		if texts = w.textsTo(number); len(texts) == 0 {
			return fmt.Errorf("no text to %s", number)
		}
		return nil
	})
	require.Len(t, texts, 1, "%s was texted more than once", number)
	require.Equal(t, http.StatusCreated, texts[0].Status)
	return texts[0]
}

// noText asserts that the provider got no request for a number.
func (w *world) noText(t *testing.T, number string) {
	t.Helper()
	require.Empty(t, w.textsTo(number))
}

func (w *world) textsTo(number string) []lab.TextRequest {
	var texts []lab.TextRequest
	for _, r := range w.provider.Requests() {
		for _, recipient := range r.Recipients {
			if "+"+strings.TrimPrefix(recipient, "+") == number {
				texts = append(texts, r)
			}
		}
	}
	return texts
}

// metric is the value of one series, by its name with labels as Prometheus
// writes them; 0 where there is none.
func (w *world) metric(t *testing.T, series string) float64 {
	t.Helper()
	return w.sum(t, series+" ")
}

// counted asserts that all series that begin so add up to n. It waits until they
// do: what was done may be seen a moment before it is counted.
func (w *world) counted(t *testing.T, n int, begin string) {
	t.Helper()
	eventually(t, func() error {
		if sum := w.sum(t, begin); sum < float64(n) {
			return fmt.Errorf("%s… is %g, not %d", begin, sum, n)
		}
		return nil
	})
	require.InDelta(t, n, w.sum(t, begin), 0, begin)
}

// sum adds up all series that begin so.
func (w *world) sum(t *testing.T, begin string) float64 {
	t.Helper()
	total := 0.0
	for line := range strings.Lines(request(t, http.MethodGet, w.admin+"/metrics", "").body) {
		if !strings.HasPrefix(line, begin) {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		require.NoError(t, err)
		total += value
	}
	return total
}
