package page_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"

	"tandem/pipeline"
	"tandem/webrtc/page"
)

// Who takes gzip gets it, by another tag; who refuses it, or does not know it, gets the file as it is.
func TestCompressed(t *testing.T) {
	h := page.Handler()
	get := func(encodings string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/page/app.js", nil)
		if encodings != "" {
			r.Header.Set("Accept-Encoding", encodings)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	plain := get("")
	for encodings, zipped := range map[string]bool{
		"gzip": true, "br, gzip;q=0.5": true, "GZIP ; q=1": true, "identity": false, "gzip;q=0": false, "br": false,
		"gzipped": false, "gzip;q=x": false, ";,;q=": false,
	} {
		w := get(encodings)
		body := io.Reader(w.Body)
		if (w.Header().Get("Content-Encoding") == "gzip") != zipped || w.Header().Get("Vary") != "Accept-Encoding" ||
			(w.Header().Get("ETag") != plain.Header().Get("ETag")) != zipped {
			t.Errorf("%q: %v", encodings, w.Header())
		}
		if zipped {
			if w.Body.Len() > plain.Body.Len()/2 {
				t.Errorf("%d of %d bytes", w.Body.Len(), plain.Body.Len())
			}
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := io.ReadAll(body); err != nil || string(b) != plain.Body.String() {
			t.Errorf("%q: %d bytes, %v", encodings, len(b), err)
		}
	}
}

// The page's colours of subjects are those of the pictures and reports.
func TestSubjectsColors(t *testing.T) {
	h := page.Handler()
	file := func(name string) string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/page/"+name, nil))
		return w.Body.String()
	}
	css := file("style.css")
	n := len(regexp.MustCompile(`--s\d+:`).FindAllString(css, -1))
	for i := range n {
		if want := fmt.Sprintf("--s%d: #%x;", i, pipeline.SubjectColor(i)); !strings.Contains(css, want) {
			t.Errorf("style.css lacks %s", want)
		}
	}
	if pipeline.SubjectColor(n) != pipeline.SubjectColor(0) || pipeline.SubjectColor(n-1) == pipeline.SubjectColor(0) {
		t.Errorf("style.css has %d colours, and they do not come again after as many", n)
	}
	if want := fmt.Sprintf("const ownColours = %d;", n); !strings.Contains(file("speech.js"), want) {
		t.Errorf("speech.js lacks %s", want)
	}
}

func FuzzAcceptEncoding(f *testing.F) {
	h := page.Handler()
	for _, s := range []string{"gzip", "gzip;q=0.1", ";q=", ",,,", "gzip;q=1e999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Accept-Encoding"] = []string{s}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 {
			t.Fatalf("%q: %d", s, w.Code)
		}
	})
}

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
	types := map[string]string{".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
	for _, m := range named.FindAllStringSubmatch(index.Body.String(), -1) {
		want := types[path.Ext(m[1])]
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
