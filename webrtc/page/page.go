// Package page is the browser's side of a session: one page without a build step, embedded in the binary.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"tandem/webrtc/problem"
)

//go:embed index.html style.css icon.svg *.js lib
var files embed.FS

// policy allows the page the sources that it uses and nothing else (Content Security Policy level 3). Styles are set by
// scripts through the CSSOM, which it does not concern.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Whole reports whether the chart's library was there when the binary was built.
func Whole() bool {
	_, err := fs.Stat(files, "lib/uPlot.iife.min.js")
	return err == nil
}

// Handler serves the page at / and its files under /page/.
func Handler() http.Handler {
	type file struct {
		tag           string
		plain, zipped []byte
	}
	all := map[string]file{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		all[name] = file{`"` + hex.EncodeToString(sum[:8]) + `"`, b, zip(b)}
		return nil
	})
	if err != nil {
		panic(err) // files in the binary can be read
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "index.html"
		if r.URL.Path != "/" {
			name = strings.TrimPrefix(r.URL.Path, "/page/")
		}
		f, ok := all[name]
		if !ok {
			problem.Write(w, &problem.Error{Status: http.StatusNotFound, Detail: "the page has no such file"})
			return
		}
		h := w.Header()
		h.Set("ETag", f.tag)
		h.Set("Vary", "Accept-Encoding")
		h.Set("Cache-Control", "no-cache") // asked for anew each time, and not sent if it is the same
		h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		h.Set("Content-Security-Policy", policy)
		h.Set("Permissions-Policy", "camera=(self), microphone=(self), geolocation=()")
		h.Set("Referrer-Policy", "no-referrer")
		content := f.plain
		if takesGzip(r) {
			h.Set("Content-Encoding", "gzip")
			h.Set("ETag", strings.TrimSuffix(f.tag, `"`)+`-gzip"`) // another representation (RFC 9110 section 8.8.3)
			content = f.zipped
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}

// zip returns b in gzip, made once.
func zip(b []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes all
	}
	return out.Bytes()
}

// takesGzip reports whether a request's Accept-Encoding has gzip, and not with a weight of 0 (RFC 9110 section 12.5.3).
func takesGzip(r *http.Request) bool {
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, ok := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			v, err := strconv.ParseFloat(q, 64)
			return !ok || err == nil && v > 0
		}
	}
	return false
}
