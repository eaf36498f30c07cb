package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Bootstrap says how intervals are made: the 95 % percentile interval of a bootstrap (Efron and Tibshirani 1993) that draws whole
// speakers, not clips. Clips of one speaker fail together, so that drawing them one by one would give intervals that are too narrow
// (Field and Welsh 2007). A clip without a known speaker stands for itself.
type Bootstrap struct {
	Resamples int // none gives no intervals
	Seed      uint64
}

// Range is an interval from its lower to its upper end.
type Range [2]float64

// Intervals are the 95 % intervals of Scores.
type Intervals struct {
	Accuracy  Range  `json:"accuracy"`
	UAR       Range  `json:"uar"`
	F1        Range  `json:"f1"`
	NLL       Range  `json:"nll"`
	ECE       Range  `json:"ece"`
	NLLBefore *Range `json:"nll_before,omitempty"`
	ECEBefore *Range `json:"ece_before,omitempty"`
	Drawn
}

// Drawn says what the resamples of a bootstrap were made of.
type Drawn struct {
	By        string `json:"by"`    // bySpeaker, byClip or byBoth
	Units     int    `json:"units"` // how many of these there are
	Resamples int    `json:"resamples"`
}

// The values of Drawn.By; byBoth has speakers, and clips where none is known.
const (
	BySpeaker = "speaker"
	byClip    = "clip"
	byBoth    = "speaker or clip"
)

// clusters divides items into what is drawn as a whole: of[i] is item i's number, of n.
type clusters struct {
	of []int
	n  int
	by string
}

// Unit names what is drawn as a whole: a speaker, or where none is known a clip.
type Unit struct {
	Speaker string
	Clip    any // comparable, and one for each clip; it counts where Speaker is ""
}

// ClustersOf divides items by their units: by speaker where that is known, else by clip.
func ClustersOf(units []Unit) clusters {
	c := clusters{of: make([]int, len(units))}
	number := map[Unit]int{}
	speakers := 0
	for i, u := range units {
		if u.Speaker != "" {
			u.Clip = nil
		}
		at, ok := number[u]
		if !ok {
			at = len(number)
			number[u] = at
			if u.Speaker != "" {
				speakers++
			}
		}
		c.of[i] = at
	}
	c.n = len(number)
	switch speakers {
	case c.n:
		c.by = BySpeaker
	case 0:
		c.by = byClip
	default:
		c.by = byBoth
	}
	return c
}

// Each calls visit with each resample: how often each item is in it.
func (b Bootstrap) Each(c clusters, visit func(times []int)) {
	rng := rand.New(rand.NewPCG(b.Seed, 0))
	drawn := make([]int, c.n)
	times := make([]int, len(c.of))
	for range b.Resamples {
		clear(drawn)
		for range c.n {
			drawn[rng.IntN(c.n)]++
		}
		for i, k := range c.of {
			times[i] = drawn[k]
		}
		visit(times)
	}
}

// Draws tells whether there is an interval: one unit alone says nothing of others.
func (b Bootstrap) Draws(c clusters) bool { return b.Resamples > 0 && c.n > 1 }

func (b Bootstrap) Drawn(c clusters) Drawn { return Drawn{c.by, c.n, b.Resamples} }

// Score judges items and, if there are any, the same items before temperature scaling, with intervals.
func (b Bootstrap) Score(out, before []Verdict, c clusters, classes int) Scores {
	s := NewScores(classes)
	s.Count(out)
	was := NewScores(classes)
	if before != nil {
		was.Count(before)
		s.NLLBefore, s.ECEBefore = new(float64), new(float64)
		*s.NLLBefore, *s.ECEBefore = was.NLL, was.ECE
		s.BinsBefore = slices.Clone(was.Bins)
	}
	if !b.Draws(c) {
		return s
	}
	var v [7][]float64
	again := NewScores(classes)
	b.Each(c, func(times []int) {
		again.Recount(out, times, s.Confusion)
		values := [7]float64{again.Accuracy, again.UAR, again.F1, again.NLL, again.ECE}
		if before != nil {
			was.Recount(before, times, nil)
			values[5], values[6] = was.NLL, was.ECE
		}
		for k := range v {
			v[k] = append(v[k], values[k])
		}
	})
	s.Intervals = &Intervals{MiddleRange(v[0]), MiddleRange(v[1]), MiddleRange(v[2]), MiddleRange(v[3]), MiddleRange(v[4]), nil, nil, b.Drawn(c)}
	if before != nil {
		nll, ece := MiddleRange(v[5]), MiddleRange(v[6])
		s.Intervals.NLLBefore, s.Intervals.ECEBefore = &nll, &ece
	}
	return s
}

// MiddleRange is where the middle 95 % of values lie; it sorts them.
func MiddleRange(values []float64) Range {
	slices.Sort(values)
	return Range{quantile(values, 0.025), quantile(values, 0.975)}
}

// quantile of sorted values, linear between them.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	j := min(i+1, len(sorted)-1)
	return sorted[i] + (at-math.Floor(at))*(sorted[j]-sorted[i])
}
