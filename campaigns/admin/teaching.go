package admin

import (
	"regexp"
)

// lessons are the words of the schema's checks, and ours for them: what would be
// right, in words that people who have never seen a schema understand.
var lessons = []struct {
	says *regexp.Regexp
	ours string
}{
	{regexp.MustCompile(`^unexpected property$`), "is not known: leave it out, or look how it is spelled"},
	{regexp.MustCompile(`^unknown query parameter$`), "is not known: leave it out, or look how it is spelled"},
	{regexp.MustCompile(`^expected boolean$`), "must be true or false"},
	{regexp.MustCompile(`^expected (?:number|integer)$`), "must be a whole number"},
	{regexp.MustCompile(`^expected string$`), "must be text"},
	{regexp.MustCompile(`^expected array$`), "must be a list"},
	{regexp.MustCompile(`^expected object$`), "must be an object with names and values"},
	{regexp.MustCompile(`^expected value to be one of "(.*)"$`), "must be one of $1"},
	{regexp.MustCompile(`^expected number >= (\S+)$`), "must be at least $1"},
	{regexp.MustCompile(`^expected number <= (\S+)$`), "must be at most $1"},
	{regexp.MustCompile(`^expected length >= 1$`), "must not be empty"},
	{regexp.MustCompile(`^expected length >= (\d+)$`), "must have at least $1 characters"},
	{regexp.MustCompile(`^expected length <= (\d+)$`), "must have at most $1 characters"},
	{regexp.MustCompile(`^expected array length <= (\d+)$`), "must have at most $1 items"},
	{regexp.MustCompile(`^expected string to be RFC 3339 date-time$`), "must be a time such as 2026-11-20T10:00:00Z"},
	{regexp.MustCompile(`^expected string to match pattern (.*)$`), "must match $1"},
	{regexp.MustCompile(`^expected string to be (.*)$`), "must be $1"},
	{regexp.MustCompile(`^invalid (?:integer|unsigned integer|floating value)$`), "must be a whole number"},
	{regexp.MustCompile(`^invalid boolean$`), "must be true or false"},
	{regexp.MustCompile(`^invalid date/time for format .*$`), "must be a time such as 2026-11-20T10:00:00Z"},
}

// teaching says in our words what a check of the schema says in its own.
func teaching(says string) string {
	for _, l := range lessons {
		if l.says.MatchString(says) {
			return l.says.ReplaceAllString(says, l.ours)
		}
	}
	return says
}
