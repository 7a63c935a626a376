package admin

import (
	"container/list"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/time/rate"
)

// How many wrong tokens from one address are looked at: so many at once, then
// one in every wrongEvery.
const (
	wrongAtOnce = 10
	wrongEvery  = 6 * time.Second
	// maxAddresses bounds what is remembered: the address that was heard of
	// longest ago is forgotten first.
	maxAddresses = 4096
)

// Where somebody tried to come in.
const (
	viaAPI  = "api"
	viaPage = "page"
)

// Why somebody did not come in.
const (
	causeUnknown = "unknown"
	causeLimited = "limited"
)

// attempts counts the wrong tokens of each address. A token that was right
// before from an address goes on being right while others from there are wrong:
// a script with an old token does not lock out who shares its address. It is
// safe for concurrent use.
type attempts struct {
	logger   *slog.Logger
	failures *prometheus.CounterVec
	now      func() time.Time

	mu     sync.Mutex
	of     map[netip.Addr]*list.Element // of *visitor
	recent *list.List                   // of *visitor, heard of last in front
}

// visitor is one address.
type visitor struct {
	address netip.Addr
	wrong   *rate.Limiter
	right   map[*Token]bool // those that came from there; at most all there are
}

func newAttempts(logger *slog.Logger, registerer prometheus.Registerer) *attempts {
	a := &attempts{
		logger: logger, now: time.Now, of: map[netip.Addr]*list.Element{}, recent: list.New(),
		failures: promauto.With(registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "deflectd_auth_failures_total",
			Help: "Tokens that were refused, by where (api, page) and why (unknown: no token is this one; limited: too many from the address were wrong).",
		}, []string{"via", "cause"}),
	}
	for _, via := range []string{viaAPI, viaPage} {
		for _, cause := range []string{causeUnknown, causeLimited} {
			a.failures.WithLabelValues(via, cause)
		}
	}
	return a
}

// judge says who comes with a token that was found, or was not (nil). The
// error is ErrToken or a *BlockedError.
func (a *attempts) judge(r *http.Request, via string, found *Token) (Identity, error) {
	address := clientOf(r)
	wait, ok := a.allow(address, found)
	if !ok {
		a.failures.WithLabelValues(via, causeLimited).Inc()
		a.logger.Debug("a token was not looked at: too many from the address were wrong", "via", via, "address", address.String())
		return Identity{}, &BlockedError{RetryAfter: wait}
	}
	if found == nil {
		a.failures.WithLabelValues(via, causeUnknown).Inc()
		a.logger.Warn("a token was refused: it is not known", "via", via, "address", address.String())
		return Identity{}, ErrToken
	}
	return found.identity(), nil
}

// allow says whether what was found may be told, else when the next attempt
// may be. While an address waits, a right token that never came from there
// waits as well: else its answer would tell it from the wrong ones.
func (a *attempts) allow(address netip.Addr, found *Token) (time.Duration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.visitor(address)
	if found != nil && v.right[found] {
		return 0, true
	}
	now := a.now()
	if found == nil {
		if v.wrong.AllowN(now, 1) {
			return 0, true
		}
		return v.wait(now), false
	}
	if v.wrong.TokensAt(now) < 1 {
		return v.wait(now), false
	}
	v.right[found] = true
	return 0, true
}

// wait is how long it takes until an attempt is looked at again.
func (v *visitor) wait(now time.Time) time.Duration {
	missing := 1 - v.wrong.TokensAt(now)
	return max(time.Second, time.Duration(missing*float64(wrongEvery)).Round(time.Second))
}

// visitor is what is known of an address.
func (a *attempts) visitor(address netip.Addr) *visitor {
	if e := a.of[address]; e != nil {
		a.recent.MoveToFront(e)
		return e.Value.(*visitor)
	}
	for a.recent.Len() >= maxAddresses {
		oldest := a.recent.Back()
		delete(a.of, oldest.Value.(*visitor).address)
		a.recent.Remove(oldest)
	}
	v := &visitor{address: address, wrong: rate.NewLimiter(rate.Every(wrongEvery), wrongAtOnce), right: map[*Token]bool{}}
	a.of[address] = a.recent.PushFront(v)
	return v
}

// clientOf is the address a request comes from. What a proxy says of others is
// not believed: anybody could say it. An IPv6 address counts with its network,
// of which one client has all (RFC 6177: at least 64 bits).
func clientOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{} // not TCP: all of them together
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return address
}
