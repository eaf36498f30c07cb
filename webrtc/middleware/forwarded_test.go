package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"tandem/webrtc/middleware"
)

var proxies = middleware.Proxies{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:1::/48"),
}

// A trusted proxy's own word counts, and that of the trusted ones before it. What is no address changes nothing, and
// nobody else's word does.
func TestForwarded(t *testing.T) {
	const direct = "192.0.2.1:1234" // httptest's
	for _, c := range []struct {
		from    string
		headers []string
		want    string
	}{
		{direct, nil, direct},
		{direct, []string{"198.51.100.7"}, "198.51.100.7:0"},
		{direct, []string{"10.0.0.1, 198.51.100.7"}, "198.51.100.7:0"},
		{direct, []string{"10.0.0.1", "2001:db8::1"}, "[2001:db8::1]:0"},
		{direct, []string{"10.0.0.1, 198.51.100.7, 192.0.2.9", "2001:db8:1::2"}, "198.51.100.7:0"},
		{direct, []string{"192.0.2.9, ::ffff:192.0.2.8"}, "192.0.2.9:0"},
		{direct, []string{"unknown, 192.0.2.9"}, "192.0.2.9:0"},
		{direct, []string{"198.51.100.7, unknown"}, direct},
		{direct, []string{""}, direct},
		{"[::ffff:192.0.2.1]:80", []string{"198.51.100.7"}, "198.51.100.7:0"},
		{"203.0.113.5:99", []string{"198.51.100.7"}, "203.0.113.5:99"},
		{"@", []string{"198.51.100.7"}, "@"},
	} {
		var got string
		h := proxies.Forwarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.from
		for _, v := range c.headers {
			r.Header.Add("X-Forwarded-For", v)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("from %s, X-Forwarded-For %q: %s, want %s", c.from, c.headers, got, c.want)
		}
	}
}

// No header, however long or odd, gives more than an address.
func FuzzForwarded(f *testing.F) {
	f.Add("10.0.0.1, 198.51.100.7")
	f.Add(",,192.0.2.9")
	f.Add("fe80::1%eth0")
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Forwarded-For", header)
		proxies.Forwarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			ap, err := netip.ParseAddrPort(r.RemoteAddr)
			if err != nil || ap.Addr().Zone() != "" {
				t.Errorf("%q gives %q", header, r.RemoteAddr)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
}
