package augment

import (
	"math"
	"slices"
	"testing"

	"tandem/train/traintest"
)

func TestStretchChangesTempoAndKeepsPitch(t *testing.T) {
	// A tone of 200 Hz that is loud in its second quarter only.
	src := traintest.Sine(200, windowSamples)
	for i := range src {
		if q := 4 * i / len(src); q != 1 {
			src[i] /= 16
		}
	}
	for _, rate := range []float64{0.8, 1, 1.25} {
		out := stretch(src, rate)
		if want := float64(len(src)) / rate; math.Abs(float64(len(out))-want) > 1 {
			t.Errorf("rate %g: %d samples, want %.0f", rate, len(out), want)
		}
		x := floats(out)
		quarter := len(x) / 4
		loud := x[quarter+2000 : 2*quarter-2000]
		traintest.Near(t, "amplitude at 200 Hz where it is loud", amplitude(loud, 200), 0.5, 0.05)
		traintest.Near(t, "amplitude where it is soft", amplitude(x[3*quarter:], 200), 0.5/16, 0.01)
	}
	if short := traintest.Sine(200, 100); !slices.Equal(stretch(short, 2), short) {
		t.Error("a sound too short to stretch is changed")
	}
}

func TestPitchKeepsLengthAndTempo(t *testing.T) {
	src := traintest.Sine(200, windowSamples)
	dst := make([]float32, len(src))
	const up = 1.2
	resample(dst, stretch(src, 1/up), 0, up)
	middle := dst[4000 : len(dst)-4000]
	traintest.Near(t, "amplitude at 240 Hz", amplitude(middle, 240), 0.5, 0.05)
	traintest.Near(t, "amplitude at 200 Hz", amplitude(middle, 200), 0, 0.03)
	if rms := math.Sqrt(meanPower(dst[:4000])); rms < 0.25 {
		t.Errorf("the beginning has level %.3f: it should sound from end to end", rms)
	}
}
