package middleware

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tandem/webrtc/problem"
)

// CORS lets pages of the given origins (such as "https://example.org") use the server. A page of any other origin
// gets no CORS headers, so that browsers keep the answers from it, and its requests that change something are refused
// with 403: a page from anywhere must not open sessions at a server on the visitor's own machine. Pages of the server
// itself and clients that are no browsers need nothing.
//
// It answers preflights by itself, and so belongs outside of Token.Require. Preflights for POST are answered with
// acceptPost as Accept-Post.
func CORS(origins []string, acceptPost string, next http.Handler) (http.Handler, error) {
	c := cors{next: next, acceptPost: acceptPost, allowed: map[string]bool{}}
	for _, o := range origins {
		origin, err := parseOrigin(o)
		if err != nil {
			return nil, err
		}
		c.allowed[origin] = true
	}
	return c, nil
}

type cors struct {
	next       http.Handler
	acceptPost string
	allowed    map[string]bool // origins, in lower case
}

// parseOrigin returns an origin in lower case. It is an error if there is more to it than a scheme and a host.
func parseOrigin(o string) (string, error) {
	u, err := url.Parse(o)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Contains(u.Host, "*") ||
		u.User != nil || strings.TrimSuffix(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		return "", fmt.Errorf("origin %q: want a scheme and a host, such as https://example.org", o)
	}
	return strings.ToLower(u.Scheme + "://" + u.Host), nil
}

func (c cors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	asked := r.Header.Get("Access-Control-Request-Method")
	preflight := r.Method == http.MethodOptions && asked != ""
	safe := !preflight && (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions)
	origin := r.Header.Get("Origin")
	switch {
	case sameOrigin(r):
		c.next.ServeHTTP(w, r)
	case c.allowed[strings.ToLower(origin)]:
		h.Set("Access-Control-Allow-Origin", origin)
		if !preflight {
			h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Patch, Retry-After")
			c.next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
		h.Set("Access-Control-Max-Age", "600")
		if asked == http.MethodPost { // the endpoint alone takes one: RFC 9725 section 4.2 wants this here too
			h.Set("Accept-Post", c.acceptPost)
		}
		w.WriteHeader(http.StatusOK) // not 204: RFC 9725 section 4.2
	case safe:
		c.next.ServeHTTP(w, r)
	default:
		problem.Write(w, problem.New(http.StatusForbidden,
			"pages of this origin may not use the server: its operator has to allow the origin"))
	}
}

// sameOrigin reports whether a request is of a page of the server itself, or of no browser.
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
