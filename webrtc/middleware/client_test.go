package middleware_test

import (
	"net/netip"
	"testing"

	"tandem/webrtc/middleware"
)

func TestClientKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":              "192.0.2.1",
		"::ffff:192.0.2.1":       "192.0.2.1",
		"2001:db8:1:2::1":        "2001:db8:1:2::",
		"2001:db8:1:2:a:b:c:d":   "2001:db8:1:2::",
		"2001:db8:1:3:a:b:c:d":   "2001:db8:1:3::",
		"fe80::1:2:3:4%eth0":     "fe80::",
		"2001:db8::ffff:c000:21": "2001:db8::",
	} {
		if got := middleware.ClientKey(netip.MustParseAddr(in)); got != netip.MustParseAddr(want) {
			t.Errorf("%s counts as %v, want %s", in, got, want)
		}
	}
	if got := middleware.ClientKey(netip.Addr{}); got.IsValid() {
		t.Errorf("no address counts as %v", got)
	}
}
