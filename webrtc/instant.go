package webrtc

import (
	"sync/atomic"
	"time"
)

// instant is when something was last seen, by the monotonic clock: the machine's clock may be set meanwhile.
type instant struct{ at atomic.Pointer[time.Time] }

// mark notes that it is seen now.
func (i *instant) mark(now time.Time) { i.at.Store(&now) }

// ago returns for how long it has not been seen; false and 0 if it never was.
func (i *instant) ago(now time.Time) (time.Duration, bool) {
	at := i.at.Load()
	if at == nil {
		return 0, false
	}
	return now.Sub(*at), true
}
