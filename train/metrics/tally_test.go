package metrics

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tandem/train/traintest"
)

// The scores of a resample are those of its items written out as often as they were drawn.
func TestTallyAgreesWithCounting(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const classes = 4
	verdicts := func() []Verdict {
		p, truth := make([][]float64, 300), make([]int, 300)
		for i := range p {
			p[i], truth[i] = make([]float64, classes), i%(classes+1)-1 // one of five has no label
			rest := 1.0
			for k := range classes - 1 {
				p[i][k] = rest * rng.Float64()
				rest -= p[i][k]
			}
			p[i][classes-1] = rest
		}
		return Verdicts(p, truth, nil)
	}
	one, other := verdicts(), verdicts()
	var speakers []string
	for range one {
		speakers = append(speakers, fmt.Sprint(rng.IntN(30)))
	}
	c := ClustersOf(unitsOf(speakers...))
	units := tallyOf(c, classes, one, other)
	sums, times := units.sums(), make([]int, c.n)
	for range 20 {
		for i := range times {
			times[i] = rng.IntN(4)
		}
		units.add(sums, times)
		for block, set := range [][]Verdict{one, other} {
			var drawn []Verdict
			for i, v := range set {
				for range times[c.of[i]] {
					drawn = append(drawn, v)
				}
			}
			want, got := newScores(classes), units.scores(sums, nil, block)
			want.count(drawn)
			traintest.Near(t, "accuracy", got.accuracy, want.Accuracy, 1e-12)
			traintest.Near(t, "uar", got.uar, want.UAR, 1e-12)
			traintest.Near(t, "f1", got.f1, want.F1, 1e-12)
			traintest.Near(t, "nll", got.nll, want.NLL, 1e-12)
			traintest.Near(t, "ece", got.ece, want.ECE, 1e-12)
		}
	}
}
