package metrics

import (
	"math"
)

// PowerNormalize returns each probability to a power, made to sum to 1: temperature scaling by T is the power 1/T,
// since softmax(z/T) is softmax(z)^(1/T) made to sum to 1.
func PowerNormalize(p []float32, power float64) []float32 {
	out := make([]float32, len(p))
	sum := 0.0
	for _, v := range p {
		sum += math.Pow(float64(v), power)
	}
	for i, v := range p {
		out[i] = float32(math.Pow(float64(v), power) / sum)
	}
	return out
}

// The range of temperatures that FitTemperature looks at.
const (
	minTemperature = 0.05
	maxTemperature = 20
)

// FitTemperature returns the temperature T that minimises the NLL of softmax(logits/T) (Guo et al. 2017), in [0.05,
// 20]; items whose truth is negative do not count, and without any it is 1. Logits are [item][class].
func FitTemperature(logits [][]float32, truth []int) float64 {
	known := false
	for _, t := range truth {
		known = known || t >= 0
	}
	if !known {
		return 1
	}
	// The NLL is convex in 1/T, so it has one minimum over log T, which golden-section search closes in on.
	at := func(logT float64) float64 { return temperatureNLL(logits, truth, math.Exp(logT)) }
	golden := (math.Sqrt(5) - 1) / 2
	lo, hi := math.Log(minTemperature), math.Log(maxTemperature)
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := at(a), at(b)
	for hi-lo > 1e-4 {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = at(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = at(b)
		}
	}
	return math.Exp((lo + hi) / 2)
}

// temperatureNLL returns the mean NLL of softmax(logits/T).
func temperatureNLL(logits [][]float32, truth []int, temperature float64) float64 {
	sum, n := 0.0, 0
	for i, t := range truth {
		if t < 0 {
			continue
		}
		top := math.Inf(-1)
		for _, z := range logits[i] {
			top = max(top, float64(z)/temperature)
		}
		total := 0.0
		for _, z := range logits[i] {
			total += math.Exp(float64(z)/temperature - top)
		}
		sum += top + math.Log(total) - float64(logits[i][t])/temperature
		n++
	}
	return sum / float64(n)
}
