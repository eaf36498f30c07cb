package webrtc

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"tandem/webrtc/middleware"
	"tandem/webrtc/problem"
)

// operatorConnections bounds the connections that are open at a time for the operator's programs.
const operatorConnections = 64

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// MetricsHandler returns the handler for an address of the operator's own, with no token: metrics, whether the server
// is alive and ready, and Go's profiles. These show what is in memory, and are for programs on this machine alone.
func (s *Server) MetricsHandler() http.Handler {
	profiles := http.NewServeMux()
	profiles.HandleFunc("/debug/pprof/", pprof.Index)
	profiles.HandleFunc("/debug/pprof/cmdline", http.NotFound) // it may have the token
	profiles.HandleFunc("/debug/pprof/profile", pprof.Profile)
	profiles.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	profiles.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux := http.NewServeMux()
	mux.Handle("/metrics", middleware.GetOnly(http.HandlerFunc(s.serveMetrics)))
	mux.HandleFunc("/healthz", serveHealth)
	mux.HandleFunc("/readyz", s.serveReady)
	mux.Handle("/debug/pprof/", middleware.LoopbackOnly(middleware.AllowHosts(nil, profiles)))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, problem.New(http.StatusNotFound,
			"there are /metrics, /healthz, /readyz and /debug/pprof/ here"))
	})
	return middleware.WriteDeadlines(writeTime, middleware.SecureHeaders(nil, mux))
}

// ServeMetrics answers HTTP on l with MetricsHandler until ctx ends.
func (s *Server) ServeMetrics(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler: s.MetricsHandler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: readTime,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	defer context.AfterFunc(ctx, func() { h.Close() })()
	if err := h.Serve(netutil.LimitListener(l, operatorConnections)); ctx.Err() == nil {
		return err
	}
	return nil
}
