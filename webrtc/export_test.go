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

// SetWriteTime sets how long a reader may take nothing of the answers of servers made after, for one test.
func SetWriteTime(t *testing.T, d time.Duration) {
	old := writeTime
	writeTime = d
	t.Cleanup(func() { writeTime = old })
}

// Causes returns the labels of all reasons for which sessions end.
func Causes() []string {
	all := []string{otherReason}
	for _, r := range reasons {
		all = append(all, r.label)
	}
	return all
}
