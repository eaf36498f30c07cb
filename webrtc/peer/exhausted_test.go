package peer_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
	"tandem/webrtc/signal/signaltest"
)

// However few descriptors are left, an offer is answered with an address, or it is said that none is to be had: never
// that the offer is at fault.
func TestAnswerWithoutDescriptors(t *testing.T) {
	s := newServer(t, peer.Options{})
	offer, err := signal.ParseOffer(signaltest.Offer())
	if err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Skip(err)
	}
	few := syscall.Rlimit{Cur: 256, Max: old.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Skip(err)
	}
	var taken []*os.File
	defer func() {
		for _, f := range taken {
			f.Close()
		}
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
	}()
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		taken = append(taken, f)
	}
	answered, exhausted := 0, 0
	for left := range 12 {
		p, err := s.network.Answer(t.Context(), offer, nil)
		switch {
		case err == nil && strings.Contains(p.Answer(), "a=candidate:"):
			answered++
		case err == nil:
			t.Errorf("with %d descriptors the answer has no candidate", left)
		case errors.Is(err, peer.ErrExhausted):
			exhausted++
		default:
			t.Errorf("with %d descriptors: %v", left, err)
		}
		if p != nil {
			p.Close()
		}
		taken[0].Close()
		taken = taken[1:]
	}
	if answered == 0 || exhausted == 0 {
		t.Errorf("%d answered, %d not", answered, exhausted)
	}
}

// What pion says of an offer that it refuses is not for clients.
func TestRefusalHidesTheLibrary(t *testing.T) {
	s := newServer(t, peer.Options{})
	for _, c := range []struct{ old, new string }{
		{"a=rtpmap:97 rtx/90000", "a=rtpmap:97 rtx/odd"},
		{"a=fmtp:97 apt=96", "a=fmtp:97 apt=odd"},
		{"a=sctp-port:5000", "a=sctp-port:odd"},
		{"a=ice-options:trickle", "a=ice-options:trickle\r\na=ssrc:odd"},
		{"a=mid:1", "a=mid:1\r\na=extmap:odd odd"},
		{"a=sendonly\r\na=rtcp-mux\r\na=rtpmap:96", "a=sendonly\r\na=rtcp-mux\r\na=ssrc-group:FID 1 2\r\n" +
			"a=ssrc:1 x\r\na=ssrc:2 x\r\n" +
			"a=ssrc-group:SIM 3 4\r\na=ssrc:3 msid:a b\r\na=ssrc:4 msid:a b\r\na=rtpmap:96"},
		{"m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 9 UDP/DTLS/SCTP odd"},
	} {
		text := strings.ReplaceAll(signaltest.Offer(), c.old, c.new)
		if text == signaltest.Offer() {
			t.Fatalf("%q is not in the offer", c.old)
		}
		p, err := answer(t.Context(), s.network, text)
		var offer *peer.OfferError
		if errors.As(err, &offer) {
			t.Logf("%s: %v", c.new, err)
			if !strings.HasPrefix(err.Error(), "the offer can't be answered: it contradicts itself") {
				t.Errorf("%s: %v", c.new, err)
			}
		}
		if p != nil {
			p.Close()
		}
	}
}
