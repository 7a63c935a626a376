package aritest

import (
	"net"
	"sync"
)

// gate stands between the server and its connections: it can hold all reading
// and writing back, and cut every connection at once.
type gate struct {
	mu    sync.Mutex
	open  chan struct{} // closed while the gate is open
	conns map[*gatedConn]struct{}
}

func newGate() *gate {
	open := make(chan struct{})
	close(open)
	return &gate{open: open, conns: map[*gatedConn]struct{}{}}
}

func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
	default:
	}
}

func (g *gate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

// cut closes every connection.
func (g *gate) cut() {
	g.mu.Lock()
	all := make([]*gatedConn, 0, len(g.conns))
	for c := range g.conns {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

func (g *gate) listener(l net.Listener) net.Listener { return gatedListener{l, g} }

type gatedListener struct {
	net.Listener
	gate *gate
}

func (l gatedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &gatedConn{Conn: conn, gate: l.gate, closed: make(chan struct{})}
	l.gate.mu.Lock()
	l.gate.conns[c] = struct{}{}
	l.gate.mu.Unlock()
	return c, nil
}

type gatedConn struct {
	net.Conn
	gate   *gate
	once   sync.Once
	closed chan struct{}
}

// Read waits after reading: a read that was under way when the gate closed must
// not deliver what came later.
func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.pass()
	return n, err
}

func (c *gatedConn) Write(b []byte) (int, error) {
	c.pass()
	return c.Conn.Write(b)
}

func (c *gatedConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.gate.mu.Lock()
		delete(c.gate.conns, c)
		c.gate.mu.Unlock()
	})
	return c.Conn.Close()
}

// pass waits until the gate is open or the connection is closed.
func (c *gatedConn) pass() {
	c.gate.mu.Lock()
	open := c.gate.open
	c.gate.mu.Unlock()
	select {
	case <-open:
		return
	default:
	}
	select {
	case <-open:
	case <-c.closed:
	}
}
