package webrtc

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"tandem/webrtc/access"
	"tandem/webrtc/middleware"
	"tandem/webrtc/page"
	"tandem/webrtc/problem"
	"tandem/webrtc/signal"
	"tandem/webrtc/whip"
)

// maxToken bounds a token that comes in a body, in bytes.
const maxToken = 4 << 10

// routes puts the server's handlers together; docs/whip.md describes them.
func (s *Server) routes() (http.Handler, error) {
	w := &whip.Handler{Backend: s, ICEServers: s.iceServers}
	token := s.token
	open := http.NewServeMux()
	guarded := func(path string, right access.Rights, h http.Handler) { open.Handle(path, token.Require(right, h)) }
	signalling := func(path string, right access.Rights, h http.Handler) {
		open.Handle(path, s.o.Tracer.Handler(path, token.Require(right, h)))
	}
	reader := func(path string, h http.HandlerFunc) { guarded(path, access.Read, middleware.GetOnly(h)) }
	signalling("/whip", access.Publish, http.HandlerFunc(w.ServeEndpoint))
	signalling("/sessions/{id}", access.Publish, http.HandlerFunc(w.ServeSession))
	reader("/sessions/{id}/events", s.serveEvents)
	reader("/sessions/{id}/events.csv", s.serveCSV)
	reader("/sessions/{id}/status", s.serveStatus)
	if !s.o.MetricsApart {
		reader("/metrics", s.serveMetrics)
	}
	guarded("/admin/sessions", access.Admin, middleware.GetOnly(http.HandlerFunc(s.serveSessions)))
	signalling("/admin/sessions/{id}", access.Admin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			middleware.NotAllowed(w, http.MethodDelete, "end the session with DELETE")
			return
		}
		s.endSession(w, r)
	}))
	guarded("/", 0, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, problem.New(http.StatusNotFound,
			"there is nothing at this path: docs/whip.md has those there are"))
	}))

	read := func(path string, h http.HandlerFunc) { open.Handle(path, middleware.GetOnly(h)) }
	pages := page.Handler()
	read("/{$}", pages.ServeHTTP)
	read("/page/", pages.ServeHTTP)
	read("/pattern.webm", servePattern)
	const leave = "/sessions/{id}/leave"
	open.Handle(leave, s.o.Tracer.Handler(leave, s.leave()))
	read("/config", s.serveConfig)
	read("/healthz", serveHealth)
	read("/readyz", s.serveReady)

	h, err := middleware.CORS(s.o.AllowOrigins, signal.TypeSDP, open)
	if err != nil {
		return nil, err
	}
	if s.o.AllowHosts != nil {
		h = middleware.AllowHosts(s.o.AllowHosts, h)
	}
	h = s.o.TrustedProxies.Forwarded(h)
	return middleware.WriteDeadlines(writeTime, middleware.SecureHeaders(s.o.TrustedProxies, s.countRefused(h))), nil
}

// leave answers the beacon of a page that goes away: it ends and erases the session, as DELETE with erase does. Beacons
// have no headers (Beacon section 3.1), so that the body, if there is any, is the token.
func (s *Server) leave() http.Handler {
	leaves := s.token.Require(access.Publish, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.Delete(r.Context(), r.PathValue("id"), true); err != nil {
			problem.Write(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			middleware.NotAllowed(w, "POST", "leave a session with POST")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxToken))
		if err != nil {
			problem.Write(w, problem.New(http.StatusRequestEntityTooLarge,
				"the body is larger than %d KiB: send the token, or nothing", maxToken>>10))
			return
		}
		if len(body) > 0 {
			r.Header.Set("Authorization", "Bearer "+string(body))
		}
		leaves.ServeHTTP(w, r)
	})
}

func serveHealth(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) }

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if s.ctx.Err() != nil {
		problem.Write(w, problem.New(http.StatusServiceUnavailable, "the server is shutting down: use another one"))
		return
	}
	w.Write([]byte("ready\n"))
}

// serveConfig answers with the server's settings that the page uses. The credentials of ICE servers are for those who
// may publish.
func (s *Server) serveConfig(w http.ResponseWriter, r *http.Request) {
	grant, err := s.token.Given(r)
	var refused *problem.Error
	if errors.As(err, &refused) && refused.Status == http.StatusTooManyRequests {
		problem.Write(w, err)
		return
	}
	spec, labels := s.o.Recognizer.Spec(), s.o.Recognizer.Labels()
	c := struct {
		Emotions      []string           `json:"emotions"`
		Genders       []string           `json:"genders"`
		Window        float64            `json:"window"`
		Hop           float64            `json:"hop"`
		Codecs        []string           `json:"codecs"`
		ICEServers    []signal.ICEServer `json:"ice_servers"`
		TokenRequired bool               `json:"token_required"`
		Gender        bool               `json:"gender"`
		Keep          float64            `json:"keep_seconds"`
	}{
		labels.Emotions, labels.Genders, spec.Window.Seconds(), spec.Hop.Seconds(),
		[]string{signal.VP8, signal.H264},
		[]signal.ICEServer{},
		s.token.Needed(), !s.o.Pipeline.NoGender, keepTime.Seconds(),
	}
	if !c.Gender {
		c.Genders = []string{}
	}
	if grant.May(access.Publish) {
		c.ICEServers = append(c.ICEServers, s.iceServersOf(grant)...)
	}
	writeJSON(w, c)
}

// iceServers returns those for the client of a request.
func (s *Server) iceServers(r *http.Request) []signal.ICEServer {
	return s.iceServersOf(access.From(r.Context()))
}

func (s *Server) iceServersOf(g access.Grant) []signal.ICEServer {
	return s.o.Network.ICEServers.For(turnName(g.Name), time.Now())
}

// clientName is that of clients without a name of their own among the users of TURN servers.
const clientName = "client"

// turnName returns the name of a client as TURN servers take it. JWTs may have any.
func turnName(name string) string {
	return cmp.Or(strings.Map(func(c rune) rune {
		if c < 128 && signal.IsAlphanumeric(byte(c)) || strings.ContainsRune("._-", c) {
			return c
		}
		return -1
	}, name[:min(len(name), 64)]), clientName)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the reader may be gone
}

// lookUp returns the record of the session of a request, or answers that there is none.
func (s *Server) lookUp(w http.ResponseWriter, r *http.Request) (record, bool) {
	x, ok := s.find(r.PathValue("id"))
	if !ok {
		problem.Write(w, whip.ErrNoSession)
	}
	return x, ok
}

func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	if x, ok := s.lookUp(w, r); ok {
		x.hub.ServeSSE(w, r)
	}
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	if x, ok := s.lookUp(w, r); ok {
		writeJSON(w, x.status())
	}
}

func (s *Server) serveCSV(w http.ResponseWriter, r *http.Request) {
	x, ok := s.lookUp(w, r)
	if !ok {
		return
	}
	csv, cut, ok := x.hub.CSV()
	if !ok {
		problem.Write(w, problem.New(http.StatusConflict,
			"the session still runs: end it with DELETE first, or read its events"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="events.csv"`)
	h.Set("Cache-Control", "no-store")
	if cut {
		h.Set("X-Tandem-Truncated", "true")
	}
	w.Write(csv)
}

// PageIsWhole reports whether the binary was built with the chart that `make assets` fetches for the page.
func PageIsWhole() bool { return page.Whole() }
