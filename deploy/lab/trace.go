package lab

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// traceMark stands before every message in SIPp's trace, followed by the time.
const traceMark = "----------------------------------------------- "

var causePattern = regexp.MustCompile(`(?im)^Reason:\s*Q\.850\s*;.*?cause=(\d+)`)

// readTrace reads what the caller saw from SIPp's trace of its messages.
func readTrace(trace string) Result {
	r := Result{Trace: trace}
	for _, part := range strings.Split(trace, traceMark)[1:] {
		date, part, _ := strings.Cut(part, "\n")
		at, err := time.ParseInLocation("2006-01-02 15:04:05.000000", date, time.Local)
		if err != nil {
			continue
		}
		direction, text, _ := strings.Cut(part, "\n")
		r.see(at, strings.Contains(direction, "sent"), strings.TrimLeft(text, "\r\n"))
	}
	return r
}

// see takes in one message.
func (r *Result) see(at time.Time, sent bool, text string) {
	first, _, _ := strings.Cut(text, "\n")
	method, rest, _ := strings.Cut(strings.TrimSpace(first), " ")
	switch {
	case sent && method == "INVITE" && r.Invited.IsZero():
		r.Invited, r.CallID = at, header(text, "Call-ID")
	case sent && (method == "BYE" || method == "CANCEL") && r.HungUpBy == "":
		r.Ended, r.HungUpBy = at, ByCaller
	case !sent && method == "BYE" && r.HungUpBy == "":
		r.Ended, r.HungUpBy, r.Cause = at, BySwitch, cause(text)
	case !sent && method == "SIP/2.0" && strings.HasSuffix(header(text, "CSeq"), "INVITE"):
		r.respond(at, rest, text)
	}
}

// respond takes in a response to the INVITE.
func (r *Result) respond(at time.Time, rest, text string) {
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || status < 200 || r.Status != 0 {
		return
	}
	r.Status = status
	if status < 300 {
		r.Answered = at
		return
	}
	if r.HungUpBy == "" {
		r.Ended, r.HungUpBy, r.Cause = at, BySwitch, cause(text)
	}
}

func cause(text string) int {
	match := causePattern.FindStringSubmatch(text)
	if match == nil {
		return 0
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	return n
}

func header(text, name string) string {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
