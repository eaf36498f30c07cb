package webrtc

import (
	"sync"
	"time"
)

// loadTime is the time over which the load is measured, at least.
const loadTime = 3 * time.Second

// loadMeter measures which share of the recognizer's time is used. The zero value begins with 0.
type loadMeter struct {
	busy func() time.Duration // infer.Batcher.Busy

	mu   sync.Mutex
	at   time.Time
	then time.Duration // busy at that time
	load float64
}

// measure returns the share over the last loadTime or more that had passed when it was last measured, 0 to 1.
func (l *loadMeter) measure(now time.Time) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.IsZero() {
		l.at, l.then = now, l.busy()
	}
	if passed := now.Sub(l.at); passed >= loadTime {
		busy := l.busy()
		l.load = min(max(float64(busy-l.then)/float64(passed), 0), 1)
		l.at, l.then = now, busy
	}
	return l.load
}

// Load returns the share of the recognizer's time that was used in the last seconds, 0 to 1. At 1 windows wait, and
// soon are dropped. Who asks decides over which time: from one call to the next, but three seconds at least.
func (s *Server) Load() float64 { return s.load.measure(time.Now()) }
