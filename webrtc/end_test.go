package webrtc

import (
	"testing"

	"tandem/webrtc/peer"
)

// The end event is waited for where a client is that may take it: one that is connected, and one whose media came
// before the connection's state was told. A session ends so a few milliseconds after its first packet.
func TestEndBound(t *testing.T) {
	for _, c := range []struct {
		state  peer.State
		tracks int
		sends  bool
		waits  bool
	}{
		{peer.Connected, 0, false, true},
		{peer.Connected, 2, false, true},
		{peer.Connecting, 1, false, true},
		{peer.Connecting, 0, false, false},
		{peer.Disconnected, 1, false, false},
		{peer.Disconnected, 1, true, true},
		{peer.Failed, 1, true, false},
		{peer.Closed, 1, true, false},
	} {
		if got := endBound(c.state, c.tracks, c.sends); (got > 0) != c.waits {
			t.Errorf("%v with %d tracks: %v", c.state, c.tracks, got)
		}
	}
}
