package pipeline

import (
	"context"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/capturetest"
)

// The flash and the beep come out in the same window, within one frame of each other. With a tick of 40 ms the
// crops of a window show every picture at 25 a second.
func TestFlashAndBeepInOneWindow(t *testing.T) {
	const beepBlock = capture.SampleRate / 400
	spec := testSpec
	spec.VideoFrames = 64
	for _, skew := range []time.Duration{0, 80 * time.Millisecond} {
		src := capture.NewPattern(capture.PatternOptions{
			Width: 64, Height: 64,
			Skew: []capture.SkewStep{{Delay: skew}},
		})
		// The "face" is the strip that flashes.
		strip := finderFunc(func(context.Context, *capture.Frame, int) ([]Face, error) {
			return []Face{faceAt(32, 3, 6)}, nil
		})
		pairs := 0
		for _, w := range cutAll(t, src, strip, spec, Options{}) {
			var flashes, beeps []time.Duration
			bright := func(slot int) bool { return w.Video[slot*64+32] > 128 }
			for i := 1; i < 64; i++ {
				if bright(i) && !bright(i-1) {
					flashes = append(flashes, spec.FaceTick()*(w.End/spec.FaceTick()-63+time.Duration(i)))
				}
			}
			loud := func(i int) bool { return capturetest.BeepLevel(w.Audio[i:i+beepBlock]) > 0.4 }
			for i := beepBlock; i+beepBlock <= len(w.Audio); i += beepBlock {
				if loud(i) && !loud(i-beepBlock) {
					beeps = append(beeps, w.Start+timeOf(int64(i)))
				}
			}
			for _, f := range flashes {
				if f < w.Start+200*time.Millisecond || f > w.End-200*time.Millisecond {
					continue // its beep may be in another window
				}
				found := false
				for _, b := range beeps {
					found = found || (b-skew-f).Abs() <= 40*time.Millisecond
				}
				if !found {
					t.Errorf("skew %v, window %v: a flash at %v, beeps at %v", skew, w.End, f, beeps)
				}
				pairs++
			}
		}
		if pairs < 40 {
			t.Errorf("only %d flashes in all windows", pairs)
		}
	}
}
