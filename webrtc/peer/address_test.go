package peer_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
)

func TestUDPPort(t *testing.T) {
	probe := must(net.ListenUDP("udp", &net.UDPAddr{}))(t)
	port := probe.LocalAddr().(*net.UDPAddr).Port
	probe.Close()
	s := newServer(t, peer.Options{UDPPort: port})
	for _, mime := range []string{pion.MimeTypeOpus, pion.MimeTypeVP8} {
		c := newClient(t, s, mime)
		c.post()
		for l := range strings.SplitSeq(c.answer, "\r\n") {
			if f := strings.Fields(l); strings.HasPrefix(l, "a=candidate:") && f[5] != fmt.Sprint(port) {
				t.Errorf("%s: want port %d", l, port)
			}
		}
		c.trickle()
		s.awaitPackets(t, mime)
		c.restart()
		s.awaitPackets(t, mime)
	}
	if _, err := peer.NewNetwork(peer.Options{UDPPort: port, Loopback: true}); err == nil {
		t.Error("the port is given twice")
	}
}

func TestAddresses(t *testing.T) {
	extra := strings.Join([]string{
		"a=candidate:1 1 udp 5 192.168.7.7 5000 typ host",
		"a=candidate:2 1 udp 4 9.9.9.9 5000 typ srflx raddr 0.0.0.0 rport 9",
		"a=candidate:3 1 udp 3 abc-def.local 5000 typ host",
		"a=candidate:4 1 udp 2 224.0.0.1 5000 typ host",
		"a=candidate:5 1 udp 1 ::1 5000 typ host",
		"",
	}, "\r\n")
	for _, c := range []struct {
		public bool
		want   int
	}{{false, 2}, {true, 6}} {
		t.Run(fmt.Sprintf("public=%v", c.public), func(t *testing.T) {
			s := newServer(t, peer.Options{PublicOnly: c.public, PublicIPs: []string{"9.8.7.6"}})
			p, err := answer(t.Context(), s.network, chromeOffer()+extra)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			f, err := signal.ParseFragment("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + extra)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.AddCandidates(t.Context(), f); err != nil {
				t.Error(err)
			}
			usable := 0 // addresses that are well-formed, each sent twice
			for _, candidate := range strings.Split(extra, "\r\n") {
				if a, err := signal.ParseCandidate(strings.TrimPrefix(candidate, "a=candidate:")); err == nil &&
					a.IsValid() {
					usable += 2
				}
			}
			if got := usable - p.Candidates(); got != c.want {
				t.Errorf("%d candidates refused, want %d", got, c.want)
			}
			if !strings.Contains(p.Answer(), " 9.8.7.6 ") {
				t.Errorf("the public address is not in %s", p.Answer())
			}
		})
	}
	if _, err := peer.NewNetwork(peer.Options{PublicIPs: []string{"example.org"}}); err == nil {
		t.Error("a name is taken for an address")
	}
}

// With PublicOnly a client on a private address is not answered, though it knows the server's.
func TestPublicOnlyKeepsOut(t *testing.T) {
	s := newServer(t, peer.Options{PublicOnly: true})
	c := newClient(t, s, pion.MimeTypeOpus)
	c.post()
	c.trickle()
	select {
	case <-s.packets:
		t.Error("media came from a loopback address")
	case <-time.After(2 * time.Second):
	}
	if p := s.find("s1"); p.Candidates() != 0 || p.State() == peer.Connected {
		t.Errorf("%d candidates taken, state %v", p.Candidates(), p.State())
	}
}
