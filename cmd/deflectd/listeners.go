package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// listener is one of the two HTTP servers: its socket is open from the start,
// so that a port that is taken stops the daemon before it touches a call.
type listener struct {
	name   string
	socket net.Listener
	server *http.Server
}

// listen opens the socket of a server. Nothing is answered until serve runs.
func listen(ctx context.Context, name, address string, handler http.Handler, logger *slog.Logger) (*listener, error) {
	var lc net.ListenConfig
	socket, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("opening the %s listener: %w", name, err)
	}
	return &listener{name: name, socket: socket, server: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		// Long enough for a profile of 30 s, which is the slowest answer there is.
		WriteTimeout:   45 * time.Second,
		IdleTimeout:    60 * time.Second,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}, nil
}

// serve answers requests until ctx ends, then lets those under way finish.
func (l *listener) serve(ctx context.Context) error {
	var failure error // of serving; set before ended is closed
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failure = l.server.Serve(l.socket)
	}()
	select {
	case <-ended:
		return fmt.Errorf("serving the %s listener: %w", l.name, failure)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := l.server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = l.server.Close()
	}
	<-ended
	return err
}
