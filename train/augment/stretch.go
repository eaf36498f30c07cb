package augment

import (
	"math"
	"math/rand/v2"

	"tandem/capture"
)

// stretch plays src at a rate without changing its pitch: waveform-similarity overlap-add (Verhelst and Roelands 1993). Frames of
// 32 ms are laid over each other at half their length; each is taken near where the rate says, at that place whose beginning
// best goes on from the frame before.
func stretch(src []int16, rate float64) []int16 {
	const (
		frame  = 512
		hop    = frame / 2
		search = 120 // samples either way: half a period of the lowest voices
	)
	n := int(math.Round(float64(len(src)) / rate))
	if len(src) < 2*frame || n < frame {
		return src
	}
	at := func(i int) float32 {
		if uint(i) >= uint(len(src)) {
			return 0
		}
		return float32(src[i])
	}
	sum := make([]float32, n+frame)
	from := 0
	for k := 0; k*hop < n; k++ {
		if k > 0 {
			next := from + hop // where the frame before goes on
			ideal := int(math.Round(float64(k*hop) * rate))
			best, most := 0, math.Inf(-1)
			for off := -search; off <= search; off += 2 {
				var dot, power float64
				for i := 0; i < hop; i += 4 {
					a, b := at(ideal+off+i), at(next+i)
					dot += float64(a * b)
					power += float64(a * a)
				}
				if like := dot / math.Sqrt(power+1); like > most {
					best, most = off, like
				}
			}
			from = ideal + best
		}
		for i := range frame {
			h := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/frame) // two of these, half a frame apart, add to one
			if k == 0 && i < hop {
				h = 1
			}
			sum[k*hop+i] += float32(h) * at(from+i)
		}
	}
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(min(max(math.Round(float64(sum[i])), math.MinInt16), math.MaxInt16))
	}
	return out
}

// reverb adds to x the echoes of a room in which they fall by 60 dB in so many seconds: four feedback combs side by side, then two
// all-passes (Schroeder 1962, "Natural sounding artificial reverberation"). wet is their amplitude beside the sound itself.
func reverb(x []float32, seconds, wet float64, rng *rand.Rand) {
	echo := make([]float32, len(x))
	for range 4 {
		delay := int(uniform(rng, 0.030, 0.045) * capture.SampleRate)
		g := float32(math.Pow(10, -3*float64(delay)/capture.SampleRate/seconds))
		line := make([]float32, delay)
		scale := float32(math.Sqrt(float64(1-g*g))) / 2 // each comb, and the four together, at the power of what goes in
		for i, v := range x {
			k := i % delay
			echo[i] += scale * line[k]
			line[k] = v + g*line[k]
		}
	}
	for _, ms := range []float64{5, 1.7} {
		const g = 0.7
		line := make([]float32, int(ms*capture.SampleRate/1000))
		for i, v := range echo {
			k := i % len(line)
			y := line[k] - g*v
			line[k] = v + g*y
			echo[i] = y
		}
	}
	for i := range x {
		x[i] += float32(wet) * echo[i]
	}
}

// maskBand takes a band out of x: what masking channels of a spectrogram does (SpecAugment, Park et al. 2019), before there is
// one. It is three notches side by side (R. Bristow-Johnson's cookbook), each a third of the octaves wide.
func maskBand(x []float32, centre, octaves float64) {
	for i := -1; i <= 1; i++ {
		w := 2 * math.Pi * centre * math.Pow(2, float64(i)*octaves/3) / capture.SampleRate
		if w >= math.Pi {
			continue
		}
		alpha := math.Sin(w) * math.Sinh(math.Ln2/2*octaves*w/math.Sin(w))
		a0 := 1 + alpha
		b0, b1, a2 := float32(1/a0), float32(-2*math.Cos(w)/a0), float32((1-alpha)/a0)
		var s1, s2 float32 // transposed direct form II; its b2 is b0 and its a1 is b1
		for i, v := range x {
			y := b0*v + s1
			s1 = b1*(v-y) + s2
			s2 = b0*v - a2*y
			x[i] = y
		}
	}
}
