package middleware

import (
	"net/http"
	"time"
)

// deadlineChunk is how many bytes a reader has to take before its time begins anew.
const deadlineChunk = 64 << 10

// WriteDeadlines lets a reader go that takes nothing of an answer for so long: each write of 64 KiB has that time, so
// that a long answer may take as long as its reader goes on, and a stream that is silent as long as it is. Where
// deadlines can't be set, as in tests of handlers, there are none.
func WriteDeadlines(bound time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := &deadlineWriter{w, http.NewResponseController(w), bound}
		next.ServeHTTP(d, r)
		d.extend() // for what net/http still holds
	})
}

type deadlineWriter struct {
	http.ResponseWriter
	c     *http.ResponseController
	bound time.Duration
}

// extend begins the reader's time. The error says that there are no deadlines, or that the connection is closed, which
// the next write says as well.
func (w *deadlineWriter) extend() { _ = w.c.SetWriteDeadline(time.Now().Add(w.bound)) }

func (w *deadlineWriter) Write(b []byte) (n int, err error) {
	for {
		w.extend()
		part := b[n:min(n+deadlineChunk, len(b))]
		m, err := w.ResponseWriter.Write(part)
		if n += m; err != nil || n == len(b) {
			return n, err
		}
	}
}

// Unwrap is for http.ResponseController, by which events are flushed.
func (w *deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
