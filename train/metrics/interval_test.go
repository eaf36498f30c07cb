package metrics

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tandem/train/traintest"
)

// simulated is a data set of n speakers, each with an accuracy of its own about 0.7, and two sets of answers.
func simulated(rng *rand.Rand, n, each int) (out, other []Verdict, c Clusters) {
	var a, b []bool
	var of []string
	for s := range n {
		accuracy := 0.5 + 0.4*rng.Float64()
		gain := 0.1 * (2*rng.Float64() - 1)
		for range each {
			a = append(a, rng.Float64() < accuracy+gain)
			b = append(b, rng.Float64() < accuracy)
			of = append(of, fmt.Sprint(s))
		}
	}
	return someVerdicts(a), someVerdicts(b), ClustersOf(unitsOf(of...))
}

// The intervals of 3 to 50 speakers hold the truth 93 to 97 times of 100, those of scores and those of differences.
func TestIntervalsCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{3, 4, 6, 10, 19, 20, 50} {
		// The standard error of a coverage of 95 % is 0.4 %, and 0.6 % where resamples take time. Three speakers of six
		// clips each are often all alike, which makes an interval of no width: those hold the truth 91 times of 100.
		sets, each := 3000, 24
		if n >= fewUnits {
			sets, each = 1500, 8
		}
		held := map[string]int{}
		hold := func(name string, r Range, truth float64) {
			if r[0] <= truth && truth <= r[1] {
				held[name]++
			}
		}
		for range sets {
			out, other, c := simulated(rng, n, each)
			b := Bootstrap{Resamples: 300, Seed: rng.Uint64()}
			s := b.Score(out, nil, c, 2)
			hold("accuracy", s.Intervals.Accuracy, 0.7)
			hold("UAR", s.Intervals.UAR, 0.7)
			hold("NLL", s.Intervals.NLL, 0.7*0.1+0.3*2.3)
			accuracy, uar, nll := b.Paired(out, other, c, 2)
			hold("difference of accuracy", *accuracy.Interval, 0)
			hold("difference of UAR", *uar.Interval, 0)
			hold("difference of NLL", *nll.Interval, 0)
		}
		for name, k := range held {
			coverage := float64(k) / float64(sets)
			if coverage < 0.93 || coverage > 0.97 {
				t.Errorf("%d speakers, %s: the truth is inside %.1f %% of the intervals", n, name, 100*coverage)
			}
		}
	}
}

// Of speakers with as many clips each, the interval is Student's over their accuracies.
func TestStudentIntervalByHand(t *testing.T) {
	var right []bool
	var of []string
	for s, hits := range []int{5, 7, 9} {
		for i := range 10 {
			right = append(right, i < hits)
			of = append(of, fmt.Sprint(s))
		}
	}
	s := Bootstrap{Resamples: 1}.Score(someVerdicts(right), nil, ClustersOf(unitsOf(of...)), 2)
	half := 4.302653 * 0.2 / 1.7320508 // t(0.975; 2) s / √3
	traintest.Near(t, "lower end", s.Intervals.Accuracy[0], 0.7-half, 1e-6)
	traintest.Near(t, "upper end, which can't pass 1", s.Intervals.Accuracy[1], 1, 1e-9)
	traintest.Near(t, "p of t = 4.302653 over 3", PValue(-4.302653, 1, 3), 0.05, 1e-6)
	if PValue(0, 0, 3) != 1 || PValue(0.1, 0, 3) != 0 {
		t.Error("p without a spread")
	}
}

func TestHolmByHand(t *testing.T) {
	got := Holm([]float64{0.01, 0.04, 0.03, 0.005, 0.9})
	for i, want := range []float64{0.04, 0.09, 0.09, 0.025, 0.9} {
		traintest.Near(t, fmt.Sprint("p ", i), got[i], want, 1e-12)
	}
	p := func(v float64) *float64 { return &v }
	with, without := &Significance{P: p(0.03)}, &Significance{}
	if n := Correct([]*Significance{with, without, {P: p(0.5)}}); n != 2 || without.PHolm != nil {
		t.Errorf("%d comparisons, %+v", n, without)
	}
	traintest.Near(t, "p of two", *with.PHolm, 0.06, 1e-12)
}
