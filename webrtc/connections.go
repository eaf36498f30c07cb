package webrtc

import (
	"net"
	"net/http"
	"net/netip"
	"sync"

	"tandem/webrtc/middleware"
)

// connectionsPerSession is more than a client has open for a session: 16 readers of its events, and the six that
// browsers open to one server.
const connectionsPerSession = 24

// minConnections is the least bound on all connections: most of those who open the page have no session.
const minConnections = 512

// connections bounds the HTTP connections that are open at a time, by closing those beyond at once. Each has one
// request in flight, since HTTP/2 is not spoken and pipelined requests are read one after the other.
type connections struct {
	m             *metrics
	proxies       middleware.Proxies // whose connections are of many clients
	max, maxPerIP int                // maxPerIP less than 0 for no bound

	mu     sync.Mutex
	open   int
	byAddr map[netip.Addr]int // by middleware.ClientKey
}

// newConnections returns the bounds for the server's options.
func newConnections(o Options, m *metrics) *connections {
	c := &connections{
		m: m, proxies: o.TrustedProxies,
		max: max(minConnections, connectionsPerSession*(o.MaxSessions+1)), maxPerIP: -1,
		byAddr: map[netip.Addr]int{},
	}
	if o.MaxPerAddress > 0 {
		c.maxPerIP = connectionsPerSession * (o.MaxPerAddress + 1)
	}
	return c
}

// onState is http.Server's ConnState.
func (c *connections) onState(conn net.Conn, state http.ConnState) {
	var key netip.Addr
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		key = middleware.ClientKey(ap.Addr().WithZone(""))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open++
		c.byAddr[key]++
		if c.open > c.max || c.maxPerIP >= 0 && c.byAddr[key] > c.maxPerIP && !c.proxies.HasConn(conn) {
			c.m.connectionsRefused.Inc()
			conn.Close() // net/http notices, and reports it as closed
		}
	case http.StateClosed, http.StateHijacked:
		c.open--
		if c.byAddr[key]--; c.byAddr[key] <= 0 {
			delete(c.byAddr, key)
		}
	}
	c.m.connections.Set(float64(c.open))
}
