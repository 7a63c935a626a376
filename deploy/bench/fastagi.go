package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// serveFastAGI is the smallest honest FastAGI server: it reads what Asterisk
// says of the call, answers, plays one second, and hangs up. It is what a team
// would write first instead of deflectd, and it knows no campaign, sends no
// text and keeps no record.
func serveFastAGI(ctx context.Context, address, sound string) error {
	var lc net.ListenConfig
	socket, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("opening the FastAGI port: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = socket.Close() })
	for {
		conn, err := socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting a call: %w", err)
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_ = answerAGI(conn, sound) // a caller who hangs up ends it with an error
		}()
	}
}

// answerAGI is one call.
func answerAGI(conn net.Conn, sound string) error {
	lines := bufio.NewReader(conn)
	for { // the environment, up to an empty line
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	for _, command := range []string{"ANSWER", `STREAM FILE ` + sound + ` ""`, "HANGUP"} {
		if _, err := fmt.Fprintln(conn, command); err != nil {
			return err
		}
		if _, err := lines.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}
