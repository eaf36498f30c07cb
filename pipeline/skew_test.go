package pipeline

import (
	"context"
	"testing"
	"time"

	"tandem/capture"
)

// measure runs a source through the pipeline and measures its skew.
func measure(t *testing.T, src capture.Source) *SkewMeter {
	t.Helper()
	var m SkewMeter
	cutAll(t, src, nil, testSpec, Options{OnFrame: m.Frame, OnSamples: m.Samples})
	return &m
}

func TestSkewMeter(t *testing.T) {
	ms := time.Millisecond
	for _, skew := range []time.Duration{0, 40 * ms, -40 * ms, 120 * ms, -250 * ms, 400 * ms} {
		src := capture.NewPattern(capture.PatternOptions{
			Width: 64, Height: 64, Duration: 8 * time.Second, Skew: []capture.SkewStep{{Sound: skew}},
		})
		got, n := measure(t, src).Skew()
		if d := (got - skew).Abs(); d > 3*ms || n < 6 {
			t.Errorf("skew %v was measured as %v from %d marks", skew, got, n)
		}
	}
}

func TestSkewMeterFollowsSteps(t *testing.T) {
	ms := time.Millisecond
	src := capture.NewPattern(capture.PatternOptions{
		Width: 64, Height: 64, Duration: 12 * time.Second,
		Skew: []capture.SkewStep{{From: 3500 * ms, Sound: 80 * ms}, {From: 7500 * ms, Sound: -120 * ms}},
	})
	marks := measure(t, src).Marks()
	if len(marks) < 10 {
		t.Fatalf("only %d marks", len(marks))
	}
	for _, k := range marks {
		want := time.Duration(0)
		switch {
		case k.Flash > 7500*ms:
			want = -120 * ms
		case k.Flash > 3500*ms:
			want = 80 * ms
		}
		if d := (k.Skew() - want).Abs(); d > 3*ms {
			t.Errorf("at %v: skew %v, want %v", k.Flash, k.Skew(), want)
		}
	}
}

func TestSkewMeterWithoutMarks(t *testing.T) {
	src := capture.NewPattern(capture.PatternOptions{Width: 64, Height: 64, Duration: 5 * time.Second, NoVideo: true})
	if _, n := measure(t, src).Skew(); n != 0 {
		t.Errorf("%d marks without pictures", n)
	}
}

// The flash and the beep come out in the same window, within one frame of each other. With a tick of 40 ms the
// crops of a window show every picture at 25 a second.
func TestFlashAndBeepInOneWindow(t *testing.T) {
	spec := testSpec
	spec.VideoFrames = 64
	for _, skew := range []time.Duration{0, 80 * time.Millisecond} {
		src := capture.NewPattern(capture.PatternOptions{Width: 64, Height: 64, Skew: []capture.SkewStep{{Sound: skew}}})
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
			loud := func(i int) bool { return capture.BeepLevel(w.Audio[i:i+beepBlock]) > 0.4 }
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
