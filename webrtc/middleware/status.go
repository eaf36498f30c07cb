package middleware

import (
	"cmp"
	"net/http"
)

// StatusKeeper keeps the status of the answer that is written through it.
type StatusKeeper struct {
	http.ResponseWriter
	status int // 0 for 200 that was not said
}

// Status returns the status, 200 before there is one.
func (w *StatusKeeper) Status() int { return cmp.Or(w.status, http.StatusOK) }

// WriteHeader is http.ResponseWriter's.
func (w *StatusKeeper) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController, by which events are flushed.
func (w *StatusKeeper) Unwrap() http.ResponseWriter { return w.ResponseWriter }
