package webrtc

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"tandem/webrtc/middleware"
	"tandem/webrtc/peer"
	"tandem/webrtc/problem"
	"tandem/webrtc/whip"
)

// errDraining is the answer to whoever asks for a session of a server that is shutting down.
var errDraining = unavailable("the server is shutting down: try again later, or another one")

// unavailable returns a refusal of those who come when there is no place for them.
func unavailable(format string, a ...any) error {
	e := problem.New(http.StatusServiceUnavailable, format, a...)
	e.RetryAfter = retryAfter
	return e
}

// refusal returns the answer to a client for an error of its connection: that of WHIP where there is one, else err.
func refusal(err error) error {
	var offer *peer.OfferError
	var rate *peer.RateError
	switch {
	case errors.As(err, &offer):
		return problem.New(http.StatusUnprocessableEntity, "%v", offer)
	case errors.As(err, &rate):
		return &problem.Error{Status: http.StatusTooManyRequests, Detail: rate.Error(), RetryAfter: rate.Wait}
	case errors.Is(err, peer.ErrExhausted):
		return unavailable("the server's machine is at its limits: try again in a while")
	case errors.Is(err, peer.ErrClosed):
		return whip.ErrNoSession
	case errors.Is(err, peer.ErrStale):
		return whip.ErrStale
	}
	return err
}

// countRefused counts and logs the requests about sessions that next refuses, whichever of its layers it was. It does
// not say who asked, nor for which session.
func (s *Server) countRefused(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := strings.HasPrefix(r.URL.Path, whip.SessionPath)
		if !session && r.URL.Path != "/whip" {
			next.ServeHTTP(w, r)
			return
		}
		kept := &middleware.StatusKeeper{ResponseWriter: w}
		next.ServeHTTP(kept, r)
		if kept.Status() >= 400 {
			s.metrics.http.WithLabelValues(strconv.Itoa(kept.Status())).Inc()
			s.o.Log.Debug("request refused", "method", r.Method, "of_session", session, "status", kept.Status())
		}
	})
}
