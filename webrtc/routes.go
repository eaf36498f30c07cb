package webrtc

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tandem/webrtc/page"
	"tandem/webrtc/whip"
)

// routes puts the server's handlers together; docs/whip.md describes them.
func (s *Server) routes() (http.Handler, error) {
	w := &whip.Handler{Backend: s, ICEServers: s.o.Network.ICEServers}
	guarded := http.NewServeMux()
	guarded.HandleFunc("/whip", w.ServeEndpoint)
	guarded.HandleFunc("/sessions/{id}", w.ServeSession)
	read := func(mux *http.ServeMux, path string, h http.HandlerFunc) { mux.Handle(path, whip.GetOnly(h)) }
	read(guarded, "/sessions/{id}/events", s.serveEvents)
	read(guarded, "/sessions/{id}/events.csv", s.serveCSV)
	read(guarded, "/sessions/{id}/status", s.serveStatus)
	read(guarded, "/metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP)
	guarded.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		whip.WriteError(w, &whip.Error{Status: http.StatusNotFound, Detail: "there is nothing at this path: docs/whip.md has those there are"})
	})

	open := http.NewServeMux()
	open.Handle("/", whip.RequireToken(s.o.Token, guarded))
	pages := page.Handler()
	read(open, "/{$}", pages.ServeHTTP)
	read(open, "/page/", pages.ServeHTTP)
	read(open, "/config", s.serveConfig)
	read(open, "/healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	read(open, "/readyz", s.serveReady)

	h, err := whip.CORS(s.o.AllowOrigins, open)
	if err != nil {
		return nil, err
	}
	if s.o.AllowHosts != nil {
		h = whip.AllowHosts(s.o.AllowHosts, h)
	}
	if s.o.BehindProxy {
		h = forwarded(h)
	}
	return s.countRefused(h), nil
}

// forwarded takes the client's address from the last X-Forwarded-For, which is the proxy's own; those before it are
// the client's word.
func forwarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if a, err := netip.ParseAddr(strings.TrimSpace(all[len(all)-1])); err == nil {
			r.RemoteAddr = netip.AddrPortFrom(a, 0).String()
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	draining := s.draining
	s.mu.Unlock()
	if draining {
		whip.WriteError(w, &whip.Error{Status: http.StatusServiceUnavailable, Detail: "the server is shutting down: use another one"})
		return
	}
	w.Write([]byte("ready\n"))
}

// serveConfig tells the page what it needs to know. The credentials of ICE servers are for those who have the token.
func (s *Server) serveConfig(w http.ResponseWriter, r *http.Request) {
	spec, labels := s.o.Recognizer.Spec(), s.o.Recognizer.Labels()
	c := struct {
		Emotions      []string         `json:"emotions"`
		Genders       []string         `json:"genders"`
		Window        float64          `json:"window"`
		Hop           float64          `json:"hop"`
		Codecs        []string         `json:"codecs"`
		ICEServers    []whip.ICEServer `json:"ice_servers"`
		TokenRequired bool             `json:"token_required"`
		Gender        bool             `json:"gender"`
	}{
		labels.Emotions, labels.Genders, spec.Window.Seconds(), spec.Hop.Seconds(),
		[]string{whip.VP8, whip.H264},
		[]whip.ICEServer{},
		s.o.Token != "", !s.o.Pipeline.NoGender,
	}
	if !c.Gender {
		c.Genders = []string{}
	}
	whip.RequireToken(s.o.Token, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		c.ICEServers = append(c.ICEServers, s.o.Network.ICEServers...)
	})).ServeHTTP(nowhere{}, r)
	writeJSON(w, c)
}

// nowhere takes an answer that nobody wants.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the reader may be gone
}

// lookUp finds the session of a request, or says that there is none.
func (s *Server) lookUp(w http.ResponseWriter, r *http.Request) (record, bool) {
	x, ok := s.find(r.PathValue("id"))
	if !ok {
		whip.WriteError(w, whip.ErrNoSession)
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
		whip.WriteError(w, &whip.Error{Status: http.StatusConflict, Detail: "the session still runs: end it with DELETE first, or read its events"})
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

// PageIsWhole is false if the binary was built without the chart that `make assets` fetches for the page.
func PageIsWhole() bool { return page.Whole() }
