package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// teller prints the story.
type teller struct {
	out    io.Writer
	colour bool
	begin  time.Time // what elapsed times count from
}

// ANSI colours.
const (
	dim   = "2"
	bold  = "1"
	green = "32"
	cyan  = "36"
)

func (t *teller) paint(colour, text string) string {
	if !t.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// chapter begins a part of the story; elapsed times begin anew.
func (t *teller) chapter(title string) {
	t.begin = time.Now()
	fmt.Fprintf(t.out, "\n%s\n", t.paint(bold, title))
}

// line tells what happened just now.
func (t *teller) line(who, format string, args ...any) { t.lineAt(time.Now(), who, format, args...) }

// lineAt tells what happened at a time.
func (t *teller) lineAt(at time.Time, who, format string, args ...any) {
	elapsed := max(0, at.Sub(t.begin))
	fmt.Fprintf(t.out, "  %s  %s %s\n", t.paint(dim, fmt.Sprintf("%7.2f s", elapsed.Seconds())),
		t.paint(cyan, fmt.Sprintf("%-10s", who)), fmt.Sprintf(format, args...))
}

// note tells something that has no time.
func (t *teller) note(format string, args ...any) {
	fmt.Fprintln(t.out, strings.TrimRight("  "+fmt.Sprintf(format, args...), " "))
}

// done tells that all is well.
func (t *teller) done(text string) { fmt.Fprintf(t.out, "\n%s\n", t.paint(green, text)) }
