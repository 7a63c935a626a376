package page

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/client"
)

// homeLimit is how many campaigns the home page shows at once.
const homeLimit = 50

// maxSearch is how many characters the API looks for.
const maxSearch = 200

// homePage is what home.html shows.
type homePage struct {
	Service serviceBar
	Search  input
	Tabs    []tab
	Show    string // one of the tabs
	Rows    []campaignRow
	Pager   pager
	Here    string // the address of this page, to come back to
	// Narrowed says that not all campaigns were asked for.
	Narrowed bool
	// First says that there is no campaign yet.
	First bool
}

// tab is one of a few choices that are addresses.
type tab struct {
	Label, Address string
	Chosen         bool
}

// campaignRow is one campaign of the grid.
type campaignRow struct {
	ID, Name    string
	Key         string // id and version, as boxes are ticked by
	Numbers     []string
	More        int // numbers that are not among them
	Text        string
	Interaction string
	Enabled     bool
	Marketing   bool
	Texts       *campaigns.Texts
	Deleted     time.Time
}

// shownNumbers is how many numbers of a campaign the grid shows.
const shownNumbers = 3

func (p *pages) homeRoutes() {
	p.notice("campaign-on", "The campaign is switched on: its calls are answered.")
	p.notice("campaign-off", "The campaign is switched off: its calls pass by.")
	p.notice("campaign-restored", "The campaign is back.")
	p.notice("campaigns-deleted", "Deleted. You can restore it for 30 days: choose Deleted above the list.")
	p.handle("GET /{$}", (*view).home)
	p.handle("POST /switch", (*view).switchCampaign)
	p.handleAgain("POST /switch", (*view).askToSwitch)
	p.handle("POST /restore", (*view).restoreCampaign)
	p.handleAgain("POST /restore", (*view).askToRestore)
	p.handleLong("POST /delete", (*view).askToDelete)
	p.handleAgain("POST /delete", (*view).askToDelete)
	p.handleLong("POST /delete/confirmed", (*view).deleteCampaigns)
	p.handleAgain("POST /delete/confirmed", (*view).askToDelete)
}

// showing are the choices of which campaigns the grid shows.
var showing = []struct{ word, label string }{
	{"", "All"}, {"on", "On"}, {"off", "Off"}, {"deleted", "Deleted"},
}

func (v *view) home() error {
	show := v.query("show")
	search := strings.TrimSpace(v.query("q"))
	if all := []rune(search); len(all) > maxSearch {
		search = strings.TrimSpace(string(all[:maxSearch]))
	}
	query := client.CampaignQuery{Deleted: show == "deleted", Limit: homeLimit, Cursor: v.query("cursor")}
	if show == "on" || show == "off" {
		on := show == "on"
		query.Enabled = &on
	}
	found, err := v.search(query, search)
	if query.Cursor != "" && (client.Is(err, http.StatusUnprocessableEntity) || err == nil && len(found.Items) == 0) {
		// The place in the list is of another time, or made up.
		query.Cursor = ""
		found, err = v.search(query, search)
	}
	if err != nil {
		return err
	}
	bar, err := v.serviceBar()
	if err != nil {
		return err
	}
	data := homePage{
		Service: bar, Show: show, Here: homeAddress(search, show, query.Cursor),
		Narrowed: search != "" || show != "" || query.Cursor != "",
		Search: input{
			Kind: "search", Name: "q", Label: "Search campaigns", Quiet: true, Value: search, Max: maxSearch,
			Placeholder: "Name, text, interaction or number",
		},
	}
	data.First = !data.Narrowed && len(found.Items) == 0
	for _, s := range showing {
		data.Tabs = append(data.Tabs, tab{Label: s.label, Address: homeAddress(search, s.word, ""), Chosen: s.word == show})
	}
	for _, c := range found.Items {
		data.Rows = append(data.Rows, newCampaignRow(c))
	}
	data.Pager = homePager(found, search, show, query.Cursor)
	return v.render(http.StatusOK, "home", data)
}

// search finds campaigns. What is written like a number is looked for among
// the numbers they answer; all else among their words.
func (v *view) search(query client.CampaignQuery, search string) (client.List[*campaigns.Campaign], error) {
	if likeNumber(search) {
		query.DNIS = search
		found, err := v.api.Campaigns(v.ctx(), query)
		if err == nil && len(found.Items) > 0 || err != nil && !client.Is(err, http.StatusUnprocessableEntity) {
			return found, err
		}
		query.DNIS = ""
	}
	query.Q = search
	return v.api.Campaigns(v.ctx(), query)
}

// likeNumber says whether what is searched for is written like a dialled
// number or a prefix.
func likeNumber(s string) bool {
	digits := 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case !strings.ContainsRune("+-() ./*", c):
			return false
		}
	}
	return digits > 2 || s == "*"
}

// homeAddress is the address of a part of the grid.
func homeAddress(search, show, cursor string) string {
	values := url.Values{}
	for name, value := range map[string]string{"q": search, "show": show, "cursor": cursor} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if len(values) == 0 {
		return "/"
	}
	return "/?" + values.Encode()
}

func homePager(found client.List[*campaigns.Campaign], search, show, cursor string) pager {
	p := pager{}
	if cursor != "" {
		p.First = homeAddress(search, show, "")
	}
	if found.Next != "" {
		p.Next = homeAddress(search, show, found.Next)
	}
	switch {
	case len(found.Items) == 0:
	case found.Total > len(found.Items):
		p.Text = count(len(found.Items)) + " of " + plural(found.Total, "campaign", "campaigns")
	case p.First == "" && p.Next == "":
		p.Text = plural(len(found.Items), "campaign", "campaigns")
	}
	return p
}

func newCampaignRow(c *campaigns.Campaign) campaignRow {
	row := campaignRow{
		ID: c.ID, Name: nameOf(c), Key: keyOf(c), Numbers: c.DNIS, Text: c.Text, Interaction: interactionOf(c),
		Enabled: c.IsEnabled(), Marketing: c.Kind == "marketing", Texts: c.Texts,
	}
	if len(row.Numbers) > shownNumbers {
		row.More = len(row.Numbers) - shownNumbers
		row.Numbers = row.Numbers[:shownNumbers]
	}
	if c.DeletedAt != nil {
		row.Deleted = *c.DeletedAt
	}
	return row
}

// nameOf is what a campaign is called.
func nameOf(c *campaigns.Campaign) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// interactionOf names the interaction of a campaign: by its id, else by where
// it is.
func interactionOf(c *campaigns.Campaign) string {
	if c.Interaction.ID != "" {
		return c.Interaction.ID
	}
	u, err := url.Parse(c.Interaction.URL)
	if err != nil || u.Host == "" {
		return c.Interaction.URL
	}
	return u.Host + u.Path
}

func (v *view) switchCampaign() error {
	id, on := v.form("id"), v.form("enabled") == "true"
	if _, err := v.api.PatchCampaign(v.ctx(), id, map[string]bool{"enabled": on}, client.Any); err != nil {
		return err
	}
	notice := "campaign-off"
	if on {
		notice = "campaign-on"
	}
	return v.done(within(v.form("back"))+"#"+rowID(id), notice)
}

// askToSwitch asks whether a campaign is still to be switched.
func (v *view) askToSwitch() error {
	id, title, button := v.form("id"), "Switch this campaign off?", "Switch it off"
	if v.form("enabled") == "true" {
		title, button = "Switch this campaign on?", "Switch it on"
	}
	found, err := v.api.Campaign(v.ctx(), id)
	if err != nil {
		return err
	}
	return v.confirm(confirmation{
		Title: title, Text: notDoneYet, Items: []string{nameOf(found) + " (" + found.ID + ")"},
		Action: "/switch", Fields: posted(v.r.PostForm), Button: button, Back: v.form("back"),
	})
}

// rowID is the id of the row of a campaign.
func rowID(id string) string { return "c-" + id }

func (v *view) restoreCampaign() error {
	return v.restore(v.form("id"))
}

// askToRestore shows the campaign, with a button that brings it back.
func (v *view) askToRestore() error {
	v.redirect(within(campaignPath(v.form("id"))))
	return nil
}

// serviceBar is what the home page says of the service as a whole.
type serviceBar struct {
	admin.Service
	State   string // in words
	Class   string // of the badge
	Badge   string
	Senders []senderRow
}

// serviceBar asks for the state of the service.
func (v *view) serviceBar() (serviceBar, error) {
	now, err := v.api.Service(v.ctx())
	if err != nil {
		return serviceBar{}, err
	}
	senders, err := v.senders(v.ctx())
	if err != nil {
		return serviceBar{}, err
	}
	bar := serviceBar{Service: now, Senders: senders.Rows}
	switch {
	case now.Sending:
		bar.State, bar.Class, bar.Badge = "Callers are offered texts, and texts are sent.", "on", "On"
	case !now.Enabled:
		bar.State, bar.Class, bar.Badge = "No texts are offered or sent. Every call goes on as if deflectd were not there.", "off", "Off"
	default:
		bar.State, bar.Class, bar.Badge = "It is switched on, but no text can be sent: there is nothing to send from.", "warn", "Nothing to send from"
	}
	return bar, nil
}

// senders are what texts come from.
func (v *view) senders(ctx context.Context) (senderRows, error) {
	all, err := v.api.Senders(ctx)
	if err != nil {
		return senderRows{}, err
	}
	return newSenderRows(all), nil
}
