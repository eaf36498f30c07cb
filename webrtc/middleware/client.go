package middleware

import (
	"net/http"
	"net/netip"
)

// ClientKey returns the key that what one client has or does is counted by: its IPv4 address, or the /64 that its IPv6
// address is of. Every network of IPv6 is a /64 (RFC 4291 section 2.5.4), and whoever is on it may take any address of
// it, a new one for every session (RFC 8981).
func ClientKey(client netip.Addr) netip.Addr {
	client = client.Unmap()
	if !client.Is6() {
		return client // the zero Addr, if it is not known, too
	}
	network, _ := client.Prefix(64) // fails only for what has fewer bits
	return network.Addr()
}

// clientOf returns the key of the client of a request.
func clientOf(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero Addr, if it is not known
	return ClientKey(at.Addr().WithZone(""))
}
