package page

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
)

// ticked is the name of the boxes that select campaigns.
const ticked = "campaign"

// maxTicked is how many campaigns are deleted at once.
const maxTicked = 500

// keyOf says which version of a campaign a box stands for. No id has an "@".
func keyOf(c *campaigns.Campaign) string { return c.ID + "@" + strconv.FormatInt(c.Version, 10) }

// readKey reads what keyOf has written.
func readKey(key string) (id string, version int64, ok bool) {
	id, number, _ := strings.Cut(key, "@")
	version, err := strconv.ParseInt(number, 10, 64)
	return id, version, err == nil && version > 0 && id != ""
}

// askToDelete names the campaigns that were selected and what they answer, and
// asks whether they are to be deleted.
func (v *view) askToDelete() error {
	if err := v.needs(admin.RoleEditor); err != nil {
		return err
	}
	back := within(v.form("back"))
	keys := v.forms(ticked)
	if len(keys) == 0 {
		return refused(http.StatusUnprocessableEntity, "No campaign is selected. Tick those that are to be deleted.")
	}
	return v.confirmDelete(keys, back, nil)
}

// confirmDelete asks once more; troubles say why some of them still stand.
func (v *view) confirmDelete(keys []string, back string, troubles []trouble) error {
	if len(keys) > maxTicked {
		return refused(http.StatusUnprocessableEntity, "That is more than can be deleted at once.")
	}
	c := confirmation{
		Action: "/delete/confirmed", Danger: true, Back: back, Fields: []kept{{"back", back}}, Troubles: troubles,
		Text: "Calls to their numbers are no longer answered. Links that were sent already go on working until they expire. " +
			"A deleted campaign can be restored for 30 days.",
	}
	for _, key := range keys {
		id, _, ok := readKey(key)
		if !ok {
			return refused(http.StatusBadRequest, "The form was not understood. Nothing was deleted.")
		}
		found, err := v.api.Campaign(v.ctx(), id)
		if client.Is(err, http.StatusNotFound) || err == nil && found.DeletedAt != nil {
			continue // somebody was quicker
		}
		if err != nil {
			return err
		}
		c.Items = append(c.Items, nameOf(found)+" ("+found.ID+"): answers "+answersOf(found))
		c.Fields = append(c.Fields, kept{ticked, keyOf(found)}) // as it is shown here
	}
	switch len(c.Items) {
	case 0:
		return v.done(back, "campaigns-deleted")
	case 1:
		c.Title, c.Button = "Delete this campaign?", "Delete it"
	default:
		c.Title = "Delete these " + plural(len(c.Items), "campaign", "campaigns") + "?"
		c.Button = "Delete all " + strconv.Itoa(len(c.Items))
	}
	return v.confirm(c)
}

// answersOf says in words what numbers a campaign answers.
func answersOf(c *campaigns.Campaign) string {
	numbers := make([]string, 0, len(c.DNIS))
	for _, dnis := range c.DNIS {
		if dnis == "*" {
			dnis = "all other numbers"
		}
		numbers = append(numbers, dnis)
	}
	if !c.IsEnabled() {
		return "nothing, as it is switched off (its numbers: " + strings.Join(numbers, ", ") + ")"
	}
	return strings.Join(numbers, ", ")
}

// deleteCampaigns deletes each campaign as it was shown. What was changed
// meanwhile is shown again.
func (v *view) deleteCampaigns() error {
	back := within(v.form("back"))
	var still []string
	var troubles []trouble
	deleted, keys := 0, v.forms(ticked)
	for _, key := range keys {
		id, version, ok := readKey(key)
		if !ok {
			return refused(http.StatusBadRequest, "The form was not understood. Nothing was deleted.")
		}
		err := v.api.DeleteCampaign(v.ctx(), id, version)
		switch {
		case err == nil, client.Is(err, http.StatusNotFound):
			deleted++
		case client.Is(err, http.StatusPreconditionFailed):
			still = append(still, key)
			troubles = append(troubles, trouble{Text: id + " was changed by somebody meanwhile, and is not deleted"})
		case deleted > 0:
			// Pressed again, it goes on: what is deleted is passed over.
			p := *v.excuse(err)
			p.Detail = count(deleted) + " of " + plural(len(keys), "campaign", "campaigns") + " were deleted, the others not yet. " + sentence(p.Detail)
			return &p
		default:
			return err
		}
	}
	if len(still) > 0 {
		return v.confirmDelete(still, back, troubles)
	}
	// The address of the list may have been a place in it that is gone.
	at, err := url.Parse(back)
	if err != nil {
		return err
	}
	values := at.Query()
	values.Del("cursor")
	at.RawQuery = values.Encode()
	return v.done(at.String(), "campaigns-deleted")
}
