package webrtc

import (
	"net/http"
	"strconv"
	"strings"

	"tandem/webrtc/whip"
)

// countRefused counts and logs the requests about sessions that next refuses, whichever of its layers it was. It does
// not say who asked, nor for which session.
func (s *Server) countRefused(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := strings.HasPrefix(r.URL.Path, whip.SessionPath)
		if !session && r.URL.Path != "/whip" {
			next.ServeHTTP(w, r)
			return
		}
		kept := &statusKeeper{ResponseWriter: w}
		next.ServeHTTP(kept, r)
		if kept.status >= 400 {
			s.metrics.http.WithLabelValues(strconv.Itoa(kept.status)).Inc()
			s.o.Log.Debug("request refused", "method", r.Method, "of_session", session, "status", kept.status)
		}
	})
}

// statusKeeper keeps the status of an answer.
type statusKeeper struct {
	http.ResponseWriter
	status int // 0 for 200 that was not said
}

func (w *statusKeeper) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController, by which events are flushed.
func (w *statusKeeper) Unwrap() http.ResponseWriter { return w.ResponseWriter }
