package webrtc

import (
	"testing"
	"time"

	"tandem/webrtc/peer"
)

func TestOverdue(t *testing.T) {
	const idle = 30 * time.Second
	for _, c := range []struct {
		name           string
		state          peer.State
		lasted, silent time.Duration
		want           error
	}{
		{"media comes", peer.Connected, time.Hour, time.Second, nil},
		{"no media yet", peer.Connecting, 10 * time.Second, 0, nil},
		{"idle", peer.Connected, 31 * time.Second, 31 * time.Second, errIdle},
		{"back after an ICE restart", peer.Connected, time.Second, 31 * time.Second, nil},
		{"failed", peer.Failed, 19 * time.Second, 40 * time.Second, nil},
		{"lost", peer.Failed, 21 * time.Second, 40 * time.Second, errLost},
		{"restarts again and again: connected", peer.Connected, time.Second, 51 * time.Second, errIdle},
		{"restarts again and again: connecting", peer.Connecting, time.Second, 51 * time.Second, errIdle},
		{"restarts again and again: failed", peer.Failed, time.Second, 51 * time.Second, errIdle},
	} {
		if got := overdue(c.state, c.lasted, c.silent, idle); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
