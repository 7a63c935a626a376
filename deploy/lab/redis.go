package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startTime is how long a program may take to get ready.
const startTime = 20 * time.Second

// Redis is a redis-server of its own on a free port of loopback.
type Redis struct {
	*Program
	Addr string // host:port
	dir  string
	argv []string
	held *ports
}

// StartRedis runs a redis-server with its files in dir. It keeps nothing on
// disk unless args, which go to redis-server as they are, say so
// ("--appendonly", "yes"). The ctx bounds the start alone; end it with Stop.
func StartRedis(ctx context.Context, dir string, args ...string) (*Redis, error) {
	binary, err := findProgram("redis-server")
	if err != nil {
		return nil, err
	}
	if dir, err = makeDir(dir); err != nil {
		return nil, fmt.Errorf("start redis: %w", err)
	}
	held, err := takePorts(1)
	if err != nil {
		return nil, fmt.Errorf("start redis: %w", err)
	}
	port := strconv.Itoa(held.first)
	r := &Redis{Addr: net.JoinHostPort("127.0.0.1", port), dir: dir, held: held}
	r.argv = append([]string{
		binary, "--port", port, "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--databases", "16",
	}, args...)
	if err := r.start(ctx); err != nil {
		held.release()
		return nil, err
	}
	return r, nil
}

// URL is the address in the form of the daemon's configuration.
func (r *Redis) URL() string { return "redis://" + r.Addr + "/0" }

// Stop ends Redis in order and gives its port back. Stopping twice is no error.
func (r *Redis) Stop() error {
	defer r.held.release()
	return r.Program.Stop()
}

// Restart starts it again on the same port with the same files, after a Kill
// or in order; what was not on disk is gone.
func (r *Redis) Restart(ctx context.Context) error {
	if err := r.Program.Stop(); err != nil {
		return err
	}
	return r.start(ctx)
}

func (r *Redis) start(ctx context.Context) error {
	program, err := StartProgram("redis-server", filepath.Join(r.dir, "redis.log"), nil, r.argv...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := program.Ready(ctx, r.ping); err != nil {
		return errors.Join(err, program.Kill())
	}
	r.Program = program
	return nil
}

// ping says whether Redis answers commands, which it does not while it loads.
func (r *Redis) ping(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", r.Addr)
	if err != nil {
		return fmt.Errorf("reach redis: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	if strings.TrimSpace(line) != "+PONG" {
		return fmt.Errorf("ping redis: it says %q", strings.TrimSpace(line))
	}
	return nil
}

// makeDir makes a folder and returns its absolute path.
func makeDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	return dir, nil
}
