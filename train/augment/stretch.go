package augment

import (
	"math"
)

// stretch returns src played at a rate without changing its pitch: waveform-similarity overlap-add (Verhelst and
// Roelands 1993). Frames of 32 ms are laid over each other at half their length; each is taken near where the rate
// says, at that place whose beginning best goes on from the frame before.
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
