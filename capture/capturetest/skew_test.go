package capturetest_test

import (
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/capturetest"
	"tandem/pipeline"
)

// measure runs a source through the pipeline and measures its skew.
func measure(t *testing.T, src capture.Source) *capturetest.SkewMeter {
	t.Helper()
	var m capturetest.SkewMeter
	spec := pipeline.Spec{
		Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond,
		VideoFrames: 8, CropSize: 8, Channels: 1, CropMargin: 2,
	}
	o := pipeline.Options{OnFrame: m.Frame, OnSamples: m.Samples}
	err := pipeline.Cut(t.Context(), src, nil, spec, o, func(*pipeline.Window) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestSkewMeter(t *testing.T) {
	ms := time.Millisecond
	for _, skew := range []time.Duration{0, 40 * ms, -40 * ms, 120 * ms, -250 * ms, 400 * ms} {
		src := capture.NewPattern(capture.PatternOptions{
			Width: 64, Height: 64, Duration: 8 * time.Second, Skew: []capture.SkewStep{{Delay: skew}},
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
		Skew: []capture.SkewStep{{From: 3500 * ms, Delay: 80 * ms}, {From: 7500 * ms, Delay: -120 * ms}},
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
