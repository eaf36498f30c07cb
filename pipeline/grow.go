package pipeline

import (
	"errors"
	"fmt"
	"math"
	"time"

	"tandem/capture"
)

// ErrTooShort is the error of a recording of which there is less than LeastCovered.
var ErrTooShort = errors.New("too short to recognise")

// growth is how the windows of a timeline begin where the model reads windows that begin empty: the first is cut after
// from, of what is there, and then one each hop until one is full. So it is again after a gap that emptied whole
// windows. The zero value grows nothing.
type growth struct {
	from    time.Duration // 0: all windows are full
	windows int64         // how many end before the first full one
	lost    bool          // nothing was there until now
	begin   time.Duration // when that which is there began
}

// newGrowth returns how a source's windows grow; stills have no time to.
func newGrowth(spec Spec, info capture.Info, from time.Duration) growth {
	if !spec.Partial || info.Still || from <= 0 {
		return growth{}
	}
	g := growth{from: min(from, spec.Window), lost: true}
	// One that ends right before the first full one would tell nothing new.
	for g.from+time.Duration(g.windows)*spec.Hop <= spec.Window-spec.Hop/2 {
		g.windows++
	}
	return g
}

// begun returns when the media that are held began, or those before them without a gap that emptied a window.
func (a *aligner) begun() time.Duration {
	g := &a.grows
	if !g.lost || len(a.chunks)+len(a.ticked) == 0 {
		return g.begin
	}
	g.lost, g.begin = false, math.MaxInt64
	if len(a.chunks) > 0 {
		g.begin = timeOf(a.chunks[0].start)
	}
	if len(a.ticked) > 0 {
		g.begin = min(g.begin, a.tickTime(a.ticked[0]))
	}
	if g.begin < a.spec.Hop {
		g.begin = 0 // a source's modalities begin together, but for some buffers
	}
	return g.begin
}

// cutLast gives a source that ended before it filled a window one that ends with it, unless the one before nearly did.
// A file of which there is too little is an error; a live source that ends so soon has just been left.
func (a *aligner) cutLast() error {
	if a.cuts > 0 && a.nextCut > 0 {
		return nil
	}
	end := a.audio.mark
	if a.video.seen {
		end = max(end, a.video.mark+a.video.period)
	}
	if a.cuts > 0 && end-timeOf(a.lastCut) < a.spec.Hop/2 {
		return nil
	}
	if err := a.tickTo(end); err != nil {
		return err
	}
	if there := end - a.begun(); there < LeastCovered {
		if a.info.Live {
			return nil
		}
		return &SourceError{a.info.Name, fmt.Errorf("pipeline: %s: %w: %.2f s of media, and an answer takes %.1f s",
			a.info.Name, ErrTooShort, there.Seconds(), LeastCovered.Seconds())}
	}
	return a.cut(end, true)
}
