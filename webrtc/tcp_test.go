package webrtc_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tandem/webrtc"
	"tandem/webrtc/client"
	"tandem/webrtc/peer"
	"tandem/webrtc/webrtctest"
)

// postOffer opens a session that nobody will be at, and returns the status and the answer.
func postOffer(t *testing.T, url string) (status int, answer string) {
	t.Helper()
	return answered(t)(http.Post(url+"/whip", "application/sdp", strings.NewReader(offer(t))))
}

// A client that has no UDP sends by the TCP port, through an ICE restart, and gets its events; others use UDP beside
// it.
func TestClientWithTCPAlone(t *testing.T) {
	clip := load(t, write(t, "a.webm", pattern))
	_, url, _ := server(t, webrtc.Options{Network: peer.Options{TCPPort: webrtctest.FreePort(t)}})
	s := dial(t, client.Options{URL: url + "/whip", TCP: true})
	publish(t, s, clip, true)
	before := windows(t, s, 2)[1]
	if !before.Audio || !before.Video || *before.Latency > time.Second {
		t.Errorf("%+v", before)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := windows(t, s, 4)[3]; after.T <= before.T {
		t.Errorf("from %v to %v", before.T, after.T)
	}
	udp := dial(t, client.Options{URL: url + "/whip"})
	publish(t, udp, clip, true)
	windows(t, udp, 1)
}

// Without the port there is no candidate of TCP. With it, what is no client of a session is let go soon.
func TestTCPPort(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{})
	if code, answer := postOffer(t, url); code != 201 || strings.Contains(answer, " tcp ") {
		t.Errorf("there is TCP though no port was given: %s", answer)
	}
	port := webrtctest.FreePort(t)
	_, url, _ = server(t, webrtc.Options{Network: peer.Options{TCPPort: port}})
	_, answer := postOffer(t, url)
	if !strings.Contains(answer, " tcp ") || !strings.Contains(answer, "tcptype passive") {
		t.Errorf("no TCP: %s", answer)
	}
	conns := map[string]net.Conn{}
	for _, first := range []string{"", "GET / HTTP/1.1\r\n\r\n", "\x00\x04abcd"} {
		c, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write([]byte(first))
		conns[first] = c
	}
	for first, c := range conns {
		c.SetDeadline(time.Now().Add(8 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("%q is not let go: %v", first, err)
		}
	}
	if _, err := peer.NewNetwork(peer.Options{TCPPort: port}); err == nil {
		t.Error("the port is given twice")
	}
}
