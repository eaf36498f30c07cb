package middleware

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHops bounds how many addresses of X-Forwarded-For are looked at.
const maxHops = 32

// Proxies are the networks of the proxies whose word is taken for who a client is; nil trusts nobody.
type Proxies []netip.Prefix

// Has reports whether an address, as in http.Request.RemoteAddr, is a trusted proxy's.
func (p Proxies) Has(remote string) bool {
	at, err := netip.ParseAddrPort(remote)
	return err == nil && p.trusts(at.Addr())
}

// HasConn is Has for the other side of a connection.
func (p Proxies) HasConn(c net.Conn) bool { return p.Has(c.RemoteAddr().String()) }

func (p Proxies) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Forwarded takes the client's address of a request that a trusted proxy sends from X-Forwarded-For: the last one there
// that is not a trusted proxy's itself, since those before it are the client's word. Requests of anybody else, and
// those whose header can't be read so far, stay as they are.
func (p Proxies) Forwarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Has(r.RemoteAddr) {
			if a := p.client(r.Header.Values("X-Forwarded-For")); a.IsValid() {
				r.RemoteAddr = netip.AddrPortFrom(a, 0).String()
			}
		}
		next.ServeHTTP(w, r)
	})
}

// client returns the client that the header names; the zero Addr if it names none.
func (p Proxies) client(header []string) (client netip.Addr) {
	rest := strings.Join(header, ",")
	for range maxHops {
		i := strings.LastIndexByte(rest, ',')
		a, err := netip.ParseAddr(strings.TrimSpace(rest[i+1:]))
		if err != nil {
			return client
		}
		client = a.Unmap().WithZone("")
		if i < 0 || !p.trusts(client) {
			return client
		}
		rest = rest[:i]
	}
	return client
}
