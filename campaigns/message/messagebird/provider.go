package messagebird

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/messagebird/go-rest-api/v9/sms"

	"deflectd/campaigns/message"
)

// reportPath is where delivery reports arrive on the public listener; the
// token of the message follows.
const reportPath = "/webhooks/messagebird/report/"

// Provider sends texts through MessageBird.
type Provider struct {
	client *Client
	public string
	secret func() []byte
}

// NewProvider sends through client. Delivery reports are asked for at the
// public URL, with tokens made of the service secret; secret may answer
// nothing for as long as it is not known.
func NewProvider(client *Client, publicURL string, secret func() []byte) *Provider {
	return &Provider{client: client, public: strings.TrimRight(publicURL, "/"), secret: secret}
}

// Name implements message.Provider.
func (p *Provider) Name() string { return "messagebird" }

// Send implements message.Provider.
func (p *Provider) Send(ctx context.Context, t message.Text) (string, error) {
	secret := p.secret()
	if len(secret) == 0 {
		// Without it no report could be told from a forged one.
		return "", &message.SendError{Verdict: message.NotProcessed, Reason: "no_secret", Healthy: true}
	}
	coding := "plain"
	if t.Unicode {
		coding = "unicode"
	}
	sent, err := sms.Create(p.client.With(ctx), digits(t.Originator), []string{digits(t.To)}, t.Body, &sms.Params{
		Reference:  t.Reference,
		Validity:   seconds(t.Validity),
		DataCoding: coding,
		ReportURL:  p.public + reportPath + token(secret, t.Reference),
	})
	if err != nil {
		return "", sendError(err)
	}
	if sent.ID == "" {
		return "", unreadable.error(errors.New("the answer has no id"))
	}
	return sent.ID, nil
}

// digits is a number as MessageBird writes it, without "+"; a name stays.
func digits(number string) string { return strings.TrimPrefix(number, "+") }

// seconds rounds up: a validity of 0 would mean the provider's own.
func seconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

// token is what a delivery report on a message must carry in its path: nobody
// who lacks the service secret can guess it. 16 bytes in 22 characters.
func token(secret []byte, id string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("messagebird report "))
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// validToken compares in constant time.
func validToken(secret []byte, id, given string) bool {
	return len(secret) > 0 && hmac.Equal([]byte(token(secret, id)), []byte(given))
}
