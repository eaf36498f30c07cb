package webrtc

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"tandem/webrtc/problem"
	"tandem/webrtc/whip"
)

// errOperator ends a session by the API for operators.
var errOperator = errors.New("ended by the operator")

// listed is a session as the operator sees it.
type listed struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"` // of the token that opened it
	status
}

// serveSessions answers with all sessions that run, the oldest first.
func (s *Server) serveSessions(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	running := make([]*session, 0, len(s.sessions))
	for _, x := range s.sessions {
		running = append(running, x)
	}
	s.mu.Unlock()
	slices.SortFunc(running, func(a, b *session) int {
		if c := a.opened.Compare(b.opened); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	out := struct {
		Sessions []listed `json:"sessions"`
		Max      int      `json:"max_sessions"`
	}{make([]listed, len(running)), s.o.MaxSessions}
	for i, x := range running {
		out.Sessions[i] = listed{x.id, x.name, x.status()}
	}
	writeJSON(w, out)
}

// endSession ends a session, whosever it is. Its events stay, as of one that the server ends.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	x, running := s.sessions[r.PathValue("id")]
	s.mu.Unlock()
	if !running {
		problem.Write(w, whip.ErrNoSession)
		return
	}
	x.end(errOperator)
	select {
	case <-x.done:
	case <-r.Context().Done():
	}
	w.WriteHeader(http.StatusNoContent)
}
