package webrtc_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"tandem/infer/infertest"
	"tandem/webrtc"
	"tandem/webrtc/webrtctest"
)

func TestMissingPageFileIsAProblem(t *testing.T) {
	s, _, _ := server(t, webrtc.Options{})
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/page/nothing.js", nil))
	if kind := w.Header().Get("Content-Type"); w.Code != 404 || kind != "application/problem+json" {
		t.Errorf("%d %s, want a problem of 404", w.Code, kind)
	}
}

// Every path answers what it can't do by 405 with Allow, and every path that isn't there by 404, as a problem; with a
// token the same, but that those who lack it learn nothing of the paths that want it.
func TestMethods(t *testing.T) {
	const read, session = "GET, HEAD", "/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, token := range []string{"", "secret"} {
		s, _, _ := server(t, webrtc.Options{Token: token})
		for _, c := range []struct {
			path, allow string
			open        bool // needs no token
		}{
			{"/", read, true},
			{"/page/app.js", read, true},
			{"/config", read, true},
			{"/healthz", read, true},
			{"/readyz", read, true},
			{"/metrics", read, false},
			{"/whip", "GET, HEAD, OPTIONS, POST", false},
			{session, "DELETE, GET, HEAD, OPTIONS, PATCH", false},
			{session + "/leave", "POST", true},
			{session + "/events", read, false},
			{session + "/events.csv", read, false},
			{session + "/status", read, false},
			{"/nothing", "", false},
			{session + "/nothing", "", false},
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ODD"} {
				for _, given := range slices.Compact([]string{token, ""}) {
					r := httptest.NewRequest(method, c.path, nil)
					r.Header.Set("Authorization", "Bearer "+given)
					w := httptest.NewRecorder()
					s.Handler().ServeHTTP(w, r)
					what := method + " " + c.path + " with token " + given
					switch {
					case given != token && !c.open:
						if w.Code != 401 {
							t.Errorf("%s: %d, want 401", what, w.Code)
						}
					case c.allow == "":
						if w.Code != 404 {
							t.Errorf("%s: %d, want 404", what, w.Code)
						}
					case slices.Contains(strings.Split(c.allow, ", "), method):
						if w.Code == 405 {
							t.Errorf("%s is not allowed", what)
						}
					case w.Code != 405 || w.Header().Get("Allow") != c.allow:
						t.Errorf("%s: %d, allowed %q; want 405, %q", what, w.Code, w.Header().Get("Allow"), c.allow)
					}
					if w.Code >= 400 {
						var problem struct{ Status int }
						if w.Header().Get("Content-Type") != "application/problem+json" ||
							json.Unmarshal(w.Body.Bytes(), &problem) != nil ||
							problem.Status != w.Code {
							t.Errorf("%s: %d %v: %s", what, w.Code, w.Header(), w.Body)
						}
					}
				}
			}
		}
	}
}

// What is refused is counted by its status, whichever layer refused it, and logged without saying who asked.
func TestRefusedRequests(t *testing.T) {
	rec, err := infertest.Default()
	if err != nil {
		t.Fatal(err)
	}
	var log webrtctest.Log
	s, err := webrtc.NewServer(webrtc.Options{
		Recognizer: rec, Token: "secret", AllowHosts: []string{},
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ask := func(method, path string, headers http.Header) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader("garbage"))
		r.Host = "localhost"
		r.Header.Set("Authorization", "Bearer secret")
		for name, v := range headers {
			r.Header[name] = v
			if name == "Host" {
				r.Host = v[0]
			}
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w
	}
	sdp := []string{"application/sdp"}
	for status, h := range map[int]http.Header{
		400: {"Content-Type": sdp},
		401: {"Authorization": nil},
		403: {"Origin": {"https://evil.example"}},
		406: {"Content-Type": sdp, "Accept": {"text/html"}},
		415: {"Content-Type": {"text/plain"}},
		421: {"Host": {"evil.example"}},
	} {
		if got := ask("POST", "/whip", h).Code; got != status {
			t.Errorf("%d, want %d", got, status)
		}
	}
	for range 2 {
		ask("DELETE", "/sessions/nobody", nil)
	}
	ask("GET", "/nothing", nil) // not about a session
	ask("OPTIONS", "/whip", nil)
	metrics := ask("GET", "/metrics", nil).Body.String()
	var got []string
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, "tandem_http_refused_total"); ok {
			got = append(got, strings.TrimSpace(rest))
		}
	}
	want := []string{
		`{status="400"} 1`, `{status="401"} 1`, `{status="403"} 1`, `{status="404"} 2`, `{status="406"} 1`,
		`{status="415"} 1`, `{status="421"} 1`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("counted %q, want %q", got, want)
	}
	l := log.String()
	if strings.Count(l, "request refused") != 8 || !strings.Contains(l, "status=406") ||
		strings.Contains(l, "192.0.2.1") ||
		strings.Contains(l, "nobody") {
		t.Errorf("log: %s", l)
	}
}
