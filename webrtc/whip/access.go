package whip

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// RequireToken lets through what bears the token (RFC 6750 section 2.1) and answers 401 to the rest. An empty token
// lets all through.
func RequireToken(token string, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	want := sha256.Sum256([]byte(token)) // of one length, so that comparing tells nothing of the token's
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		bearer := strings.EqualFold(scheme, "Bearer")
		got := sha256.Sum256([]byte(strings.TrimSpace(given)))
		if bearer && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		challenge, detail := `Bearer realm="tandem"`, "a token is needed: send it as Authorization: Bearer TOKEN"
		if bearer {
			challenge, detail = challenge+`, error="invalid_token"`, "the token is not the server's: ask for the right one"
		}
		w.Header().Set("WWW-Authenticate", challenge)
		WriteError(w, &Error{Status: http.StatusUnauthorized, Detail: detail})
	})
}

// GetOnly lets through GET and HEAD and answers 405 to the rest.
func GetOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			notAllowed(w, "GET, HEAD", "read it with GET")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// CORS lets pages of the given origins (such as "https://example.org") use the server. A page of any other origin
// gets no CORS headers, so that browsers keep the answers from it, and what it asks to be changed is refused with 403:
// a page from anywhere must not open sessions at a server on the visitor's own machine. Pages of the server itself
// and clients that are no browsers need nothing.
//
// It answers preflights by itself, and so belongs outside of RequireToken.
func CORS(origins []string, next http.Handler) (http.Handler, error) {
	allowed := map[string]bool{}
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Contains(u.Host, "*") ||
			u.User != nil || strings.TrimSuffix(u.Path, "/")+u.RawQuery+u.Fragment != "" {
			return nil, fmt.Errorf("origin %q: want a scheme and a host, such as https://example.org", o)
		}
		allowed[strings.ToLower(u.Scheme+"://"+u.Host)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		asked := r.Header.Get("Access-Control-Request-Method")
		preflight := r.Method == http.MethodOptions && asked != ""
		safe := !preflight && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions)
		origin := r.Header.Get("Origin")
		switch {
		case sameOrigin(r):
			next.ServeHTTP(w, r)
		case allowed[strings.ToLower(origin)]:
			h.Set("Access-Control-Allow-Origin", origin)
			if !preflight {
				h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Patch, Retry-After")
				next.ServeHTTP(w, r)
				return
			}
			h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
			h.Set("Access-Control-Max-Age", "600")
			if asked == http.MethodPost { // the endpoint is all that takes one: RFC 9725 section 4.2 wants this here too
				h.Set("Accept-Post", TypeSDP)
			}
			w.WriteHeader(http.StatusNoContent)
		case safe:
			next.ServeHTTP(w, r)
		default:
			WriteError(w, &Error{Status: http.StatusForbidden, Detail: "pages of this origin may not use the server: its operator has to allow the origin"})
		}
	}), nil
}

// sameOrigin is true unless a browser sent the request for a page of another origin.
func sameOrigin(r *http.Request) bool {
	// Pages can't forge Sec-Fetch-Site, and behind a proxy that changes Host it is all there is.
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "same-origin" || site == "none" {
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return site == ""
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// AllowHosts refuses requests whose Host is a name other than localhost or one of those given: a page whose name has
// been made to point at this machine (DNS rebinding) is of the same origin to the browser, but its name shows in Host.
// Addresses in place of a name are let through, since they are not looked up.
func AllowHosts(hosts []string, next http.Handler) http.Handler {
	allowed := map[string]bool{"localhost": true, "": true}
	for _, h := range hosts {
		allowed[hostName(h)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostName(r.Host)
		if _, err := netip.ParseAddr(name); err != nil && !allowed[name] && !strings.HasSuffix(name, ".localhost") {
			WriteError(w, &Error{Status: http.StatusMisdirectedRequest, Detail: "the server doesn't answer to this host name: its operator has to allow the name"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is what stands before the port, in lower case.
func hostName(hostport string) string {
	name := hostport
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		name = host
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
}
