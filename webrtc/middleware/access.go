// Package middleware wraps HTTP handlers: it checks tokens, origins, host names and methods, and reads the addresses
// that proxies forward. Refusals are answered by package problem.
package middleware

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"tandem/webrtc/problem"
)

// HasToken reports whether a request bears the token (RFC 6750 section 2.1). Every request bears the empty one.
func HasToken(r *http.Request, token string) bool {
	if token == "" {
		return true
	}
	given, bearer := bearerToken(r)
	// Hashes are of one length, so that the time of the comparison depends on nothing of the token.
	got, want := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
	return bearer && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// bearerToken returns the credentials of Authorization, and whether their scheme is Bearer.
func bearerToken(r *http.Request) (token string, bearer bool) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(given), strings.EqualFold(scheme, "Bearer")
}

// RequireToken passes on requests that bear the token (RFC 6750 section 2.1) and answers 401 to the rest. An empty
// token passes all.
func RequireToken(token string, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if HasToken(r, token) {
			next.ServeHTTP(w, r)
			return
		}
		challenge, detail := `Bearer realm="tandem"`, "a token is needed: send it as Authorization: Bearer TOKEN"
		if _, bearer := bearerToken(r); bearer {
			challenge += `, error="invalid_token"`
			detail = "the token is not the server's: ask for the right one"
		}
		w.Header().Set("WWW-Authenticate", challenge)
		problem.Write(w, &problem.Error{Status: http.StatusUnauthorized, Detail: detail})
	})
}

// GetOnly passes on GET and HEAD and answers 405 to the rest.
func GetOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			NotAllowed(w, "GET, HEAD", "read it with GET")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// NotAllowed answers 405. Allow lists the methods that there are (RFC 9110 section 10.2.1); instead is the remedy.
func NotAllowed(w http.ResponseWriter, allow, instead string) {
	w.Header().Set("Allow", allow)
	problem.Write(w, problem.New(http.StatusMethodNotAllowed, "this method does nothing here: %s", instead))
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
			problem.Write(w, problem.New(http.StatusMisdirectedRequest,
				"the server doesn't answer to this host name: its operator has to allow the name"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName returns the part of a Host before the port, in lower case.
func hostName(hostport string) string {
	name := hostport
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		name = host
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
}
