package webrtc

import (
	"testing"
	"time"
	"unsafe"
)

// setClock returns a time as time.Now would give it after the machine's clock was set by some seconds: the reading of
// the monotonic clock is the same. What a Time holds above its 30 bits of nanoseconds are the seconds.
func setClock(now time.Time, seconds int64) time.Time {
	*(*uint64)(unsafe.Pointer(&now)) += uint64(seconds << 30)
	return now
}

// A machine whose clock is set meanwhile doesn't take a session for idle, nor an idle one for one that sends.
func TestInstantWhenTheClockIsSet(t *testing.T) {
	now := time.Now()
	if set := setClock(now, 3600); set.Round(0).Sub(now.Round(0)) != time.Hour || set.Sub(now) != 0 {
		t.Fatal("the clock was not set: a Time is made otherwise now")
	}
	for _, seconds := range []int64{3600, -3600} {
		var i instant
		if _, seen := i.ago(now); seen {
			t.Error("it was seen before it was")
		}
		i.mark(now)
		ago, seen := i.ago(setClock(now.Add(5*time.Second), seconds))
		if !seen || ago != 5*time.Second {
			t.Errorf("clock set by %d s: %v, %v", seconds, ago, seen)
		}
	}
}
