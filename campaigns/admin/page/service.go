package page

import (
	"deflectd/campaigns/admin"
)

func (p *pages) serviceRoutes() {
	p.notice("service-on", "The service is switched on.")
	p.notice("service-off", "The service is switched off: every call passes by.")
	p.handle("POST /service", (*view).switchService)
}

// switchService switches offering and sending on or off for all campaigns. To
// switch it off is asked about once more: it concerns every caller.
func (v *view) switchService() error {
	if err := v.needs(admin.RoleAdmin); err != nil {
		return err
	}
	on := v.form("enabled") == "true"
	if !on && v.form("confirmed") == "" {
		return v.confirm(confirmation{
			Title: "Switch everything off?", Action: "/service", Danger: true, Button: "Switch it off", Back: "/",
			Fields: []kept{{"enabled", "false"}, {"confirmed", "yes"}},
			Text: "No caller is offered a text any more, of any campaign, and texts that wait are not sent. " +
				"Calls under way are finished. You can switch it on again at any time.",
		})
	}
	if _, err := v.api.SwitchService(v.ctx(), on); err != nil {
		return err
	}
	if on {
		return v.done("/", "service-on")
	}
	return v.done("/", "service-off")
}
