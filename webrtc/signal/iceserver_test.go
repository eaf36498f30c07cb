package signal_test

import (
	"slices"
	"strings"
	"testing"

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
	} {
		got, err := signal.ParseICEServer(in)
		if err != nil || !slices.Equal(got.URLs, want.URLs) || got.Username != want.Username ||
			got.Credential != want.Credential {
			t.Errorf("%s: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "stun:", "http://stun.example.org", "turn:turn.example.org", "stun:u:p@stun.example.org", "turn:u@h",
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
