package webrtc

import (
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	var busy time.Duration
	l := loadMeter{busy: func() time.Duration { return busy }}
	now := time.Now()
	for i, step := range []struct {
		passed, busy time.Duration
		want         float64
	}{
		{0, 0, 0},
		{loadTime / 2, loadTime / 2, 0}, // too soon to tell
		{loadTime / 2, 0, 0.5},
		{loadTime, loadTime * 2, 1}, // batches count when they end, so that a long one may count for more
		{10 * loadTime, loadTime, 0.1},
		{loadTime, 0, 0},
	} {
		now, busy = now.Add(step.passed), busy+step.busy
		if got := l.measure(now); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}
