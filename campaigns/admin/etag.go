package admin

import (
	"net/http"
	"strconv"
	"strings"
)

// etag is the ETag of a version of a campaign (RFC 9110, section 8.8.3).
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// anyVersion is what the store takes for "whatever is there now".
const anyVersion = 0

// precondition reads If-Match (RFC 9110, section 13.1.1) and answers the
// version that the campaign must have, where it has the version now; "*" asks for none in particular.
func precondition(ifMatch string, now int64) (int64, error) {
	if strings.TrimSpace(ifMatch) == "*" {
		return anyVersion, nil
	}
	for tag := range strings.SplitSeq(ifMatch, ",") {
		// A weak tag never matches here, and neither does what is no tag at all.
		if strings.TrimSpace(tag) == etag(now) {
			return now, nil
		}
	}
	return 0, problem(http.StatusPreconditionFailed, "the campaign was changed meanwhile: read it again",
		inHeader("If-Match", "the campaign is at "+etag(now))).with("ETag", etag(now))
}

// needIfMatch refuses a write that does not say which version it is about
// (RFC 6585, section 3).
func needIfMatch(ifMatch string) error {
	if ifMatch != "" {
		return nil
	}
	return problem(http.StatusPreconditionRequired, "say which version is meant: read the campaign and send its ETag as If-Match",
		inHeader("If-Match", "is needed"))
}

// unchanged says whether If-None-Match (RFC 9110, section 13.1.2) names what
// the client would get, the version now.
func unchanged(ifNoneMatch string, now int64) bool {
	if strings.TrimSpace(ifNoneMatch) == "*" {
		return true
	}
	for tag := range strings.SplitSeq(ifNoneMatch, ",") {
		if strings.TrimPrefix(strings.TrimSpace(tag), "W/") == etag(now) {
			return true
		}
	}
	return false
}
