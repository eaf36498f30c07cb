// Package page is the browser's side of a session: one page without a build step, embedded in the binary.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"tandem/webrtc/problem"
)

//go:embed index.html style.css *.js lib
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
	tags := map[string]string{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		sum := sha256.Sum256(b)
		tags[name] = `"` + hex.EncodeToString(sum[:8]) + `"`
		return err
	})
	if err != nil {
		panic(err) // files in the binary can be read
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "index.html"
		if r.URL.Path != "/" {
			name = strings.TrimPrefix(r.URL.Path, "/page/")
		}
		tag, ok := tags[name]
		if !ok {
			problem.Write(w, &problem.Error{Status: http.StatusNotFound, Detail: "the page has no such file"})
			return
		}
		h := w.Header()
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache") // asked for anew each time, and not sent if it is the same
		h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		h.Set("Content-Security-Policy", policy)
		h.Set("Permissions-Policy", "camera=(self), microphone=(self), geolocation=()")
		h.Set("Referrer-Policy", "no-referrer")
		http.ServeFileFS(w, r, files, name)
	})
}
