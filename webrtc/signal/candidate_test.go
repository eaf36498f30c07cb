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

// Candidates as clients write them, each with the address that it has, if it is of use.
func TestParseCandidate(t *testing.T) {
	for _, c := range []struct{ client, value, want string }{
		{"Chromium", "1467250027 1 udp 2122260223 192.0.2.7 46243 typ host generation 0 ufrag EsAw network-id 1 " +
			"network-cost 10", "192.0.2.7:46243"},
		{"Chromium, hidden", "2799512213 1 udp 2113937151 3f1c8c0a-2f0e-4f2a-9c44-0a1b2c3d4e5f.local 54321 typ host " +
			"generation 0 network-cost 999", ""},
		{"Chromium, TCP", "1876313031 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active generation 0", ""},
		{"Safari", "842163049 1 udp 1677729535 203.0.113.7 62793 typ srflx raddr 0.0.0.0 rport 0 generation 0 " +
			"network-cost 999", "203.0.113.7:62793"},
		{"Firefox", "1 1 UDP 1686052863 203.0.113.7 48211 typ srflx raddr 0.0.0.0 rport 0", "203.0.113.7:48211"},
		{
			"Firefox, relayed", "7 1 UDP 92216831 198.51.100.9 51000 typ relay raddr 198.51.100.9 rport 51000",
			"198.51.100.9:51000",
		},
		{"Firefox, TCP", "3 1 TCP 2105524479 192.0.2.7 9 typ host tcptype active", ""},
		{"GStreamer, libnice", "1 1 UDP 2015363327 192.0.2.10 40000 typ host", "192.0.2.10:40000"},
		{"GStreamer, RTCP", "1 2 UDP 2015363326 192.0.2.10 40001 typ host", ""},
		{
			"GStreamer, of a link", "4 1 UDP 2015363583 fe80::1c2d:3e4f:5a6b:7c8d 40002 typ host",
			"[fe80::1c2d:3e4f:5a6b:7c8d]:40002",
		},
		{"libdatachannel, libjuice", "2 1 UDP 2122317311 2001:db8::20 50642 typ host", "[2001:db8::20]:50642"},
		{"aiortc", "1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b 1 udp 1694498815 203.0.113.7 50642 typ srflx raddr 192.0.2.20 " +
			"rport 50642", "203.0.113.7:50642"},
		{"pion", "foundation 1 udp 2130706431 192.0.2.20 50642 typ host ufrag EsAwUfragOfPion", "192.0.2.20:50642"},
	} {
		ap, err := signal.ParseCandidate(c.value)
		got := ""
		if ap.IsValid() {
			got = ap.String()
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.client, got, err, c.want)
		}
	}
}

// The candidates of the address that a client reached come first; all else is as it was.
func TestPreferCandidates(t *testing.T) {
	docker, v6, lan := "a=candidate:1 1 udp 3 172.17.0.1 1 typ host\r\n",
		"a=candidate:2 1 udp 2 2001:db8::1 1 typ host\r\n",
		"a=candidate:3 1 udp 1 192.0.2.1 1 typ host\r\n"
	tcp := "a=candidate:4 1 tcp 9 192.0.2.1 1 typ host tcptype passive\r\n"
	const head, tail = "m=audio 9 X 0\r\na=mid:0\r\n", "a=end-of-candidates\r\nm=video 9 X 0\r\n"
	for address, want := range map[string]string{
		"192.0.2.1": lan + docker + v6 + tcp, "2001:db8::1": v6 + docker + lan + tcp,
		"127.0.0.1": docker + v6 + lan + tcp,
	} {
		got := signal.PreferCandidates(head+tcp+docker+v6+lan+tail, netip.MustParseAddr(address))
		if got != head+want+tail {
			t.Errorf("%s: %q", address, got)
		}
	}
	if got := signal.PreferCandidates(head+tail, netip.Addr{}); got != head+tail {
		t.Errorf("without candidates: %q", got)
	}
}
