package messagebird

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"deflectd/campaigns/inbound"
)

// InboundPath is where texts arrive on the public listener; InboundToken follows.
const InboundPath = "/webhooks/messagebird/inbound/"

// InboundPattern is where Inbound belongs on the public listener's ServeMux.
const InboundPattern = "POST " + InboundPath + "{token...}"

// maxNumber is the longest number that is looked at: E.164 has 15 digits, and
// some write it with spaces.
const maxNumber = 32

// InboundToken is what the address for inbound texts ends with. Nobody who lacks
// the service secret can guess it; it is "" while the secret is not known.
func InboundToken(secret []byte) string {
	if len(secret) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("messagebird inbound"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// Inbound takes the texts that people send to a number of MessageBird:
//
//	POST /webhooks/messagebird/inbound/{token}   originator=…&recipient=…&payload=…&createdDatetime=…
//
// The fields come as a form or as JSON, under the names that MessageBird's
// numbers, short codes and flows use. What is genuine, and how it is answered,
// says the documentation of the package. Texts may repeat and come in any order.
type Inbound struct {
	*webhook
	receive func(context.Context, inbound.Text) error
}

// NewInbound hands every genuine text to receive, whose errors say that the text
// should come again.
func NewInbound(o WebhookOptions, receive func(context.Context, inbound.Text) error) (*Inbound, error) {
	h, err := newWebhook(o, http.MethodPost, prometheus.CounterOpts{
		Name: "deflectd_messagebird_inbound_total",
		Help: "Texts from people that MessageBird has handed over, by what became of the request.",
	})
	if err != nil {
		return nil, fmt.Errorf("take inbound texts: %w", err)
	}
	// What a person has texted can put numbers on the list of opt-outs and take
	// them off: an address that has leaked must not be enough.
	h.mustSign = true
	return &Inbound{webhook: h, receive: receive}, nil
}

// ServeHTTP implements http.Handler.
func (h *Inbound) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	genuine := func(secret []byte) bool {
		given, _ := strings.CutPrefix(r.URL.Path, InboundPath)
		return hmac.Equal([]byte(InboundToken(secret)), []byte(given))
	}
	h.serve(w, r, genuine, h.take)
}

// take takes one text that is genuine.
func (h *Inbound) take(ctx context.Context, body []byte) result {
	text, ok := parseInbound(body)
	if !ok {
		// The text would not be better the next time.
		h.log.WarnContext(ctx, "an inbound text could not be understood")
		return notUnderstood
	}
	if err := h.receive(ctx, text); err != nil {
		h.log.WarnContext(ctx, "an inbound text could not be taken", "error", err)
		return storeDown
	}
	return taken
}

// parseInbound reads the body of a request with a text. It answers false where
// nobody could be found in it who has sent one.
func parseInbound(body []byte) (inbound.Text, bool) {
	field := formFields(body)
	if trimmed := bytes.TrimSpace(body); bytes.HasPrefix(trimmed, []byte("{")) {
		field = jsonFields(trimmed)
	}
	first := func(names ...string) string {
		for _, name := range names {
			if value := field(name); value != "" {
				return value
			}
		}
		return ""
	}
	at, local := moment(field("date_utc"), field("createdDatetime"), field("receive_datetime"))
	text := inbound.Text{
		ID:   first("id", "mid", "message_id"),
		From: strings.TrimSpace(first("originator", "sender")),
		To:   strings.TrimSpace(first("recipient", "receiver", "shortcode")),
		Body: strings.ToValidUTF8(first("payload", "body", "message"), "\uFFFD"),
		At:   at, Local: local,
	}
	if len(text.ID) > maxField {
		text.ID = ""
	}
	if len(text.To) > maxNumber {
		text.To = ""
	}
	return text, text.From != "" && len(text.From) <= maxNumber
}

// formFields reads a form. Of a field that is there twice, the first counts.
func formFields(body []byte) func(name string) string {
	// Whatever cannot be read is not there.
	form, _ := url.ParseQuery(string(body))
	return form.Get
}

// jsonFields reads an object; what in it is neither a text nor a number is not
// there.
func jsonFields(body []byte) func(name string) string {
	var object map[string]json.RawMessage
	_ = json.Unmarshal(body, &object)
	return func(name string) string {
		var text string
		var number json.Number
		switch raw := object[name]; {
		case json.Unmarshal(raw, &text) == nil:
			return text
		case json.Unmarshal(raw, &number) == nil:
			return number.String()
		default:
			return ""
		}
	}
}

// withoutZone is how MessageBird writes times for short codes.
const withoutZone = "20060102150405"

// moment reads when a text was sent: from what is certain, that is, written with
// its zone or in Unix seconds; else from what is written without a zone, taken
// for UTC, and then it says that it is local. Else it is zero.
func moment(unix string, written ...string) (at time.Time, local bool) {
	for _, w := range written {
		if t, err := time.Parse(time.RFC3339, w); err == nil && t.Unix() > 0 {
			return t.UTC(), false
		}
	}
	if seconds, err := strconv.ParseInt(unix, 10, 64); err == nil && seconds > 0 && seconds < 1<<33 {
		return time.Unix(seconds, 0).UTC(), false
	}
	for _, w := range written {
		if t, err := time.Parse(withoutZone, w); err == nil && t.Unix() > 0 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
