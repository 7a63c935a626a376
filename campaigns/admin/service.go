package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Service says whether texts are offered and sent.
type Service struct {
	Enabled bool   `json:"enabled" doc:"Whether it is switched on."`
	Sending bool   `json:"sending" doc:"Whether texts are offered and sent: it is switched on, and there is a sender for at least one campaign."`
	Why     string `json:"why,omitempty" enum:"switched_off,no_sender" doc:"Why nothing is sent."`
}

// Why nothing is offered and sent.
const (
	switchedOff = "switched_off"
	noSender    = "no_sender"
)

// Switch is the switch over all campaigns.
type Switch struct {
	Enabled bool `json:"enabled" doc:"Whether texts are to be offered and sent at all."`
}

func (s *server) serviceOperations() {
	tags := []string{"service"}
	operation(s, huma.Operation{
		OperationID: "read-service", Method: http.MethodGet, Path: "/v1/service", Tags: tags,
		Summary:  "Read whether texts are offered and sent, and why not",
		Metadata: needing(RoleViewer),
	}, s.readService)
	operation(s, huma.Operation{
		OperationID: "switch-service", Method: http.MethodPut, Path: "/v1/service", Tags: tags,
		Summary:     "Switch offering and sending on or off, for all campaigns",
		Description: "Calls pass by while it is off (reason service_off). Texts that are queued wait until it is on again, or expire; those that are with the provider already may still arrive.",
		Metadata:    needing(RoleAdmin),
	}, s.switchService)
}

func (s *server) readService(ctx context.Context, _ *struct{}) (*output[Service], error) {
	on, err := s.Campaigns.Service(ctx)
	if err != nil {
		return nil, err
	}
	return s.serviceNow(ctx, on)
}

func (s *server) switchService(ctx context.Context, in *struct{ Body Switch }) (*output[Service], error) {
	if err := s.Campaigns.SetService(ctx, in.Body.Enabled); err != nil {
		return nil, err
	}
	s.Logger.Info("the service was switched", "enabled", in.Body.Enabled, "token", tokenName(ctx))
	return s.serviceNow(ctx, in.Body.Enabled)
}

// serviceNow says what the switch comes to.
func (s *server) serviceNow(ctx context.Context, on bool) (*output[Service], error) {
	if !on {
		return &output[Service]{Body: Service{Why: switchedOff}}, nil
	}
	sends, err := s.anySends(ctx)
	if err != nil {
		return nil, err
	}
	if !sends {
		return &output[Service]{Body: Service{Enabled: true, Why: noSender}}, nil
	}
	return &output[Service]{Body: Service{Enabled: true, Sending: true}}, nil
}

// anySends says whether there is a sender for campaigns that name none, or a
// campaign that is switched on and names one that is there.
func (s *server) anySends(ctx context.Context) (bool, error) {
	if s.Senders.Any() {
		return true, nil
	}
	all, _, err := s.Campaigns.List(ctx)
	if err != nil {
		return false, err
	}
	for _, c := range all {
		if c.DeletedAt == nil && c.IsEnabled() && s.Senders.Sends(c) {
			return true, nil
		}
	}
	return false, nil
}
