package link

import (
	"net/http"
	"strings"
)

// visitor is who opened a link, as far as one request can tell.
type visitor string

const (
	human visitor = "human"
	bot   visitor = "bot"
)

// agents are words in the user agents of programs that fetch links to show a
// preview or to look for harm. The list is short on purpose: a person who is
// taken for a program is as wrong as the opposite.
var agents = [...]string{
	"bot", "crawl", "spider", "preview", "scan", "facebookexternalhit", "whatsapp", "telegram",
	"skypeuripreview", "slack", "curl/", "wget/", "python-", "go-http-client", "java/", "okhttp",
	"headless", "libwww", "axios", "node-fetch",
}

// visitorOf guesses who asks. A HEAD request and one without a user agent never
// come from a person's browser.
func visitorOf(r *http.Request) visitor {
	agent := strings.ToLower(r.UserAgent())
	if r.Method == http.MethodHead || strings.TrimSpace(agent) == "" {
		return bot
	}
	for _, word := range agents {
		if strings.Contains(agent, word) {
			return bot
		}
	}
	return human
}
