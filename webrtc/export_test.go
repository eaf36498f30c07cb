package webrtc

import (
	"testing"
	"time"
)

// SetDrainTime sets how long servers wait for sessions to end, for one test.
func SetDrainTime(t *testing.T, d time.Duration) {
	old := drainTime
	drainTime = d
	t.Cleanup(func() { drainTime = old })
}
