package pipeline

import "math"

// Level is the level of sound in dB relative to full scale, full scale being an RMS of 1: 0 dBFS is a
// constant of 1, a full-scale sine is -3.01. It is negative infinity for no sound or digital silence.
func Level(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	if sum == 0 {
		return math.Inf(-1)
	}
	return 10 * math.Log10(sum/float64(len(x)))
}

// silent reports whether sound is below a threshold in dBFS. Digital silence always is.
func silent(x []float32, threshold float64) bool {
	l := Level(x)
	return math.IsInf(l, -1) || l < threshold
}

// zeroNonFinite replaces what is not a number or is infinite, which some decoders give for broken packets, by 0: one
// such sample would spoil every window that holds it.
func zeroNonFinite(x []float32) {
	for i, v := range x {
		if v-v != 0 {
			x[i] = 0
		}
	}
}
