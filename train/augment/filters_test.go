package augment

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/capture"
	"tandem/train/traintest"
)

func TestResample(t *testing.T) {
	src := traintest.Sine(500, windowSamples)
	dst := make([]float32, len(src))
	resample(dst, src, 0, 1)
	if !slices.Equal(dst, floats(src)) {
		t.Error("no shift and speed 1 change the sound")
	}
	resample(dst, src, 100, 1)
	if !slices.Equal(dst[:len(dst)-100], floats(src)[100:]) || meanPower(dst[len(dst)-98:]) != 0 {
		t.Error("a shift of 100 samples does not shift by 100 samples, silent behind")
	}
	resample(dst, src, 0, 1.05)
	traintest.Near(t, "amplitude at 525 Hz", amplitude(dst[2000:34000], 525), 0.5, 0.01)
	traintest.Near(t, "amplitude at 500 Hz", amplitude(dst[2000:34000], 500), 0, 0.01)
}

func TestPeaking(t *testing.T) {
	for _, tc := range []struct{ hz, db float64 }{{1000, 6}, {1000, -6}, {4000, 8}} {
		for _, at := range []struct{ hz, want float64 }{{tc.hz, decibels(tc.db)}, {tc.hz / 20, 1}} {
			x := floats(traintest.Sine(at.hz, windowSamples))
			peaking(x, tc.hz, 1, tc.db)
			traintest.Near(t, "gain", amplitude(x[8000:], at.hz)/0.5, at.want, 0.03)
		}
	}
}

func TestTilt(t *testing.T) {
	for _, hz := range []float64{100, 4000, 7000} {
		x := floats(traintest.Sine(hz, windowSamples))
		tilt(x, 0.4)
		want := cmplx.Abs(1+0.4*cmplx.Rect(1, -2*math.Pi*hz/capture.SampleRate)) / math.Sqrt(1.16)
		traintest.Near(t, "gain", amplitude(x[1600:], hz)/0.5, want, 0.01)
	}
}

func TestNoiseLevelAndColour(t *testing.T) {
	for _, pink := range []bool{false, true} {
		clean := floats(traintest.Sine(300, windowSamples))
		x := slices.Clone(clean)
		AddNoise(x, 10, pink, rand.New(rand.NewPCG(5, 6)))
		for i := range x {
			x[i] -= clean[i]
		}
		traintest.Near(t, "noise level dB", 10*math.Log10(meanPower(clean)/meanPower(x)), 10, 0.01)
		// Power in the octaves about 125 and 4000 Hz, five octaves apart: white rises 3 dB an octave, pink is level.
		low, high := band(x, 88, 177), band(x, 2828, 5657)
		rise := 10 * math.Log10(high/low)
		if want := map[bool]float64{false: 15, true: 0}[pink]; math.Abs(rise-want) > 3 {
			t.Errorf("pink %v: an octave at 4 kHz has %.1f dB more than one at 125 Hz, want %.0f", pink, rise, want)
		}
	}
}

// band is the power of x between two frequencies, by probing 200 of them over short blocks.
func band(x []float32, lo, hi float64) float64 {
	sum := 0.0
	const probes = 100
	for b := 0; b+8192 <= len(x); b += 8192 {
		for i := range probes {
			a := amplitude(x[b:b+8192], lo+(hi-lo)*(float64(i)+.5)/probes)
			sum += a * a
		}
	}
	return sum * (hi - lo)
}

// amplitude is that of one frequency in x.
func amplitude(x []float32, hz float64) float64 {
	var sum complex128
	for i, v := range x {
		sum += complex(float64(v), 0) * cmplx.Rect(1, -2*math.Pi*hz*float64(i)/capture.SampleRate)
	}
	return 2 * cmplx.Abs(sum) / float64(len(x))
}

func floats(s []int16) []float32 {
	x := make([]float32, len(s))
	for i, v := range s {
		x[i] = float32(v) / 32768
	}
	return x
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
