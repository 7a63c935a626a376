package lab

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// keyTime is how long one key takes: it is held, then there is a gap.
const (
	keyHeld = 160 * time.Millisecond
	keyTime = 300 * time.Millisecond
)

// frame is the sound in one RTP packet.
const frame = 20 * time.Millisecond

// media is the sound of one call. SIPp can send RTP of its own only as root, so
// the scenario names our port, and tells over a pipe when the call is answered
// and when a key is pressed.
type media struct {
	conn  *net.UDPConn
	pipe  *os.File
	wg    sync.WaitGroup
	once  sync.Once
	heard atomic.Int64 // frames that are not silence
	stuck atomic.Bool

	mu   sync.Mutex
	to   *net.UDPAddr
	seq  uint16
	time uint32
	stop chan struct{}
}

func newMedia(pipe string) (*media, error) {
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	// Opened for both, so that it neither waits for SIPp nor ends with it.
	file, err := os.OpenFile(pipe, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a pipe: %w", err)
	}
	conn, err := listenUDP()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	m := &media{conn: conn, pipe: file, stop: make(chan struct{})}
	m.wg.Go(m.listen)
	m.wg.Go(m.follow)
	m.wg.Go(m.breathe)
	return m, nil
}

func (m *media) port() int { return m.conn.LocalAddr().(*net.UDPAddr).Port }

// close ends the sound and returns whether the call was stuck and how much was
// heard.
func (m *media) close() (bool, time.Duration) {
	m.once.Do(func() {
		// SIPp has ended, so what it said is in the pipe: read up to our own
		// last word before closing.
		if _, err := m.pipe.WriteString("end\n"); err != nil {
			_ = m.pipe.Close()
		}
		close(m.stop)
		m.wg.Wait()
	})
	return m.stuck.Load(), time.Duration(m.heard.Load()) * frame
}

// listen counts the frames that hold sound.
func (m *media) listen() {
	packet := make([]byte, 2048)
	for {
		n, err := m.conn.Read(packet)
		if err != nil {
			return
		}
		if n > 12 && packet[1]&0x7f == 0 && audible(packet[12:n]) {
			m.heard.Add(1)
		}
	}
}

// audible says whether a frame of G.711 µ-law is louder than the noise of a
// quiet line.
func audible(ulaw []byte) bool {
	for _, b := range ulaw {
		if b|0x80 < 0xe0 {
			return true
		}
	}
	return false
}

// follow does what the scenario says over the pipe.
func (m *media) follow() {
	defer func() { _ = errors.Join(m.conn.Close(), m.pipe.Close()) }()
	lines := bufio.NewScanner(m.pipe)
	for lines.Scan() {
		word, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch word {
		case "answered":
			port, err := strconv.Atoi(rest)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.to = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
			m.mu.Unlock()
			m.silence()
		case "press":
			m.press(rest)
		case "stuck":
			m.stuck.Store(true)
		case "end":
			return
		}
	}
}

// breathe sends a frame of silence each second: enough for Asterisk to know
// that the caller has not vanished, and cheap.
func (m *media) breathe() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
			m.silence()
		}
	}
}

func (m *media) silence() {
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = 0xff
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.time += 160
	m.send(0, payload)
}

// press sends a key as RFC 4733 has it: one packet each 20 ms that says how
// long the key has been held, all with the time of its start, and the end
// three times.
func (m *media) press(key string) {
	event := strings.Index("0123456789*#ABCD", key)
	if event < 0 || key == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.time += 160
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for held := frame; held < keyHeld; held += frame {
		m.sendKey(event, held, held == frame, false)
		<-tick.C
	}
	for range 3 {
		m.sendKey(event, keyHeld, false, true)
	}
	m.time += uint32(keyHeld.Milliseconds()) * 8
}

func (m *media) sendKey(event int, held time.Duration, first, last bool) {
	kind := byte(101)
	if first {
		kind |= 0x80 // marker: a new event begins
	}
	flags := byte(10) // volume -10 dBm0
	if last {
		flags |= 0x80
	}
	m.send(kind, binary.BigEndian.AppendUint16([]byte{byte(event), flags}, uint16(held.Milliseconds()*8)))
}

// send sends one RTP packet (RFC 3550). The caller holds mu.
func (m *media) send(kind byte, payload []byte) {
	if m.to == nil {
		return
	}
	m.seq++
	packet := []byte{0x80, kind}
	packet = binary.BigEndian.AppendUint16(packet, m.seq)
	packet = binary.BigEndian.AppendUint32(packet, m.time)
	packet = binary.BigEndian.AppendUint32(packet, 0x1ab)
	if _, err := m.conn.WriteToUDP(append(packet, payload...), m.to); err != nil && !errors.Is(err, io.EOF) {
		return // the call is over; its result is in the trace
	}
}
