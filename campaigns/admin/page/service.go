package page

import (
	"deflectd/campaigns/admin"
)

func (p *pages) serviceRoutes() {
	p.notice("service-on", "The service is switched on.")
	p.notice("service-off", "The service is switched off: every call passes by.")
	p.handle("POST /service", (*view).switchService)
	p.handleAgain("POST /service", (*view).switchServiceAgain)
}

// switchService switches offering and sending on or off for all campaigns. To
// switch it off is asked about once more: it concerns every caller.
func (v *view) switchService() error {
	if err := v.needs(admin.RoleAdmin); err != nil {
		return err
	}
	on := v.form("enabled") == "true"
	if !on && v.form("confirmed") == "" {
		return v.askToSwitchOff()
	}
	if _, err := v.api.SwitchService(v.ctx(), on); err != nil {
		return err
	}
	if on {
		return v.done("/", "service-on")
	}
	return v.done("/", "service-off")
}

func (v *view) askToSwitchOff() error {
	return v.confirm(confirmation{
		Title: "Switch everything off?", Action: "/service", Danger: true, Button: "Switch it off",
		Fields: []kept{{"enabled", "false"}, {"confirmed", "yes"}},
		Text: "No caller is offered a text any more, of any campaign, and texts that wait are not sent. " +
			"Calls under way are finished. You can switch it on again at any time.",
	})
}

// switchServiceAgain asks whether it is still meant.
func (v *view) switchServiceAgain() error {
	if v.form("enabled") != "true" {
		return v.askToSwitchOff()
	}
	return v.confirm(confirmation{
		Title: "Switch everything on?", Action: "/service", Button: "Switch it on", Text: notDoneYet,
		Fields: []kept{{"enabled", "true"}},
	})
}
