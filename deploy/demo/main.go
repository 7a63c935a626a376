// Command demo shows one real call become a text: it starts an Asterisk, a
// Redis and a deflectd of its own on free ports of loopback, makes a campaign
// over the API, places a SIP call that presses 1, opens the link, and tells the
// story as it happens. In a terminal it then stays up for calls of your own.
// Nothing is left behind when it ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
)

func main() {
	// A reader that goes away (`make demo | head`) is no reason to end without
	// cleaning up.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	terminal := isatty.IsTerminal(os.Stdout.Fd())
	tell := &teller{out: os.Stdout, colour: terminal && os.Getenv("NO_COLOR") == ""}
	err := run(ctx, tell, terminal)
	stop()
	switch {
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(os.Stderr, "demo: interrupted; everything is stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo: failed:", err)
		os.Exit(1)
	}
}
