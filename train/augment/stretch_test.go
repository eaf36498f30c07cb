package augment

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/capture"
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

func TestReverbFallsBy60dB(t *testing.T) {
	const seconds = 0.5
	x := make([]float32, 2*capture.SampleRate)
	x[0] = 1
	reverb(x, seconds, 1, rand.New(rand.NewPCG(1, 2)))
	if x[0] != 1 {
		t.Errorf("the sound itself became %g", x[0])
	}
	// Energy from a time on (Schroeder's backward integration) falls by 60 dB in the given time.
	tail := func(s float64) float64 {
		sum := 0.0
		for _, v := range x[int(s*capture.SampleRate):] {
			sum += float64(v) * float64(v)
		}
		return 10 * math.Log10(sum)
	}
	traintest.Near(t, "fall in dB from 0.1 s to 0.6 s", tail(0.1)-tail(0.6), 60, 4)
	silent := make([]float32, 1000)
	reverb(silent, seconds, 1, rand.New(rand.NewPCG(1, 2)))
	if meanPower(silent) != 0 {
		t.Error("silence echoes")
	}
}

func TestMaskBandTakesABandOut(t *testing.T) {
	for hz, inside := range map[float64]bool{1000: true, 820: true, 1200: true, 250: false, 4000: false} {
		x := floats(traintest.Sine(hz, windowSamples))
		maskBand(x, 1000, 1)
		gain := amplitude(x[8000:], hz) / 0.5
		if inside && gain > 0.1 || !inside && gain < 0.8 {
			t.Errorf("a tone of %g Hz passes a mask of an octave about 1000 Hz by %.3f", hz, gain)
		}
	}
}

// Every variation that the default leaves out can be turned on, changes the sound and keeps its bounds.
func TestSoundAugmentTakesEachVariation(t *testing.T) {
	src := traintest.Sine(220, windowSamples)
	none := Audio{Chance: 1}
	plain := make([]float32, len(src))
	none.Apply(plain, src, rand.New(rand.NewPCG(3, 3)))
	if !slices.Equal(plain, floats(src)) {
		t.Error("no variation changes the sound")
	}
	for name, a := range map[string]Audio{
		"shift": {Shift: 0.1}, "speed": {Speed: 0.1}, "tempo": {Tempo: 0.2}, "pitch": {Pitch: 3}, "equalizer": {Equalizer: 8}, "reverb": {Reverb: 1},
		"snr": {SNR: [2]float64{5, 10}}, "mask_time": {MaskTime: 0.5}, "mask_band": {MaskBand: 2}, "gain": {Gain: [2]float64{-12, -6}},
	} {
		if err := a.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		a.Chance = 1
		x := make([]float32, len(src))
		a.Apply(x, src, rand.New(rand.NewPCG(3, 3)))
		if slices.Equal(x, plain) {
			t.Errorf("%s changes nothing", name)
		}
		if slices.ContainsFunc(x, func(v float32) bool { return !(v >= -1 && v <= 1) }) {
			t.Errorf("%s leaves [-1, 1]", name)
		}
	}
}
