package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startTime is how long a program may take to get ready.
const startTime = 20 * time.Second

// answerTime is how long a Redis that runs may take to answer, on a busy machine.
const answerTime = 10 * time.Second

// Redis is a redis-server of its own, or several that are one Cluster, on free
// ports of loopback. Whatever is done to it is done to all of its nodes.
type Redis struct {
	*Program // of the first node
	// Addr is the first node, as host:port.
	Addr string
	// Addrs are all nodes: a client that is given more than one address takes
	// them for a Cluster.
	Addrs []string

	nodes []*redisNode
	held  *ports
}

// redisNode is one redis-server.
type redisNode struct {
	*Program
	addr string
	dir  string
	argv []string
}

// StartRedis runs a redis-server with its files in dir. It keeps nothing on
// disk unless args, which go to redis-server as they are, say so
// ("--appendonly", "yes"). The ctx bounds the start alone; end it with Stop.
func StartRedis(ctx context.Context, dir string, args ...string) (*Redis, error) {
	held, err := takePorts(1)
	if err != nil {
		return nil, fmt.Errorf("start redis: %w", err)
	}
	r := &Redis{held: held}
	if err := r.add(dir, held.first, args); err != nil {
		held.release()
		return nil, err
	}
	if err := r.start(ctx); err != nil {
		held.release()
		return nil, err
	}
	return r, nil
}

// add makes a node that is yet to be started.
func (r *Redis) add(dir string, port int, args []string) error {
	binary, err := findProgram("redis-server")
	if err != nil {
		return err
	}
	if dir, err = makeDir(dir); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	n := &redisNode{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), dir: dir}
	n.argv = append([]string{
		binary, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--databases", "16",
	}, args...)
	r.nodes = append(r.nodes, n)
	r.Addrs = append(r.Addrs, n.addr)
	r.Addr = r.Addrs[0]
	return nil
}

// URL is the address in the form of the daemon's configuration.
func (r *Redis) URL() string { return "redis://" + strings.Join(r.Addrs, ",") + "/0" }

// Stop ends Redis in order and gives its ports back. Stopping twice is no error.
func (r *Redis) Stop() error {
	defer r.held.release()
	return r.each((*Program).Stop)
}

// Kill ends it at once (kill -9) and waits until it is gone.
func (r *Redis) Kill() error { return r.each((*Program).Kill) }

// Freeze stops it where it stands, as Program.Freeze does.
func (r *Redis) Freeze() error { return r.each((*Program).Freeze) }

// Thaw lets it go on after Freeze.
func (r *Redis) Thaw() error { return r.each((*Program).Thaw) }

// Restart starts it again on the same ports with the same files, after a Kill
// or in order; what was not on disk is gone. A Cluster is the same Cluster then.
func (r *Redis) Restart(ctx context.Context) error {
	if err := r.each((*Program).Stop); err != nil {
		return err
	}
	if err := r.start(ctx); err != nil || len(r.nodes) == 1 {
		return err
	}
	return r.awaitServed(ctx)
}

// Flush empties it (FLUSHALL): all nodes, where a client asks but one.
func (r *Redis) Flush(ctx context.Context) error {
	for _, n := range r.nodes {
		if _, err := n.ask(ctx, "FLUSHALL"); err != nil {
			return err
		}
	}
	return nil
}

// Keys are the keys that match a pattern (KEYS), of all nodes, in no order.
func (r *Redis) Keys(ctx context.Context, pattern string) ([]string, error) {
	var all []string
	for _, n := range r.nodes {
		keys, err := n.ask(ctx, "EVAL", `return table.concat(redis.call('KEYS', ARGV[1]), '\n')`, "0", pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, strings.Fields(keys)...)
	}
	return all, nil
}

// each does something to the program of every node that was started.
func (r *Redis) each(do func(*Program) error) error {
	var errs []error
	for _, n := range r.nodes {
		if n.Program != nil {
			errs = append(errs, do(n.Program))
		}
	}
	return errors.Join(errs...)
}

// start starts all nodes and waits until each answers.
func (r *Redis) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for _, n := range r.nodes {
		var err error
		if n.Program, err = StartProgram("redis-server", filepath.Join(n.dir, "redis.log"), nil, n.argv...); err != nil {
			return errors.Join(err, r.Kill())
		}
	}
	r.Program = r.nodes[0].Program
	for _, n := range r.nodes {
		if err := n.Ready(ctx, n.ready); err != nil {
			return errors.Join(err, r.Kill())
		}
	}
	return nil
}

// ready complains unless Redis answers commands, which it does not while it
// loads.
func (n *redisNode) ready(ctx context.Context) error {
	_, err := n.ask(ctx, "PING")
	return err
}

// ask sends one command and returns the answer, which must be a string or a
// number.
func (n *redisNode) ask(ctx context.Context, command ...string) (string, error) {
	conn, err := (&net.Dialer{Timeout: answerTime}).DialContext(ctx, "tcp", n.addr)
	if err != nil {
		return "", fmt.Errorf("reach redis: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return "", fmt.Errorf("ask redis: %w", err)
	}
	// An array of bulk strings (the Redis serialization protocol).
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(conn, request.String()); err != nil {
		return "", fmt.Errorf("ask redis: %w", err)
	}
	answer, err := readAnswer(bufio.NewReader(conn))
	if err != nil {
		return "", fmt.Errorf("ask redis %s: %w", strings.Join(command, " "), err)
	}
	return answer, nil
}

// readAnswer reads a simple string, a number, a bulk string or an error.
func readAnswer(from *bufio.Reader) (string, error) {
	line, err := from.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	switch {
	case strings.HasPrefix(line, "+"), strings.HasPrefix(line, ":"):
		return line[1:], nil
	case strings.HasPrefix(line, "$"):
		size, err := strconv.Atoi(line[1:])
		if err != nil || size < 0 { // -1 stands for nothing
			return "", err
		}
		text := make([]byte, size)
		_, err = io.ReadFull(from, text)
		return string(text), err
	default:
		return "", fmt.Errorf("it says %q", line)
	}
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
