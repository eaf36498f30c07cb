package middleware

import (
	"net/http"
	"strings"
)

// hstsTime is for how long browsers keep to HTTPS, in seconds: 30 days. It holds for all ports of the host name.
const hstsTime = "2592000"

// SecureHeaders sets the headers on every answer that keep other pages away from it: no guessing of its type
// (Fetch section 3.6), no window of another origin that reaches its own (HTML section 7.1.3), no use of it by pages of
// another origin but by CORS (Fetch section 3.7), and over TLS no way back to HTTP (RFC 6797), but for localhost, where
// other programs listen. Behind a trusted proxy it is the proxy that says whether the client came over TLS.
func SecureHeaders(proxies Proxies, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		overTLS := r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" && proxies.Has(r.RemoteAddr)
		if name := hostName(r.Host); overTLS && name != "localhost" && !strings.HasSuffix(name, ".localhost") {
			h.Set("Strict-Transport-Security", "max-age="+hstsTime)
		}
		next.ServeHTTP(w, r)
	})
}
