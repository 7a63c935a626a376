package lab

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// scenario writes the call as a scenario of SIPp, with the sound going to a
// UDP port of loopback.
//
// Without a media port it is one of many calls of a load: the sound goes to
// SIPp, which throws it away, and the caller's number is a field of a file.
func (c Caller) scenario(mediaPort int) (string, error) {
	steps := c.Steps
	if len(steps) == 0 {
		steps = []Step{Answered(), AwaitBye()}
	}
	w := &scenarioWriter{Caller: c, Media: mediaPort, CSeq: 1, Early: steps[0].kind != stepAnswered}
	w.add("invite")
	answered := false
	for _, step := range steps {
		early := step.kind == stepAnswered || step.kind == stepCancel
		if step.kind != stepPause && early == answered {
			return "", errors.New("the steps are not in an order a call can have")
		}
		if step.kind == stepPress && mediaPort == 0 {
			return "", errors.New("keys as RTP need a call of their own; use PressInfo")
		}
		w.step(step)
		answered = answered || step.kind == stepAnswered
	}
	w.add("end")
	if w.err != nil {
		return "", fmt.Errorf("write the scenario: %w", w.err)
	}
	return w.text.String(), nil
}

// scenarioWriter is what the templates below see.
type scenarioWriter struct {
	Caller
	Media int
	CSeq  int
	Key   string
	Pause int64
	Early bool // the caller does something before the answer

	text strings.Builder
	err  error
}

func (w *scenarioWriter) add(name string) {
	w.err = errors.Join(w.err, scenarioParts.ExecuteTemplate(&w.text, name, w))
}

func (w *scenarioWriter) step(s Step) {
	switch s.kind {
	case stepAnswered:
		w.add("answered")
	case stepPause:
		w.pause(s.pause)
	case stepPress:
		for _, key := range s.keys {
			w.Key = string(key)
			w.add("press")
			w.pause(keyTime)
		}
	case stepPressInfo:
		for _, key := range s.keys {
			w.Key = string(key)
			w.CSeq++
			w.add("info")
		}
	case stepHangup:
		w.CSeq++
		w.add("hangup")
	case stepCancel:
		w.add("cancel")
	case stepAwaitBye:
		w.add("bye")
	}
}

func (w *scenarioWriter) pause(d time.Duration) {
	w.Pause = d.Milliseconds()
	w.add("pause")
}

// Wait is how long the caller waits, in milliseconds.
func (w *scenarioWriter) Wait() int64 { return w.Timeout.Milliseconds() }

// plain protects text from the keywords of SIPp, which stand in brackets and
// cannot be escaped: the bracket becomes a keyword of its own (see sipp).
func plain(s string) string { return strings.ReplaceAll(s, "[", "[bracket]") }

// quoted is text inside a quoted string of SIP (RFC 3261, 25.1).
func quoted(s string) string {
	return plain(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s))
}

// user is text as the user part of a SIP URI: what may not stand there is
// escaped (RFC 3261, 25.1).
func user(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("-_.!~*'()&=+$,;?/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

var scenarioFuncs = template.FuncMap{"plain": plain, "quoted": quoted, "user": user}

var scenarioParts = template.Must(template.New("").Funcs(scenarioFuncs).Parse(`
{{define "dialog" -}}
From: {{with .DisplayName}}"{{quoted .}}" {{end}}<sip:{{user .From}}{{if not .Media}}[field0]{{end}}@[local_ip]:[local_port]>;tag=[pid]lab[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{{end}}
{{define "rest" -}}
Call-ID: [call_id]
Contact: <sip:lab@[local_ip]:[local_port]>
Max-Forwards: 70{{end}}

{{define "invite"}}<?xml version="1.0" encoding="UTF-8"?>
<scenario name="call">
<send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-invite
{{template "dialog" .}}
{{template "rest" .}}
CSeq: 1 INVITE
{{with .PAI}}P-Asserted-Identity: <sip:{{user .}}@[local_ip]>
{{end}}{{with .Privacy}}Privacy: {{plain .}}
{{end}}{{with .Diversion}}Diversion: <sip:{{user .}}@[local_ip]>;reason=unconditional
{{end}}{{range .Headers}}{{plain .}}
{{end}}Content-Type: application/sdp
Content-Length: [len]

v=0
o=lab 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio {{with .Media}}{{.}}{{else}}[media_port]{{end}} RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
]]></send>
{{if .Early -}}
<recv response="100" timeout="{{.Wait}}" ontimeout="unanswered"/>
{{else -}}
<recv response="100" optional="true" timeout="{{.Wait}}" ontimeout="unanswered"/>
<recv response="180" optional="true" timeout="{{.Wait}}" ontimeout="unanswered"/>
<recv response="183" optional="true" timeout="{{.Wait}}" ontimeout="unanswered"/>
{{end}}{{end}}

{{define "answered"}}
<recv response="200" timeout="{{.Wait}}" ontimeout="unanswered"{{if not .Media}}/>{{else}}>
<action><ereg regexp="m=audio ([0-9]+)" search_in="body" check_it="true" assign_to="line,port"/>
<log message="answered [$port]"/></action></recv>
<Reference variables="line"/>{{end}}
<send><![CDATA[
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
{{template "dialog" .}}[peer_tag_param]
{{template "rest" .}}
CSeq: 1 ACK
Content-Length: 0

]]></send>
{{end}}

{{define "pause"}}<pause milliseconds="{{.Pause}}"/>
{{end}}

{{define "press"}}<nop><action><log message="press {{.Key}}"/></action></nop>
{{end}}

{{define "info"}}
<send retrans="500"><![CDATA[
INFO sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
{{template "dialog" .}}[peer_tag_param]
{{template "rest" .}}
CSeq: {{.CSeq}} INFO
Content-Type: application/dtmf-relay
Content-Length: [len]

Signal={{.Key}}
Duration=160
]]></send>
<recv response="200"/>
{{end}}

{{define "hangup"}}
<send retrans="500"><![CDATA[
BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
{{template "dialog" .}}[peer_tag_param]
{{template "rest" .}}
CSeq: {{.CSeq}} BYE
Content-Length: 0

]]></send>
<recv response="200" timeout="2000" ontimeout="over" next="over"/>
{{end}}

{{define "cancel"}}
<send retrans="500"><![CDATA[
CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-invite
{{template "dialog" .}}
Call-ID: [call_id]
Max-Forwards: 70
CSeq: 1 CANCEL
Content-Length: 0

]]></send>
<recv response="200" timeout="2000" ontimeout="over"/>
<recv response="487" timeout="2000" ontimeout="over"/>
<send next="over"><![CDATA[
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-invite
{{template "dialog" .}}[peer_tag_param]
{{template "rest" .}}
CSeq: 1 ACK
Content-Length: 0

]]></send>
{{end}}

{{define "bye"}}
<recv request="BYE" timeout="{{.Wait}}" ontimeout="stuck"/>
<send next="over"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
{{end}}

{{define "end"}}
<nop next="over"/>
<label id="stuck"/>
{{if .Media}}<nop><action><log message="stuck"/></action></nop>{{end}}
{{template "hangup" .Last}}
<label id="unanswered"/>
{{if .Media}}<nop><action><log message="stuck"/></action></nop>{{end}}
{{template "cancel" .}}
<label id="over"/>
</scenario>
{{end}}
`))

// Last is the writer with the number of the dialog's last request.
func (w *scenarioWriter) Last() *scenarioWriter {
	w.CSeq += 100 // whatever was sent before, this one is later
	return w
}
