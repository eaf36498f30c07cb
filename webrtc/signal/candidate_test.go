package signal_test

import (
	"net/netip"
	"testing"

	"tandem/webrtc/signal"
)

func TestIsPublic(t *testing.T) {
	for _, s := range []string{"8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:9.9.9.9"} {
		if !signal.IsPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s is not public", s)
		}
	}
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.1.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1",
		"192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "fe80::1",
		"fc00::1", "fec0::1", "ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "2001:db8::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1",
	} {
		if signal.IsPublic(netip.MustParseAddr(s)) {
			t.Errorf("%s is public", s)
		}
	}
}
