package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"tandem/webrtc/middleware"
)

// The proxy's own word counts, and what is no address changes nothing.
func TestForwarded(t *testing.T) {
	const direct = "192.0.2.1:1234" // httptest's
	for _, c := range []struct {
		headers []string
		want    string
	}{
		{nil, direct},
		{[]string{"198.51.100.7"}, "198.51.100.7:0"},
		{[]string{"10.0.0.1, 198.51.100.7"}, "198.51.100.7:0"},
		{[]string{"10.0.0.1", "2001:db8::1"}, "[2001:db8::1]:0"},
		{[]string{"198.51.100.7, unknown"}, direct},
		{[]string{""}, direct},
	} {
		var got string
		h := middleware.Forwarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
		r := httptest.NewRequest("GET", "/", nil)
		for _, v := range c.headers {
			r.Header.Add("X-Forwarded-For", v)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("X-Forwarded-For %q: %s, want %s", c.headers, got, c.want)
		}
	}
}
