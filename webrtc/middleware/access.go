// Package middleware wraps HTTP handlers: it checks tokens, origins, host names and methods, reads the addresses that
// proxies forward, sets the headers of every answer, and lets go readers that take nothing. Refusals are answered by
// package problem.
package middleware

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"tandem/webrtc/problem"
)

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

// LoopbackOnly refuses requests that come from another machine.
func LoopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !at.Addr().Unmap().IsLoopback() {
			problem.Write(w, problem.New(http.StatusForbidden, "this is for programs on the server's machine alone"))
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
