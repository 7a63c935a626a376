package config

import (
	"errors"
	"fmt"
	"strings"
)

// Error is all that is wrong with a configuration.
type Error struct {
	// File is the configuration file's path, "" if there is none.
	File string
	// Problems are those of the file by line, then what it lacks, then those of
	// the environment.
	Problems []Problem
}

// Problem is one thing that is wrong, or that should be looked at.
type Problem struct {
	// Key is the path of the setting, as in "asterisk.nodes[0].url"; "" where
	// the file as a whole is meant.
	Key string
	// Line is where the file sets it, counted from 1; 0 if the file does not.
	Line int
	// Variable is the environment variable that set it, if one did.
	Variable string
	// Message says what is wrong and what would be right. It never holds a secret.
	Message string
}

// Error lists every problem, one a line, with file, line and key.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.describe(e.File)
	}
	return strings.Join(lines, "\n")
}

// describe is "where: key: message", where being the variable that set it or
// the file and the line, as an editor can jump to.
func (p Problem) describe(file string) string {
	var parts []string
	switch {
	case p.Variable != "":
		parts = append(parts, p.Variable)
	case file == "":
		parts = append(parts, "configuration")
	case p.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d", file, p.Line))
	default:
		parts = append(parts, file)
	}
	if p.Key != "" {
		parts = append(parts, p.Key)
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// errRedisURL stands for the errors of the URL parsers, which quote the URL
// and with it the password.
var errRedisURL = errors.New("is not a Redis URL; write it like redis://[user:password@]host:port/db, rediss://… or unix:///path/to/redis.sock, or with several addresses, host:port,host:port, for a Cluster")
