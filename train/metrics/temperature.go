package metrics

import (
	"math"
)

// PowerNormalize returns each probability to a power, made to sum to 1: temperature scaling by T is the power 1/T,
// since softmax(z/T) is softmax(z)^(1/T) made to sum to 1.
func PowerNormalize(p []float32, power float64) []float32 {
	out := make([]float32, len(p))
	raised, sum := make([]float64, 0, 16), 0.0
	for _, v := range p {
		r := 0.0
		if v > 0 {
			r = math.Exp(power * math.Log(float64(v))) // takes half as long as math.Pow
		}
		raised = append(raised, r)
		sum += r
	}
	for i, r := range raised {
		out[i] = float32(r / sum)
	}
	return out
}

// The range of temperatures that FitTemperature looks at.
const (
	minTemperature = 0.05
	maxTemperature = 20
)

// Calibrated is an item that a temperature is fitted by.
type Calibrated struct {
	Logits []float32 // by class
	Truth  int       // negative: not known, and the item does not count
	Weight float64   // such as one by the number of a clip's windows, so that each clip counts once
}

// Pull returns how strongly FitTemperature holds a temperature of n clips to where it is expected: 10 (1 - n/100), and
// at least 1. A few clips that are all right would otherwise take it to the end of its range, and every answer to a
// probability of 1.
func Pull(n int) float64 { return max(1, 10*(1-float64(n)/100)) }

// FitTemperature returns the temperature T, in [0.05, 20], that minimises the NLL of softmax(logits/T) (Guo et al.
// 2017), summed over the items by their weights, plus pull/2 (ln T - ln expected)²: as if ln T were drawn from a normal
// distribution of variance 1/pull around that of expected. Without an item whose truth is known it is expected.
func FitTemperature(items []Calibrated, expected, pull float64) float64 {
	known := false
	for _, item := range items {
		known = known || item.Truth >= 0
	}
	if !known {
		return expected
	}
	center := math.Log(expected)
	at := func(logT float64) float64 {
		return temperatureNLL(items, math.Exp(logT)) + pull/2*(logT-center)*(logT-center)
	}
	// The NLL is convex in 1/T and the rest in ln T, so that their sum may have several minima: the least of a grid
	// first, then golden-section search between its neighbours.
	const steps = 24
	lo, hi := math.Log(minTemperature), math.Log(maxTemperature)
	step := (hi - lo) / steps
	best := lo
	for i := range steps {
		if next := lo + float64(i+1)*step; at(next) < at(best) {
			best = next
		}
	}
	return math.Exp(leastBetween(at, max(lo, best-step), min(hi, best+step)))
}

// leastBetween returns where a function with one minimum between lo and hi has it, to 1e-4.
func leastBetween(f func(float64) float64, lo, hi float64) float64 {
	golden := (math.Sqrt(5) - 1) / 2
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := f(a), f(b)
	for hi-lo > 1e-4 {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = f(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = f(b)
		}
	}
	return (lo + hi) / 2
}

// temperatureNLL returns the NLL of softmax(logits/T), summed by weight.
func temperatureNLL(items []Calibrated, temperature float64) float64 {
	sum := 0.0
	for _, item := range items {
		if item.Truth < 0 {
			continue
		}
		top := math.Inf(-1)
		for _, z := range item.Logits {
			top = max(top, float64(z)/temperature)
		}
		total := 0.0
		for _, z := range item.Logits {
			total += math.Exp(float64(z)/temperature - top)
		}
		sum += item.Weight * (top + math.Log(total) - float64(item.Logits[item.Truth])/temperature)
	}
	return sum
}
