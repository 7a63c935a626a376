package ari_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// A sipPhone is one SIP call from the caller's side over UDP (RFC 3261): just
// what the scenarios need, pressed and hung up by the test while it runs. SIP
// runs on loopback here, so nothing that is sent is ever lost.
type sipPhone struct {
	conn   *net.UDPConn
	media  *net.UDPConn
	server *net.UDPAddr
	from   string
	target string
	call   string // Call-ID, tag and branch are made of it
	wg     sync.WaitGroup

	mu       sync.Mutex
	toTag    string
	cseq     int
	answered chan struct{}
	ended    chan struct{}
	gaveUp   bool          // CANCEL was sent
	hush     chan struct{} // ends the silence
}

// dialSIP sends the INVITE and returns.
func dialSIP(server string, c caller) (*sipPhone, error) {
	addr, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", server, err)
	}
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, fmt.Errorf("listen for SIP: %w", err)
	}
	media, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for RTP: %w", err), conn.Close())
	}
	p := &sipPhone{
		conn: conn, media: media, server: addr,
		target:   "sip:" + c.dnis + "@" + addr.String(),
		from:     fmt.Sprintf("%s <sip:%s@%s>", c.name, c.number, conn.LocalAddr()),
		call:     fmt.Sprintf("%d", time.Now().UnixNano()),
		cseq:     1,
		answered: make(chan struct{}),
		ended:    make(chan struct{}),
		hush:     make(chan struct{}),
	}
	head := "Contact: <sip:caller@" + conn.LocalAddr().String() + ">\r\nContent-Type: application/sdp\r\n"
	if c.rdnis != "" {
		head += "Diversion: <sip:" + c.rdnis + "@" + addr.String() + ">;reason=no-answer\r\n"
	}
	sdp := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n",
		media.LocalAddr().(*net.UDPAddr).Port)
	p.wg.Go(p.listen)
	p.send("INVITE", 1, head, sdp)
	return p, nil
}

// send sends one request. The branch of an INVITE is also that of its CANCEL and
// of the ACK to a refusal; the ACK to an answer is a transaction of its own
// (RFC 3261, 9.1, 13.2.2.4 and 17.1.1.3).
func (p *sipPhone) send(method string, cseq int, head, body string) {
	branch := fmt.Sprintf("z9hG4bK%s.%d", p.call, cseq)
	to := "<" + p.target + ">"
	if p.toTag != "" && method != "CANCEL" {
		to += ";tag=" + p.toTag
	}
	select {
	case <-p.answered:
		if method == "ACK" {
			branch += ".ack"
		}
	default:
	}
	message := fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s\r\nFrom: %s;tag=%s\r\nTo: %s\r\n"+
		"Call-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\n%sContent-Length: %d\r\n\r\n%s",
		method, p.target, p.conn.LocalAddr(), branch, p.from, p.call, to, p.call, cseq, method, head, len(body), body)
	_, _ = p.conn.WriteToUDP([]byte(message), p.server)
}

func (p *sipPhone) listen() {
	buf := make([]byte, 65536)
	for {
		n, err := p.conn.Read(buf)
		if err != nil {
			return
		}
		message := string(buf[:n])
		p.mu.Lock()
		if strings.HasPrefix(message, "SIP/2.0 ") {
			p.response(message)
		} else {
			p.request(message)
		}
		p.mu.Unlock()
	}
}

// response takes what the server says to the INVITE; the rest does not matter.
func (p *sipPhone) response(message string) {
	var code int
	_, _ = fmt.Sscanf(message, "SIP/2.0 %d", &code)
	if code < 200 || !strings.HasSuffix(sipHeader(message, "CSeq"), "INVITE") {
		return
	}
	if _, tag, ok := strings.Cut(sipHeader(message, "To"), "tag="); ok {
		p.toTag = tag
	}
	if code < 300 {
		select {
		case <-p.answered:
		default:
			close(p.answered)
			p.speak(message)
		}
	}
	p.send("ACK", 1, "", "")
	switch {
	case code >= 300:
		p.over()
	case p.gaveUp:
		p.bye() // the answer was faster than our CANCEL
	}
}

// speak sends silence as RTP (RFC 3550) to where the answer's SDP says. Asterisk
// measures by the frames it gets how long a key was pressed, so that without any
// it hears no more keys.
func (p *sipPhone) speak(answer string) {
	var port int
	if _, media, ok := strings.Cut(answer, "\r\nm=audio "); ok {
		_, _ = fmt.Sscanf(media, "%d", &port)
	}
	to := &net.UDPAddr{IP: p.server.IP, Port: port}
	packet := bytes.Repeat([]byte{0xff}, 12+160) // 20 ms of µ-law
	p.wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			copy(packet, []byte{0x80, 0, byte(n >> 8), byte(n)})
			binary.BigEndian.PutUint32(packet[4:], uint32(160*n)) //nolint:gosec // it wraps around by design
			binary.BigEndian.PutUint32(packet[8:], 1)
			_, _ = p.media.WriteToUDP(packet, to)
			select {
			case <-tick.C:
			case <-p.hush:
				return
			}
		}
	})
}

// request says yes to everything the server asks.
func (p *sipPhone) request(message string) {
	answer := "SIP/2.0 200 OK\r\n"
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		answer += name + ": " + sipHeader(message, name) + "\r\n"
	}
	_, _ = p.conn.WriteToUDP([]byte(answer+"Content-Length: 0\r\n\r\n"), p.server)
	if strings.HasPrefix(message, "BYE ") {
		p.over()
	}
}

func sipHeader(message, name string) string {
	for line := range strings.SplitSeq(message, "\r\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (p *sipPhone) over() {
	select {
	case <-p.ended:
	default:
		close(p.ended)
	}
}

// press sends a key as SIP INFO; the call must have been answered.
func (p *sipPhone) press(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cseq++
	p.send("INFO", p.cseq, "Content-Type: application/dtmf-relay\r\n", "Signal="+key+"\r\nDuration=100\r\n")
}

// hangup ends the call: CANCEL before the answer, BYE after it.
func (p *sipPhone) hangup() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended:
	case <-p.answered:
		p.bye()
	default:
		p.gaveUp = true
		p.send("CANCEL", 1, "", "")
	}
}

func (p *sipPhone) bye() {
	p.cseq++
	p.send("BYE", p.cseq, "", "")
	p.over()
}

func (p *sipPhone) waitAnswered(ctx context.Context) error {
	select {
	case <-p.answered:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for an answer: %w", ctx.Err())
	}
}

func (p *sipPhone) waitEnded(ctx context.Context) error {
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the end of the call: %w", ctx.Err())
	}
}

// close hangs up and frees the ports.
func (p *sipPhone) close() {
	p.hangup()
	// The ACK to the final answer of a cancelled INVITE must still be sent.
	select {
	case <-p.ended:
	case <-time.After(time.Second):
	}
	close(p.hush)
	_ = p.conn.Close()
	p.wg.Wait()
	_ = p.media.Close()
}
