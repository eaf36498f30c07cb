package pipeline

import (
	"testing"
	"time"

	"tandem/capture"
)

// losingSource is a live source that goes on losing pictures while it is asked.
type losingSource struct {
	*fakeSource
	lost int
}

func (s *losingSource) Drops() capture.Drops {
	s.lost++
	return capture.Drops{Frames: s.lost, Samples: 10 * s.lost}
}

// What was lost in all is the sum of its causes, though the source loses more between two looks at it.
func TestStatsReadDropsOnce(t *testing.T) {
	src := &losingSource{fakeSource: file(4*time.Second, true, true)}
	_, stats := runAll(t, src, oneFace, newRec(), Options{})
	sum := stats.Slow
	sum.Windows += stats.BySource.Windows + stats.Late.Windows
	sum.Frames += stats.BySource.Frames + stats.Late.Frames
	sum.Samples += stats.BySource.Samples + stats.Late.Samples
	if stats.Dropped != sum || stats.BySource.Frames == 0 {
		t.Errorf("dropped %+v in all, and %+v by cause", stats.Dropped, sum)
	}
}
