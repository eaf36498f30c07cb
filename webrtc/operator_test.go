package webrtc_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tandem/webrtc"
)

// The operator's handler has metrics for all who reach it, profiles for this machine alone, and none for a page whose
// name was made to point here.
func TestMetricsHandler(t *testing.T) {
	s, url, _ := server(t, webrtc.Options{Token: "secret", MetricsApart: true})
	r, err := http.NewRequest("GET", url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer secret")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 404 {
		t.Errorf("/metrics is at the clients' address too: %d", res.StatusCode)
	}
	for _, c := range []struct {
		method, path, from, host string
		code                     int
		has                      string
	}{
		{"GET", "/metrics", "192.0.2.1:1", "tandem.example", 200, "tandem_sessions 0"},
		{"POST", "/metrics", "127.0.0.1:1", "localhost", 405, "GET"},
		{"GET", "/healthz", "192.0.2.1:1", "x", 200, "ok"},
		{"GET", "/readyz", "192.0.2.1:1", "x", 200, "ready"},
		{"GET", "/whip", "127.0.0.1:1", "localhost", 404, "/debug/pprof/"},
		{"GET", "/debug/pprof/goroutine?debug=1", "127.0.0.1:1", "localhost", 200, "goroutine profile"},
		{"GET", "/debug/pprof/goroutine?debug=1", "[::1]:1", "[::1]:9090", 200, "goroutine profile"},
		{"GET", "/debug/pprof/heap", "192.0.2.1:1", "localhost", 403, "machine alone"},
		{"GET", "/debug/pprof/heap", "127.0.0.1:1", "evil.example", 421, "host name"},
		{"GET", "/debug/pprof/cmdline", "127.0.0.1:1", "localhost", 404, ""},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.RemoteAddr, r.Host = c.from, c.host
		w := httptest.NewRecorder()
		s.MetricsHandler().ServeHTTP(w, r)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.has) {
			t.Errorf("%+v: %d %.200s", c, w.Code, w.Body)
		}
	}
}

// It is served on an address of its own, until its context ends.
func TestServeMetrics(t *testing.T) {
	s, _, _ := server(t, webrtc.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.ServeMetrics(ctx, l) }()
	if n := metric(t, "http://"+l.Addr().String(), "go_goroutines"); n < 2 {
		t.Errorf("%v goroutines", n)
	}
	cancel()
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it does not end")
	}
}
