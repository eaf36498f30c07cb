package middleware

import (
	"net/http"
	"net/netip"
	"strings"
)

// Forwarded takes the client's address from the last X-Forwarded-For, which is the proxy's own; those before it are
// the client's word. It belongs behind a proxy only.
func Forwarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if a, err := netip.ParseAddr(strings.TrimSpace(all[len(all)-1])); err == nil {
			r.RemoteAddr = netip.AddrPortFrom(a, 0).String()
		}
		next.ServeHTTP(w, r)
	})
}
