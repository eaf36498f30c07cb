package peer

import (
	"testing"
	"time"
)

// SetICETimes sets when ICE gives up, for one test.
func SetICETimes(t *testing.T, disconnected, failed, keepAlive time.Duration) {
	old := times
	times = iceTimes{disconnected, failed, keepAlive}
	t.Cleanup(func() { times = old })
}

// Candidates returns the number of candidates of the client that are in use in the current ICE session.
func (p *Peer) Candidates() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.candidates
}

// KeepFirstStream is keepFirstStream for tests.
var KeepFirstStream = keepFirstStream
