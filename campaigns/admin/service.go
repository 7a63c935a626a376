package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Service is the switch over all campaigns.
type Service struct {
	Enabled bool `json:"enabled" doc:"Whether texts are offered and sent at all."`
}

func (s *server) serviceOperations() {
	tags := []string{"service"}
	operation(s, huma.Operation{
		OperationID: "read-service", Method: http.MethodGet, Path: "/v1/service", Tags: tags,
		Summary: "Read whether texts are offered and sent",
	}, s.readService)
	operation(s, huma.Operation{
		OperationID: "switch-service", Method: http.MethodPut, Path: "/v1/service", Tags: tags,
		Summary:     "Switch offering and sending on or off, for all campaigns",
		Description: "Calls pass by while it is off (reason service_off). Texts that are queued wait until it is on again, or expire; those that are with the provider already may still arrive.",
	}, s.switchService)
}

func (s *server) readService(ctx context.Context, _ *struct{}) (*output[Service], error) {
	on, err := s.Campaigns.Service(ctx)
	if err != nil {
		return nil, err
	}
	return &output[Service]{Body: Service{Enabled: on}}, nil
}

func (s *server) switchService(ctx context.Context, in *struct{ Body Service }) (*output[Service], error) {
	if err := s.Campaigns.SetService(ctx, in.Body.Enabled); err != nil {
		return nil, err
	}
	s.Logger.Info("the service was switched", "enabled", in.Body.Enabled, "token", tokenName(ctx))
	return &output[Service]{Body: in.Body}, nil
}
