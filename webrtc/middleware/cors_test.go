package middleware_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"tandem/webrtc/middleware"
	"tandem/webrtc/problem/problemtest"
)

func TestCORS(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h, err := middleware.CORS([]string{"https://app.example.org", "http://localhost:3000/"}, "application/sdp", ok)
	if err != nil {
		t.Fatal(err)
	}
	ask := []string{
		"Access-Control-Request-Method",
		"POST",
		"Access-Control-Request-Headers",
		"authorization,content-type",
	}
	for _, c := range []struct {
		name, method string
		headers      []string
		status       int
		allow        string
	}{
		{"no browser", "POST", nil, 418, ""},
		{"same origin", "POST", []string{"Origin", "http://example.com"}, 418, ""},
		{
			"same origin behind a proxy", "POST",
			[]string{"Origin", "https://public.example", "Sec-Fetch-Site", "same-origin"},
			418, "",
		},
		{"listed", "POST", []string{"Origin", "https://app.example.org"}, 418, "https://app.example.org"},
		{
			"listed, of the same site", "DELETE",
			[]string{"Origin", "http://localhost:3000", "Sec-Fetch-Site", "same-site"},
			418, "http://localhost:3000",
		},
		{
			"listed preflight", "OPTIONS", append([]string{"Origin", "https://app.example.org"}, ask...), 200,
			"https://app.example.org",
		},
		{"listed options", "OPTIONS", []string{"Origin", "https://app.example.org"}, 418, "https://app.example.org"},
		{"other scheme", "POST", []string{"Origin", "http://app.example.org"}, 403, ""},
		{"other port", "POST", []string{"Origin", "https://app.example.org:444"}, 403, ""},
		{"foreign post", "POST", []string{"Origin", "https://evil.example"}, 403, ""},
		{"foreign patch", "PATCH", []string{"Origin", "https://evil.example"}, 403, ""},
		{"foreign delete", "DELETE", []string{"Origin", "https://evil.example"}, 403, ""},
		{"foreign preflight", "OPTIONS", append([]string{"Origin", "https://evil.example"}, ask...), 403, ""},
		{"foreign get", "GET", []string{"Origin", "https://evil.example"}, 418, ""},
		{"null", "POST", []string{"Origin", "null"}, 403, ""},
		{"foreign without origin", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := problemtest.Do(h, c.method, "/whip", "", c.headers...)
			got := res.Header
			if res.StatusCode != c.status || got.Get("Access-Control-Allow-Origin") != c.allow {
				t.Errorf("status %d, allowed %q; want %d, %q", res.StatusCode, got.Get("Access-Control-Allow-Origin"),
					c.status, c.allow)
			}
			if got.Get("Vary") != "Origin" || got.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("headers %v", got)
			}
			exposed := "Location, ETag, Link, Accept-Patch, Retry-After"
			switch {
			case c.allow == "":
				for name := range maps.Keys(got) {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s is set", name)
					}
				}
			case strings.HasSuffix(c.name, "preflight"):
				if got.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, If-Match" ||
					got.Get("Accept-Post") != "application/sdp" ||
					got.Get("Access-Control-Allow-Methods") != "GET, POST, PATCH, DELETE, OPTIONS" {
					t.Errorf("headers %v", got)
				}
			case got.Get("Access-Control-Expose-Headers") != exposed:
				t.Errorf("headers %v", got)
			}
			if c.status == 403 {
				problemtest.Check(t, res)
			}
		})
	}
}

func TestBadOrigins(t *testing.T) {
	ok := http.NotFoundHandler()
	for _, bad := range []string{
		"*", "null", "example.org", "https://", "https://*.example.org",
		"https://example.org/path", "ftp://example.org", "https://u@example.org",
	} {
		if _, err := middleware.CORS([]string{bad}, "application/sdp", ok); err == nil {
			t.Errorf("%q is taken for an origin", bad)
		}
	}
}
