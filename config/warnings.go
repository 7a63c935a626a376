package config

import (
	"net"
	"strings"
)

// Warnings are settings that work but that one may not have meant.
func (c *Config) Warnings() []Problem {
	k := &checker{places: c.places}
	if strings.HasPrefix(c.Public.URL, "http://") {
		k.report("public.url", "is not https: telephones warn of such links, and carriers reject some")
	}
	if c.SMS.Provider == ProviderSandbox {
		k.report("sms.provider", "sandbox sends no text to anybody")
	}
	if c.SMS.Originator == "" {
		k.report("sms.originator", "there is none: nothing is offered or sent before a number was obtained (POST /v1/senders), but by campaigns that name a sender themselves")
	}
	if len(c.Admin.Tokens) == 0 {
		k.report("admin.tokens", "there is none, so nobody can use the API; `deflectd token` makes one")
	}
	if host, _, err := net.SplitHostPort(c.Admin.Listen); err == nil && !loopback(host) {
		k.report("admin.listen", "is reachable from other machines, without TLS, and shows /metrics to them without a token")
	}
	return k.problems
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
