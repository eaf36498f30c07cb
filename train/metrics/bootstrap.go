package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Bootstrap says how intervals are made: the 95 % percentile interval of a bootstrap (Efron and Tibshirani 1993) that
// draws whole speakers, not clips. Clips of one speaker fail together, so that drawing them one by one would give
// intervals that are too narrow (Field and Welsh 2007). A clip without a known speaker stands for itself.
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

// Clusters divide items into units that a bootstrap draws as a whole.
type Clusters struct {
	of []int  // the unit of each item, from 0
	n  int    // units
	by string // what Drawn.By says of them
}

// Unit names what is drawn as a whole: a speaker, or where none is known a clip.
type Unit struct {
	Speaker string
	Clip    any // comparable, and one for each clip; it counts where Speaker is ""
}

// ClustersOf divides items by their units, of which there is one an item: by speaker where that is known, else by clip.
func ClustersOf(units []Unit) Clusters {
	c := Clusters{of: make([]int, len(units))}
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

// each calls visit with each resample: how often each item is in it. visit must not keep times.
func (b Bootstrap) each(c Clusters, visit func(times []int)) {
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

// draws reports whether there is an interval: one unit alone says nothing of others.
func (b Bootstrap) draws(c Clusters) bool { return b.Resamples > 0 && c.n > 1 }

// Drawn returns what the resamples of these items are made of.
func (b Bootstrap) Drawn(c Clusters) Drawn { return Drawn{c.by, c.n, b.Resamples} }

// Score returns the scores of items, with intervals, and beside them those of the same items before temperature scaling
// (before, nil where they are not known).
func (b Bootstrap) Score(out, before []Verdict, c Clusters, classes int) Scores {
	s := newScores(classes)
	s.count(out)
	was := newScores(classes)
	if before != nil {
		was.count(before)
		s.NLLBefore, s.ECEBefore = new(float64), new(float64)
		*s.NLLBefore, *s.ECEBefore = was.NLL, was.ECE
		s.BinsBefore = slices.Clone(was.Bins)
	}
	if !b.draws(c) {
		return s
	}
	var v [7][]float64
	again := newScores(classes)
	b.each(c, func(times []int) {
		again.recount(out, times, s.Confusion)
		values := [7]float64{again.Accuracy, again.UAR, again.F1, again.NLL, again.ECE}
		if before != nil {
			was.recount(before, times, nil)
			values[5], values[6] = was.NLL, was.ECE
		}
		for k := range v {
			v[k] = append(v[k], values[k])
		}
	})
	s.Intervals = &Intervals{
		middle(v[0]),
		middle(v[1]),
		middle(v[2]),
		middle(v[3]),
		middle(v[4]),
		nil,
		nil,
		b.Drawn(c),
	}
	if before != nil {
		nll, ece := middle(v[5]), middle(v[6])
		s.Intervals.NLLBefore, s.Intervals.ECEBefore = &nll, &ece
	}
	return s
}

// Difference is a score of one set of answers less that of another, of the same items, with its 95 % interval: both are
// judged by the same resamples.
type Difference struct {
	Difference float64 `json:"difference"`
	Interval   *Range  `json:"interval,omitempty"`
}

// Paired returns by how much the scores of out are above those of other, of the same items in the same order.
func (b Bootstrap) Paired(out, other []Verdict, c Clusters, classes int) (accuracy, uar, nll Difference) {
	x, y := newScores(classes), newScores(classes)
	differences := func(times []int) [3]float64 {
		x.recount(out, times, nil)
		y.recount(other, times, nil)
		return [3]float64{x.Accuracy - y.Accuracy, x.UAR - y.UAR, x.NLL - y.NLL}
	}
	into := [3]*Difference{&accuracy, &uar, &nll}
	for i, d := range differences(nil) {
		into[i].Difference = d
	}
	if !b.draws(c) {
		return accuracy, uar, nll
	}
	var v [3][]float64
	b.each(c, func(times []int) {
		for i, d := range differences(times) {
			v[i] = append(v[i], d)
		}
	})
	for i, d := range into {
		r := middle(v[i])
		d.Interval = &r
	}
	return accuracy, uar, nll
}

// middle returns where the middle 95 % of values lie; it sorts them.
func middle(values []float64) Range {
	slices.Sort(values)
	return Range{quantile(values, 0.025), quantile(values, 0.975)}
}

// quantile returns the q quantile of sorted values, linear between them (Hyndman and Fan 1996, type 7).
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	j := min(i+1, len(sorted)-1)
	return sorted[i] + (at-math.Floor(at))*(sorted[j]-sorted[i])
}
