package peer

import (
	"testing"
	"time"
)

// SetICETimes changes when ICE gives up, for one test.
func SetICETimes(t *testing.T, disconnected, failed, keepAlive time.Duration) {
	old := times
	times = iceTimes{disconnected, failed, keepAlive}
	t.Cleanup(func() { times = old })
}
