package peer_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/transport/v5/vnet"
	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
)

func TestRestart(t *testing.T) {
	for name, change := range map[string]func(offer string) string{
		"as it is": nil,
		// RFC 9429 section 5.2.1 wants no a=ssrc.
		"undeclared": func(offer string) string { return without(offer, "a=ssrc", "a=msid") },
		// RFC 9143 section 7.1.3: what the bundle has in common stands in its first m-line.
		"bundle-only": func(offer string) string {
			first, second, _ := strings.Cut(offer, "m=video 9 ")
			return first + "m=video 0 " + without(second, "a=ice-", "a=fingerprint", "a=setup", "a=rtcp-mux", "a=ssrc",
				"c=") + "a=bundle-only\r\n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, peer.Options{})
			c := newClient(t, s, pion.MimeTypeOpus, pion.MimeTypeVP8)
			c.change = change
			c.post()
			c.trickle()
			s.awaitPackets(t, pion.MimeTypeOpus, pion.MimeTypeVP8)
			old := c.etag
			for range 2 {
				c.restart()
				s.awaitState(t, peer.Connected)
				s.awaitPackets(t, pion.MimeTypeOpus, pion.MimeTypeVP8)
			}
			res, _ := c.patch(old, "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=end-of-candidates\r\n")
			if res.StatusCode != http.StatusPreconditionFailed {
				t.Errorf("an old ETag gives status %d", res.StatusCode)
			}
		})
	}
}

// A connection that has failed in an outage comes back by a restart.
func TestOutage(t *testing.T) {
	peer.SetICETimes(t, 500*time.Millisecond, time.Second, 100*time.Millisecond)
	router := must(vnet.NewRouter(&vnet.RouterConfig{CIDR: "1.2.3.0/24", LoggerFactory: quiet{}}))(t)
	host := func(ip string) *vnet.Net {
		n := must(vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{ip}}))(t)
		if err := router.AddNet(n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	serverNet, clientNet := host("1.2.3.4"), host("1.2.3.5")
	var cut atomic.Bool
	router.AddChunkFilter(func(vnet.Chunk) bool { return !cut.Load() })
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, peer.Options{Net: serverNet, PublicOnly: true})
	s.clientNet = clientNet
	// Before the server's checks for goroutines, and after the client is closed.
	t.Cleanup(func() {
		s.closePeers(t)
		if err := router.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := newClient(t, s, pion.MimeTypeOpus, pion.MimeTypeVP8)
	c.post()
	c.trickle()
	s.awaitState(t, peer.Connected)
	s.awaitPackets(t, pion.MimeTypeOpus, pion.MimeTypeVP8)
	cut.Store(true)
	s.awaitState(t, peer.Disconnected)
	s.awaitState(t, peer.Failed)
	cut.Store(false)
	c.restart()
	s.awaitState(t, peer.Connected)
	s.awaitPackets(t, pion.MimeTypeOpus, pion.MimeTypeVP8)
}

// A restart that can't be leaves the session as it was.
func TestRefusedRestart(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeOpus)
	c.post()
	c.trickle()
	s.awaitPackets(t, pion.MimeTypeOpus)
	for _, body := range []string{
		"a=ice-ufrag:abcd\r\n", "a=ice-ufrag:ab\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
		"a=ice-ufrag:abcd\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:x\r\n",
	} {
		if res, _ := c.patch("*", body); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: status %d", body, res.StatusCode)
		}
	}
	s.awaitPackets(t, pion.MimeTypeOpus)
	if s.find("s1").ETag() != strings.Trim(c.etag, `"`) {
		t.Error("the ETag has changed")
	}
}

func TestPatchFlood(t *testing.T) {
	s := newServer(t, peer.Options{})
	other := newClient(t, s, pion.MimeTypeOpus)
	other.post()
	other.trickle()
	c := newClient(t, s, pion.MimeTypeVP8)
	c.post()
	ufrag, pwd := c.credentials()
	f := signal.Fragment{Ufrag: ufrag, Pwd: pwd, Media: []signal.FragmentMedia{{Kind: "video", Mid: "0"}}}
	for i := range signal.MaxCandidates {
		f.Media[0].Candidates = append(f.Media[0].Candidates, fmt.Sprintf("1 1 udp 1 127.0.0.1 %d typ host", 40000+i))
	}
	codes := map[int]int{}
	for range 300 {
		res, _ := c.patch(c.etag, f.String())
		codes[res.StatusCode]++
		if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Fatal("no Retry-After")
		}
	}
	if codes[204] == 0 || codes[429] < 50 || codes[204]+codes[429] != 300 {
		t.Errorf("statuses %v", codes)
	}
	codes = map[int]int{}
	for i := range 20 {
		time.Sleep(60 * time.Millisecond) // so that it is restarts that are bounded, not requests
		res, _ := c.patch("*", fmt.Sprintf("a=ice-ufrag:flood%d\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n", i))
		codes[res.StatusCode]++
	}
	if codes[200] == 0 || codes[429] == 0 || codes[200]+codes[429] != 20 {
		t.Errorf("statuses of restarts %v", codes)
	}
	s.awaitPackets(t, pion.MimeTypeOpus) // the other goes on
}
