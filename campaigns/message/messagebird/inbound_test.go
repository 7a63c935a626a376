package messagebird

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"deflectd/campaigns/inbound"
)

// The ways in which MessageBird hands over a text.
func TestInboundTexts(t *testing.T) {
	at := time.Date(2026, 1, 2, 10, 2, 59, 0, time.UTC)
	stop := inbound.Text{ID: "i1", From: "14155550132", To: "18005550100", Body: "STOP", At: at}
	for name, c := range map[string]struct {
		body string
		want inbound.Text
	}{
		"a number":  {"id=i1&recipient=18005550100&originator=14155550132&body=STOP&createdDatetime=2026-01-02T10%3A02%3A59%2B00%3A00", stop},
		"a flow":    {"id=i1&recipient=18005550100&originator=14155550132&payload=STOP&createdDatetime=2026-01-02T11%3A02%3A59%2B01%3A00", stop},
		"long form": {"receiver=18005550100&sender=14155550132&message=STOP&date=1&date_utc=1767348179&reference=1&id=i1&receive_datetime=2026-01-02T10%3A02%3A59%2B00%3A00&mms=false", stop},
		"a short code": {
			"mid=i1&shortcode=51515&originator=14155550132&message=STOP&receive_datetime=20260102100259",
			inbound.Text{ID: "i1", From: "14155550132", To: "51515", Body: "STOP", At: at, Local: true},
		},
		"a short code in UTC": {
			"mid=i1&shortcode=51515&originator=14155550132&message=STOP&receive_datetime=20260102120259&date_utc=1767348179",
			inbound.Text{ID: "i1", From: "14155550132", To: "51515", Body: "STOP", At: at},
		},
		"with a zone and without": {
			"id=i1&originator=14155550132&message=STOP&createdDatetime=20260102120259&receive_datetime=2026-01-02T11%3A02%3A59%2B01%3A00",
			inbound.Text{ID: "i1", From: "14155550132", Body: "STOP", At: at},
		},
		"unix time":   {"originator=14155550132&body=STOP&date_utc=1767348179", inbound.Text{From: "14155550132", Body: "STOP", At: at}},
		"no time":     {"originator=14155550132&body=STOP&createdDatetime=yesterday", inbound.Text{From: "14155550132", Body: "STOP"}},
		"plus":        {"originator=%2B14155550132&body=STOP", inbound.Text{From: "+14155550132", Body: "STOP"}},
		"a name":      {"originator=Acme&body=STOP", inbound.Text{From: "Acme", Body: "STOP"}},
		"no body":     {"originator=14155550132", inbound.Text{From: "14155550132"}},
		"a picture":   {"originator=14155550132&body=&mediaURLs=https%3A%2F%2Ffoo.example%2Fimage.jpg", inbound.Text{From: "14155550132"}},
		"not UTF-8":   {"originator=14155550132&body=%ff%feSTOP", inbound.Text{From: "14155550132", Body: "\uFFFDSTOP"}},
		"broken form": {"originator=14155550132&body=%zz&body=STOP&;", inbound.Text{From: "14155550132", Body: "STOP"}},
		"long id":     {"originator=14155550132&body=STOP&id=" + strings.Repeat("i", 200), inbound.Text{From: "14155550132", Body: "STOP"}},
		"long to":     {"originator=14155550132&body=STOP&recipient=" + strings.Repeat("1", 200), inbound.Text{From: "14155550132", Body: "STOP"}},
		"json": {
			`{"id":"i1","originator":"14155550132","recipient":"18005550100","payload":"STOP","createdDatetime":"2026-01-02T10:02:59Z"}`, stop,
		},
		"json of numbers": {
			"\n{\"id\":\"i1\",\"originator\":14155550132,\"recipient\":18005550100,\"body\":\"STOP\",\"message\":{\"a\":1},\"date_utc\":1767348179}", stop,
		},
		"json with nothing": {`{"id":null,"originator":"14155550132","recipient":[],"payload":{},"body":null,"message":"STOP"}`, inbound.Text{From: "14155550132", Body: "STOP"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseInbound([]byte(c.body))
			assert.True(t, ok)
			assert.Equal(t, c.want, got)
			l := listen(t, nil, func(o *WebhookOptions) { o.SigningKey = "" })
			assert.Equal(t, 200, l.do(t, texting(c.body)))
			assert.Equal(t, []inbound.Text{c.want}, l.heard)
		})
	}
	for name, body := range map[string]string{
		"nothing": "", "no sender": "body=STOP", "broken json": `{"originator":"14155550132"`, "a list": `["originator"]`,
		"a long sender": "originator=" + strings.Repeat("1", 33), "xml": "<originator>14155550132</originator>", "bytes": "\x00\xff\x01",
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, nil, func(o *WebhookOptions) { o.SigningKey = "" })
			assert.Equal(t, 200, l.do(t, texting(body)), "it would not be better the next time")
			assert.Zero(t, l.taken())
			assert.Equal(t, 1, l.counted(notUnderstood))
		})
	}
}

func TestInboundToken(t *testing.T) {
	mine := InboundToken(testSecret)
	assert.Len(t, mine, 22)
	assert.Equal(t, mine, url.PathEscape(mine))
	assert.NotEqual(t, mine, InboundToken([]byte("another")))
	assert.Empty(t, InboundToken(nil))
	l := listen(t, nil, func(o *WebhookOptions) { o.SigningKey = "" })
	for _, token := range []string{"", "/", mine[:21], mine + "A", mine + "/", strings.ToLower(mine), token(testSecret, "m1"), token(testSecret, ""), InboundToken([]byte("another"))} {
		assert.Equal(t, 401, l.do(t, call{method: "POST", target: InboundPath + token, body: aText}), token)
	}
	assert.Zero(t, l.taken())
}

func TestWithoutTheSecretTextsComeAgain(t *testing.T) {
	l := listen(t, connect(t, server), func(o *WebhookOptions) { o.Secret = func() []byte { return nil } })
	everyWebhook(t, func(t *testing.T, c call) {
		assert.Equal(t, 503, l.do(t, c))
		assert.Equal(t, 503, l.do(t, c.without()))
		assert.Equal(t, 503, l.do(t, c.signed(t)))
	})
	assert.Equal(t, 6, l.counted(noSecret))
	// A token made of no secret at all is none.
	assert.Equal(t, 503, l.do(t, call{method: "POST", target: InboundPath, body: aText}))
}

func FuzzInbound(f *testing.F) {
	for _, s := range []string{
		"", aText, "originator=1&body=%zz", `{"originator":14155550132,"payload":"STOP"}`, `{"originator":{}}`, "{", "originator=%ff&body=%ff",
		"originator=1&createdDatetime=2026-13-45T99:99:99Z", "originator=1&date_utc=99999999999999999999", "mid=1&shortcode=2&originator=3&message=4&receive_datetime=20260102100259",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, ok := parseInbound(body)
		if !ok {
			return
		}
		if m.From == "" || len(m.From) > maxNumber || len(m.To) > maxNumber || len(m.ID) > maxField || !utf8.ValidString(m.Body) {
			t.Fatalf("%q is read as %+v", body, m)
		}
		if m.Local && m.At.IsZero() {
			t.Fatalf("%q is local of no time", body)
		}
		if !m.At.IsZero() && (m.At.Unix() <= 0 || m.At.Year() > 9999) {
			t.Fatalf("%q is of %v", body, m.At)
		}
	})
}
