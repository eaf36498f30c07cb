package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Bootstrap says how 95 % intervals are made: over whole speakers, not clips. Clips of one speaker fail together, so
// that taking them one by one would give intervals that are too narrow (Field and Welsh 2007). A clip without a known
// speaker stands for itself. From 20 units on a bootstrap draws them (Resampled); 3 to 19 give Student's interval
// (Student), and fewer give none.
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

// Drawn says what intervals were made of, and how.
type Drawn struct {
	By        string `json:"by"`               // bySpeaker, byClip or byBoth
	Units     int    `json:"units"`            // how many of these there are
	Method    string `json:"method,omitempty"` // Student or Resampled, "" for no intervals
	Resamples int    `json:"resamples"`        // of Resampled, else 0
}

// String names the units, their number and the method.
func (d Drawn) String() string {
	s := fmt.Sprintf("%d %ss", d.Units, d.By)
	if d.By == byBoth {
		s = fmt.Sprintf("%d speakers or clips", d.Units)
	}
	if d.Units == 1 {
		s = "1 " + d.By
	}
	switch d.Method {
	case Student:
		return s + ", Student's t"
	case Resampled:
		return s + ", bootstrap"
	}
	return s + ", no interval"
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

// each calls visit with each resample: how often each unit is in it. visit must not keep times.
func (b Bootstrap) each(c Clusters, visit func(times []int)) {
	rng := rand.New(rand.NewPCG(b.Seed, 0))
	times := make([]int, c.n)
	for range b.Resamples {
		clear(times)
		for range c.n {
			times[rng.IntN(c.n)]++
		}
		visit(times)
	}
}

// Drawn returns what the intervals of these items are made of.
func (b Bootstrap) Drawn(c Clusters) Drawn {
	d := Drawn{By: c.by, Units: c.n, Method: b.method(c.n)}
	if d.Method == Resampled {
		d.Resamples = b.Resamples
	}
	return d
}

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
	drawn := b.Drawn(c)
	if b.Resamples > 0 && c.n > 0 {
		s.Drawn = &drawn
	}
	if drawn.Method == "" {
		return s
	}
	whole, sets := []float64{s.Accuracy, s.UAR, s.F1, s.NLL, s.ECE}, [][]Verdict{out}
	if before != nil {
		whole, sets = append(whole, was.NLL, was.ECE), append(sets, before)
	}
	units := tallyOf(c, classes, sets...)
	all, sums := units.sums(), units.sums()
	units.add(all, slices.Repeat([]int{1}, c.n))
	e := b.estimates(c, whole, func(times []int) []float64 {
		units.add(sums, times)
		again := units.scores(sums, all, 0)
		values := []float64{again.accuracy, again.uar, again.f1, again.nll, again.ece}
		if before != nil {
			again = units.scores(sums, nil, 1)
			values = append(values, again.nll, again.ece)
		}
		return values
	})
	s.Intervals = &Intervals{
		Accuracy: e[0].within(0, 1),
		UAR:      e[1].within(0, 1),
		F1:       e[2].within(0, 1),
		NLL:      e[3].within(0, math.Inf(1)),
		ECE:      e[4].within(0, 1),
		Drawn:    drawn,
	}
	if before != nil {
		nll, ece := e[5].within(0, math.Inf(1)), e[6].within(0, 1)
		s.Intervals.NLLBefore, s.Intervals.ECEBefore = &nll, &ece
	}
	return s
}

// Difference is a score of one set of answers less that of another, of the same items, with its 95 % interval: both are
// judged by the same units, taken together. Interval and P are of this comparison alone.
type Difference struct {
	Difference float64 `json:"difference"`
	Interval   *Range  `json:"interval,omitempty"`
	Significance
}

// Paired returns by how much the scores of out are above those of other, of the same items in the same order.
func (b Bootstrap) Paired(out, other []Verdict, c Clusters, classes int) (accuracy, uar, nll Difference) {
	units := tallyOf(c, classes, out, other)
	sums := units.sums()
	differences := func(times []int) []float64 {
		units.add(sums, times)
		x, y := units.scores(sums, nil, 0), units.scores(sums, nil, 1)
		return []float64{x.accuracy - y.accuracy, x.uar - y.uar, x.nll - y.nll}
	}
	into := [3]*Difference{&accuracy, &uar, &nll}
	whole := differences(slices.Repeat([]int{1}, c.n))
	for i, d := range whole {
		into[i].Difference = d
	}
	if b.method(c.n) == "" {
		return accuracy, uar, nll
	}
	most := [3]float64{1, 1, math.Inf(1)}
	for i, e := range b.estimates(c, whole, differences) {
		r, p := e.within(-most[i], most[i]), PValue(whole[i], e.se, c.n)
		into[i].Interval, into[i].P = &r, &p
	}
	return accuracy, uar, nll
}

// quantile returns the q quantile of sorted values, linear between them (Hyndman and Fan 1996, type 7).
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	j := min(i+1, len(sorted)-1)
	return sorted[i] + (at-math.Floor(at))*(sorted[j]-sorted[i])
}
