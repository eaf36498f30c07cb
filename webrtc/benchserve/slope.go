package main

import (
	"cmp"
	"math"
	"slices"
)

// slope is how a quantity grows: in percent of its level an hour, with an interval of 95 %. The interval is infinite
// where there are too few points to tell.
type slope struct{ level, perHour, lo, hi float64 }

// blocks is how many points a slope is fitted to, each the median of as many samples: samples that follow each other
// are not independent, since a heap grows and is collected over many of them.
const blocks = 24

// minBlocks are the points below which there is no interval.
const minBlocks = 8

// growth fits a slope to a quantity over hours, by the median of the slopes between all pairs of points (Theil 1950),
// with the interval by Kendall's tau (Sen 1968, section 4).
func growth(hours, values []float64) slope {
	x, y := inBlocks(hours), inBlocks(values)
	s := slope{median(values), math.NaN(), math.Inf(-1), math.Inf(1)}
	var pairs []float64
	for i := range x {
		for j := range i {
			if x[i] > x[j] {
				pairs = append(pairs, 100*(y[i]-y[j])/(x[i]-x[j])/cmp.Or(s.level, 1))
			}
		}
	}
	if len(pairs) == 0 {
		return s
	}
	slices.Sort(pairs)
	s.perHour = median(pairs)
	if n := float64(len(x)); n >= minBlocks {
		apart := 1.96 * math.Sqrt(n*(n-1)*(2*n+5)/18) // of the ranks of the interval's ends
		first := int((float64(len(pairs)) - apart) / 2)
		s.lo, s.hi = pairs[max(first-1, 0)], pairs[min(len(pairs)-first, len(pairs)-1)]
	}
	return s
}

// verdict says whether a quantity is flat: whether all of the interval is below a bound, in percent an hour.
func (s slope) verdict(bound float64) string {
	switch {
	case s.hi <= bound:
		return "flat"
	case s.lo > bound:
		return grows
	}
	return untold
}

// Verdicts that are looked for.
const (
	grows  = "GROWS"
	untold = "not told: run for longer"
)

// inBlocks returns the medians of as many parts of equal length as there are blocks; all values if they are fewer.
func inBlocks(v []float64) (out []float64) {
	n := min(blocks, len(v))
	for i := range n {
		out = append(out, median(v[i*len(v)/n:(i+1)*len(v)/n]))
	}
	return out
}

// median returns the middle one, or the mean of both in the middle; not a number of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
