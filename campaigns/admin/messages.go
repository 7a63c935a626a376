package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/sender"
)

const messagesPath = "/v1/messages"

func (s *server) messageOperations() {
	tags := []string{"messages"}
	operation(s, huma.Operation{
		OperationID: "send-message", Method: http.MethodPost, Path: campaignPath + "/messages", Tags: tags,
		Summary: "Send one text", DefaultStatus: http.StatusAccepted,
		Description: "The text is safe when this is answered, and is sent at once. A campaign that is switched off sends tests alone. " +
			"A number that may not be texted is refused with the reason: because of what it is with 422 (country_not_allowed, " +
			"ani_own_number, not_mobile); because of what was before with 409 (opted_out, suppressed, cooldown, capped, " +
			"ani_untrusted, outside_hours; service_off, no_sender, campaign_disabled), with Retry-After where it is known when it may be. " +
			"A test is refused to those who have opted out, and counts for no limit and no figure. With external another gateway " +
			"sends what the answer has as text: it is checked, counted and kept like any other, and is accepted at once. " +
			"A test needs the role editor; anything else needs the role admin (403).",
		Errors:   []int{http.StatusForbidden, http.StatusNotFound, http.StatusConflict},
		Metadata: needing(RoleEditor),
	}, s.sendMessage)
	operation(s, huma.Operation{
		OperationID: "list-messages", Method: http.MethodGet, Path: messagesPath, Tags: tags,
		Summary: "List and search texts, the latest first", Description: maskedFor,
		Metadata: needing(RoleViewer),
	}, s.listMessages)
	operation(s, huma.Operation{
		OperationID: "read-message", Method: http.MethodGet, Path: messagesPath + "/{id}", Tags: tags,
		Summary: "Read a text and its history", Description: maskedFor, Errors: []int{http.StatusNotFound},
		Metadata: needing(RoleViewer),
	}, s.readMessage)
}

type newMessage struct {
	CampaignID
	Key  string `header:"Idempotency-Key" minLength:"1" maxLength:"255" doc:"Makes repeating the request harmless for 24 hours: with the same body it answers the first message."`
	Body MessageRequest
}

// MessageRequest asks for one text.
type MessageRequest struct {
	To         string            `json:"to" maxLength:"64" doc:"The number to be texted: E.164, or as dialled in numbers.region."`
	Params     map[string]string `json:"params,omitempty" doc:"Values for this text that stand for those of the campaign's interaction.params, in the link and in the text; no other names."`
	Originator string            `json:"originator,omitempty" maxLength:"32" doc:"The sender, where it is not to be the campaign's."`
	Call       string            `json:"call_id,omitempty" pattern:"^[1-9A-HJ-NP-Za-km-z]{22}$" doc:"The call it belongs to."`
	External   bool              `json:"external,omitempty" doc:"Another gateway sends it: it is recorded, and not sent from here. Not together with test."`
	Test       bool              `json:"test,omitempty" doc:"Keeps the text out of all figures and limits; opt-outs hold."`
}

// messageAnswer is one text and where it is.
type messageAnswer struct {
	Location string `header:"Location" doc:"Where the message is."`
	Body     message.Message
}

func (s *server) sendMessage(ctx context.Context, in *newMessage) (*messageAnswer, error) {
	if !in.Body.Test {
		if p := needs(identity(ctx), RoleAdmin); p != nil {
			return nil, p
		}
	}
	to, err := s.number(in.Body.To, inTo)
	if err != nil {
		return nil, err
	}
	request := message.Request{
		Campaign: &campaigns.Campaign{ID: in.ID}, To: to, Call: in.Body.Call, Originator: in.Body.Originator,
		Params: in.Body.Params, Test: in.Body.Test, External: in.Body.External, Key: scoped(ctx, in.Key),
	}
	// First of all: a repetition is answered whatever has changed since.
	first, repeated, err := s.Outbox.Repeated(ctx, request)
	switch {
	case err != nil:
		return nil, err
	case repeated:
		return answerTo(first), nil
	}
	c, err := s.Campaigns.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !c.IsEnabled() && !in.Body.Test {
		return nil, problem(http.StatusConflict, "the campaign is switched off; a test can be sent").because("campaign_disabled")
	}
	request.Campaign = c
	known := s.Senders.Ready() // as it was before they are asked
	pending, err := s.Outbox.Send(ctx, request)
	switch {
	case errors.Is(err, message.ErrNoSender) && !known:
		// Just started: whether there is one was not known yet.
		return nil, fmt.Errorf("look for a sender: %w", sender.ErrStore)
	case err != nil:
		return nil, err
	}
	return answerTo(pending.Message()), nil
}

func answerTo(m message.Message) *messageAnswer {
	return &messageAnswer{Location: messagesPath + "/" + m.ID, Body: m}
}

func inTo(detail string) Detail { return inBody("/to", detail) }

type messageFilter struct {
	Page
	To       string    `query:"to" maxLength:"64" doc:"Those to this number."`
	Campaign string    `query:"campaign" maxLength:"64" doc:"Those of this campaign."`
	State    string    `query:"state" enum:"queued,sending,accepted,delivered,failed,expired,unknown,cancelled" doc:"Those in this state."`
	From     time.Time `query:"from" doc:"Those asked for at this time or later (RFC 3339)."`
	Until    time.Time `query:"until" doc:"Those asked for before this time (RFC 3339)."`
}

func (s *server) listMessages(ctx context.Context, in *messageFilter) (*output[List[message.Message]], error) {
	query := message.Query{Campaign: in.Campaign, State: message.State(in.State), From: in.From, Until: in.Until, Limit: in.Limit, Cursor: in.Cursor}
	if in.To != "" {
		to, err := s.number(unescaped(in.To), inParameter("to"))
		if err != nil {
			return nil, err
		}
		query.To = to.E164
	}
	found, next, err := s.Outbox.Search(ctx, query)
	if err != nil {
		return nil, err
	}
	return listed(masked(ctx, found, maskMessage), next), nil
}

func (s *server) readMessage(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"64" doc:"The id of the message."`
},
) (*output[message.Message], error) {
	m, err := s.Outbox.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &output[message.Message]{Body: shown(ctx, m, maskMessage)}, nil
}
