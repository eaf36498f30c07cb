package agent

import (
	"slices"
	"time"

	"github.com/livekit/protocol/livekit"

	"tandem/pipeline"
)

const (
	// firstLines is the height of the pictures that are asked for while no face is known: in one of a quarter of that
	// the detector finds what a crop can be made of.
	firstLines = 360
	// spare is how much larger than the crop a face shall be.
	spare = 1.25
	// patience is how many windows in turn must want a smaller layer, five seconds, or have no face.
	patience = 20
)

// layers chooses among the layers of a camera that sends several (simulcast, or SVC): the smallest in which the face is
// as large as the crop that the recognizer reads, since what is larger is decoded for nothing.
type layers struct {
	crop    int // side in pixels
	at      time.Duration
	smaller int // windows in turn
	unseen  int
}

// byHeight are the layers that have a size, the smallest first.
func byHeight(all []*livekit.VideoLayer) []*livekit.VideoLayer {
	sized := slices.DeleteFunc(slices.Clone(all), func(l *livekit.VideoLayer) bool {
		return l == nil || l.Height == 0 || l.Width == 0
	})
	slices.SortStableFunc(sized, func(a, b *livekit.VideoLayer) int { return int(a.Height) - int(b.Height) })
	return sized
}

// least returns the smallest of at least so many lines (the shorter side, for a phone held upright), else the largest.
func least(sorted []*livekit.VideoLayer, lines float64) *livekit.VideoLayer {
	for _, l := range sorted {
		if float64(min(l.Height, l.Width)) >= lines {
			return l
		}
	}
	return sorted[len(sorted)-1]
}

// first returns the layer to begin with; nil: there is nothing to choose.
func (c *layers) first(all []*livekit.VideoLayer) *livekit.VideoLayer {
	sorted := byHeight(all)
	if len(sorted) < 2 {
		return nil
	}
	return least(sorted, firstLines)
}

// next returns the layer to change to after a window; nil: none. A larger one is asked for as soon as the face is
// smaller than the crop, a smaller one when it would have done for a while.
func (c *layers) next(all []*livekit.VideoLayer, w *pipeline.WindowEvent) *livekit.VideoLayer {
	sorted := byHeight(all)
	if len(sorted) < 2 || w.T == c.at { // the first subject of each time counts
		return nil
	}
	c.at = w.T
	if w.Face == nil || w.Frame == nil || w.Frame.H == 0 || w.Face.H <= 0 {
		if c.unseen++; c.unseen == patience {
			return least(sorted, firstLines)
		}
		return nil
	}
	c.unseen = 0
	now := float64(w.Frame.H)
	want := least(sorted, spare*float64(c.crop)*float64(min(w.Frame.W, w.Frame.H))/w.Face.H)
	switch {
	case float64(want.Height) < now:
		if c.smaller++; c.smaller < patience {
			return nil
		}
	case float64(want.Height) == now || w.Face.H >= float64(c.crop):
		c.smaller = 0
		return nil
	}
	c.smaller = 0
	return want
}

// layersOf returns a track's simulcast layers.
func layersOf(track *livekit.TrackInfo) []*livekit.VideoLayer {
	//lint:ignore SA1019 servers to 1.11 and later name them here; by codec they may be left out
	return track.GetLayers()
}
