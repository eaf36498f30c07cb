package page_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"tandem/webrtc/page"
)

// The page and all that it names are there, with the right types and the policy; nothing else is.
func TestHandler(t *testing.T) {
	h := page.Handler()
	get := func(path, tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		if tag != "" {
			r.Header.Set("If-None-Match", tag)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	index := get("/", "")
	if index.Code != 200 || !strings.HasPrefix(index.Header().Get("Content-Type"), "text/html") ||
		!strings.Contains(index.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %v", index.Code, index.Header())
	}
	if !page.Whole() {
		t.Log("the chart's library is not here: make assets fetches it")
	}
	if w := get("/", index.Header().Get("ETag")); w.Code != http.StatusNotModified {
		t.Errorf("again: %d", w.Code)
	}
	named := regexp.MustCompile(`(?:src|href)="(/page/[^"]+)"`)
	for _, m := range named.FindAllStringSubmatch(index.Body.String(), -1) {
		want := map[string]string{".css": "text/css", ".js": "text/javascript"}[m[1][strings.LastIndex(m[1], "."):]]
		w := get(m[1], "")
		if strings.Contains(m[1], "/lib/") && !page.Whole() {
			continue
		}
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), want) {
			t.Errorf("%s: %d %s", m[1], w.Code, w.Header().Get("Content-Type"))
		}
	}
	for _, path := range []string{
		"/page/", "/page/app.js/", "/page//app.js", "/page/./app.js", "/page/lib/../app.js",
		"/page/page.go", "/page/../page.go", "/page/lib", "/page/nothing.js",
		"/page/lib/../../../../etc/passwd",
	} {
		if w := get(path, ""); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
