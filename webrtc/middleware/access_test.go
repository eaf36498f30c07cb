package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"tandem/webrtc/access"
	"tandem/webrtc/middleware"
	"tandem/webrtc/problem/problemtest"
)

func TestRequireToken(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, c := range []struct {
		token, header string
		status        int
		challenge     string
	}{
		{"", "", 418, ""},
		{"", "Bearer what", 418, ""},
		{"s3cret", "Bearer s3cret", 418, ""},
		{"s3cret", "bearer s3cret", 418, ""},
		{"s3cret", "BEARER  s3cret", 418, ""},
		{"s3cret", "", 401, `Bearer realm="tandem"`},
		{"s3cret", "s3cret", 401, `Bearer realm="tandem"`},
		{"s3cret", "Basic s3cret", 401, `Bearer realm="tandem"`},
		{"s3cret", "Bearer", 401, `Bearer realm="tandem", error="invalid_token"`},
		{"s3cret", "Bearer s3cre", 401, `Bearer realm="tandem", error="invalid_token"`},
		{"s3cret", "Bearer s3cretx", 401, `Bearer realm="tandem", error="invalid_token"`},
	} {
		var known access.Checker
		if c.token != "" {
			known = access.Shared(c.token)
		}
		var headers []string
		if c.header != "" {
			headers = []string{"Authorization", c.header}
		}
		res := problemtest.Do(middleware.NewToken(known).Require(access.Publish, ok), "POST", "/whip", "", headers...)
		if got := res.Header.Get("WWW-Authenticate"); res.StatusCode != c.status || got != c.challenge {
			t.Errorf("token %q, %q: status %d, %q; want %d, %q", c.token, c.header, res.StatusCode, got, c.status,
				c.challenge)
		}
		if res.StatusCode == 401 {
			problemtest.Check(t, res)
		}
	}
}

func TestAllowHosts(t *testing.T) {
	h := middleware.AllowHosts([]string{"tandem.example.org"},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, want := range map[string]int{
		"localhost:8080": 200, "LOCALHOST": 200, "me.localhost:1": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200,
		"192.168.1.4": 200, "tandem.example.org:443": 200, "tandem.example.org.": 200, "evil.example:8080": 421,
		"localhost.evil.example": 421, "127.0.0.1.nip.example": 421,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: status %d, want %d", host, w.Code, want)
		}
	}
}
