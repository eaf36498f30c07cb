package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tandem/capture/av"
	"tandem/webrtc/problem"
)

// refusePOST lets a server answer each POST with an error.
func refusePOST(e *problem.Error) func(*server) {
	return func(s *server) {
		s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				problem.Write(w, e)
			}
			return r.Method == http.MethodPost
		}
	}
}

// answerAll lets a server answer each request by f.
func answerAll(f http.HandlerFunc) func(*server) {
	return func(s *server) {
		s.refuse = func(w http.ResponseWriter, r *http.Request) bool { f(w, r); return true }
	}
}

// unreachable lets a server's answer have no address, and another password.
func unreachable(s *server) {
	s.answer = func(a string) string {
		var out []string
		for line := range strings.SplitSeq(a, "\r\n") {
			if !strings.HasPrefix(line, "a=candidate") {
				out = append(out, line)
			}
		}
		return strings.ReplaceAll(strings.Join(out, "\r\n"), "a=ice-pwd:", "a=ice-pwd:x")
	}
}

// failingDials are servers and options with which Dial fails.
var failingDials = []struct {
	name    string
	set     func(*server)
	o       Options
	want    string // part of the error
	deleted int    // sessions
	check   func(*Error) bool
}{
	{
		"full", refusePOST(&problem.Error{
			Status: 503, Detail: "all places are taken: try again in a while", RetryAfter: 10 * time.Second,
		}),
		Options{},
		"503 Service Unavailable: all places are taken", 0,
		func(e *Error) bool { return e.Status == 503 && e.RetryAfter == 10*time.Second && e.Method == "POST" },
	},
	{
		"no token", func(s *server) { s.token = "secret" },
		Options{Token: "guess"},
		"401 Unauthorized: who are you?", 0, func(e *Error) bool { return e.Status == 401 },
	},
	{
		"no token for OPTIONS", func(s *server) { s.token = "secret" },
		Options{Discover: true},
		"OPTIONS", 0, func(e *Error) bool { return e.Status == 401 },
	},
	{
		"not WHIP", answerAll(http.NotFound),
		Options{},
		"404 Not Found", 0, func(e *Error) bool { return e.Detail == "" },
	},
	{
		"no Location", answerAll(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }),
		Options{},
		"without a Location", 0, nil,
	},
	{
		"garbage", func(s *server) { s.answer = func(string) string { return "hello" } },
		Options{},
		"answer can't be used", 1, nil,
	},
	{"no way", unreachable, Options{}, "waiting for the connection", 1, nil},
	{"bad codec", func(*server) {}, Options{Codecs: []av.Codec{99}}, "no codec", 0, nil},
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	for _, test := range failingDials {
		t.Run(test.name, func(t *testing.T) {
			srv := newServer(t)
			test.set(srv)
			test.o.URL, test.o.Loopback = srv.url(), true
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			s, err := Dial(ctx, test.o)
			if err == nil {
				closeSession(t, s)
				t.Fatal("it connected")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			var refused *Error
			if test.check != nil && (!errors.As(err, &refused) || !test.check(refused)) {
				t.Errorf("the error: %#v", err)
			}
			srv.locked(func() {
				if srv.deleted != test.deleted {
					t.Errorf("%d DELETE, want %d", srv.deleted, test.deleted)
				}
			})
		})
	}
	if _, err := Dial(t.Context(), Options{URL: "http://127.0.0.1:1/whip"}); err == nil {
		t.Error("dialled a port without a server")
	}
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Discover: true, Trickle: true})
	got := s.pc.GetConfiguration().ICEServers
	if len(got) != 1 || got[0].URLs[0] != "stun:127.0.0.1:9" {
		t.Errorf("ICE servers %+v", got)
	}
}

func TestLinks(t *testing.T) {
	for _, test := range []struct {
		headers []string
		want    string
	}{
		{nil, "[]"},
		{[]string{`<stun:stun.example.net>; rel="ice-server"`}, "[{[stun:stun.example.net]  <nil> password}]"},
		{
			[]string{
				`<turn:a?transport=udp>; rel="ice-server"; username="u,;\"x"; credential="p\\w"; ` +
					`credential-type="password"`,
			},
			`[{[turn:a?transport=udp] u,;"x p\w password}]`,
		},
		{
			[]string{`<http://x>; rel=next, <stun:b> ; REL=ice-server`, `<stun:c>;rel=ice-server`},
			"[{[stun:b]  <nil> password} {[stun:c]  <nil> password}]",
		},
		{[]string{`<stun:d>; rel="ice-server`}, "[{[stun:d]  <nil> password}]"},
		{[]string{`stun:e; rel=ice-server`}, "[]"},
		{[]string{`<stun:f`}, "[]"},
		{[]string{`<stun:g>; ; rel=ice-server;`}, "[{[stun:g]  <nil> password}]"},
	} {
		if got := fmt.Sprint(iceServers(http.Header{"Link": test.headers})); got != test.want {
			t.Errorf("%q: %s, want %s", test.headers, got, test.want)
		}
	}
}
