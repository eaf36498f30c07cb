package signal_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/webrtc/signal"
)

func TestParseICEServer(t *testing.T) {
	for in, want := range map[string]signal.ICEServer{
		"stun:stun.example.org":    {URLs: []string{"stun:stun.example.org:3478"}},
		"stun:[2001:db8::1]:19302": {URLs: []string{"stun:[2001:db8::1]:19302"}},
		"turn:u:p@turn.example.org:3478?transport=tcp": {
			URLs:     []string{"turn:turn.example.org:3478?transport=tcp"},
			Username: "u", Credential: "p",
		},
		"turns:u:p%40:q@turn.example.org": {
			URLs:     []string{"turns:turn.example.org:5349?transport=tcp"},
			Username: "u", Credential: "p@:q",
		},
		"turn:1700000000:a:b@198.51.100.1?transport=udp": {
			URLs: []string{"turn:198.51.100.1:3478?transport=udp"}, Username: "1700000000", Credential: "a:b",
		},
		"turns:turn.example.org": {URLs: []string{"turns:turn.example.org:5349?transport=tcp"}},
	} {
		got, err := signal.ParseICEServer(in)
		if err != nil || !slices.Equal(got.URLs, want.URLs) || got.Username != want.Username ||
			got.Credential != want.Credential {
			t.Errorf("%s: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "stun:", "http://stun.example.org", "turn:@h", "stun:u:p@stun.example.org", "turn:u@h",
		"turn::p@h", "turn:u:@h", "turn:u%0d%0aX:p@h", "stun:a b", "stun:host:99999", "stun:host:0",
		"turn:u:p@h?transport=x", "stun:host>,<evil:1", "turn:u:%zz@h",
	} {
		if got, err := signal.ParseICEServer(in); err == nil {
			t.Errorf("%q is read as %+v", in, got)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the password: %v", in, err)
		}
	}
}

// Credentials are made for those TURN servers that have none, for a time and a name, and differ by both.
func TestICEServersFor(t *testing.T) {
	var s signal.ICEServers
	for _, in := range []string{"stun:stun.example", "turn:u:p@a.example", "turn:b.example", "turns:c.example"} {
		i, err := signal.ParseICEServer(in)
		if err != nil {
			t.Fatal(err)
		}
		s.List = append(s.List, i)
	}
	if s.Check() == nil {
		t.Error("no secret is needed")
	}
	s.Secret, s.Life = "secret", time.Hour
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	got := s.For("ward-3", time.Unix(1700000000, 0))
	// By printf %s 1700003600:ward-3 | openssl dgst -sha1 -hmac secret -binary | base64
	const user, password = "1700003600:ward-3", "tDc+BB8y2jaocH9mVZBxY/yreSk="
	for i, want := range [][2]string{{"", ""}, {"u", "p"}, {user, password}, {user, password}} {
		if got[i].Username != want[0] || got[i].Credential != want[1] {
			t.Errorf("%v, want %q", got[i], want)
		}
	}
	if s.List[2].Username != "" {
		t.Error("the list itself has changed")
	}
	s.List = s.List[:2]
	if s.Check() == nil {
		t.Error("a secret is taken that nothing uses")
	}
}
