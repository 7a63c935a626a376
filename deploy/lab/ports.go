package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are taken in blocks from below the range that Linux gives to outgoing
// connections (ip_local_port_range), so that none is lost to a client in the
// moment between finding it free and a program binding it.
const (
	firstPort  = 10000
	endPort    = 32700
	blockPorts = 20
)

// ports is a run of neighbouring ports that no other lab process on this
// machine hands out until it is released. The claim is an abstract unix socket
// per block: exclusive, and gone with the process however it ends.
type ports struct {
	first, n int
	claims   []net.Listener
}

func (p *ports) release() {
	for _, claim := range p.claims {
		_ = claim.Close() // an abstract socket leaves nothing behind
	}
	p.claims = nil
}

// takePorts claims n neighbouring ports that are free for TCP and UDP.
func takePorts(n int) (*ports, error) {
	blocks := (n + blockPorts - 1) / blockPorts
	places := (endPort-firstPort)/blockPorts - blocks
	if n < 1 || places < 1 {
		return nil, fmt.Errorf("take %d ports: not so many exist", n)
	}
	for range 200 {
		p := &ports{first: firstPort + rand.IntN(places)*blockPorts, n: n}
		if p.claim(blocks) && p.free() {
			return p, nil
		}
		p.release()
	}
	return nil, fmt.Errorf("take %d ports: no free run of them was found", n)
}

func (p *ports) claim(blocks int) bool {
	for i := range blocks {
		claim, err := net.Listen("unix", "@deflectd-lab-"+strconv.Itoa(p.first+i*blockPorts))
		if err != nil {
			return false
		}
		p.claims = append(p.claims, claim)
	}
	return true
}

func (p *ports) free() bool {
	for port := p.first; port < p.first+p.n; port++ {
		if !free(port) {
			return false
		}
	}
	return true
}

func free(port int) bool {
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		return false
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
	if err != nil {
		return errors.Join(err, tcp.Close()) == nil
	}
	return errors.Join(tcp.Close(), udp.Close()) == nil
}

// loose are the blocks behind FreePorts, held until the process ends.
var loose struct {
	sync.Mutex
	blocks []*ports
	left   []int
}

// FreePorts returns n ports that are free for TCP and UDP, and that no lab on
// this machine hands out again while this process lives.
func FreePorts(n int) ([]int, error) {
	loose.Lock()
	defer loose.Unlock()
	for len(loose.left) < n {
		block, err := takePorts(blockPorts)
		if err != nil {
			return nil, err
		}
		loose.blocks = append(loose.blocks, block)
		for i := range block.n {
			loose.left = append(loose.left, block.first+i)
		}
	}
	taken := append([]int(nil), loose.left[:n]...)
	loose.left = loose.left[n:]
	return taken, nil
}
