package webrtc_test

import (
	"crypto/tls"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"

	"tandem/webrtc"
	"tandem/webrtc/middleware"
)

// Every answer, be it a page, a refusal or nothing at all, has the headers that keep other pages away from it, and
// those over TLS keep the browser to it.
func TestHeadersOfEveryAnswer(t *testing.T) {
	for _, trusted := range []middleware.Proxies{
		nil, {netip.MustParsePrefix("198.51.100.0/24")}, {netip.MustParsePrefix("192.0.2.1/32")}, // httptest's
	} {
		proxy := trusted.Has("192.0.2.1:1")
		s, _, _ := server(t, webrtc.Options{
			Token: "secret", TrustedProxies: trusted, AllowHosts: []string{"example.com"},
		})
		for _, path := range []string{
			"/", "/page/app.js", "/page/nothing", "//page/app.js", "/config", "/healthz", "/readyz", "/metrics",
			"/whip", "/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAA", "/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAA/events", "/nothing",
		} {
			for _, method := range []string{"GET", "POST", "OPTIONS"} {
				for _, c := range []struct {
					token, host, proto string
					tls, secure        bool
				}{
					{"secret", "example.com", "", false, false},
					{"", "example.com", "http", true, true},
					{"secret", "evil.example", "https", false, proxy},
					{"secret", "localhost:8443", "https", true, false},
				} {
					r := httptest.NewRequest(method, path, nil)
					r.Host = c.host
					r.Header.Set("Authorization", "Bearer "+c.token)
					r.Header.Set("X-Forwarded-Proto", c.proto)
					if c.tls {
						r.TLS = &tls.ConnectionState{}
					}
					w := httptest.NewRecorder()
					s.Handler().ServeHTTP(w, r)
					h := w.Header()
					if h.Get("X-Content-Type-Options") != "nosniff" ||
						h.Get("Cross-Origin-Opener-Policy") != "same-origin" ||
						h.Get("Cross-Origin-Resource-Policy") != "same-origin" ||
						(h.Get("Strict-Transport-Security") != "") != c.secure {
						t.Errorf("%s %s, %+v, proxy %v: %d %v", method, path, c, proxy, w.Code, h)
					}
				}
			}
		}
	}
}

// Who guesses tokens is held back on every path that tells a right one from a wrong one; others are not.
func TestGuessedTokens(t *testing.T) {
	for _, path := range []string{"/config", "/metrics", "/whip", "/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		s, _, _ := server(t, webrtc.Options{Token: "secret"})
		ask := func(address, token string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", path, nil)
			r.RemoteAddr = address
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			return w
		}
		for i := range 10 {
			if code := ask("192.0.2.1:"+strconv.Itoa(1000+i), "guess"+strconv.Itoa(i)).Code; code == 429 {
				t.Errorf("%s: guess %d is held back", path, i)
			}
		}
		for _, token := range []string{"guess", "secret"} {
			w := ask("192.0.2.1:2000", token)
			if wait, err := strconv.Atoi(w.Header().Get("Retry-After")); w.Code != 429 || err != nil || wait < 1 {
				t.Errorf("%s: %q gives %d after ten guesses, Retry-After %v", path, token, w.Code, wait)
			}
		}
		for address, token := range map[string]string{"192.0.2.2:1000": "secret", "192.0.2.1:2000": ""} {
			if code := ask(address, token).Code; code == 429 {
				t.Errorf("%s: %s with token %q is held back", path, address, token)
			}
		}
	}
}
