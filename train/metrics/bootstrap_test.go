package metrics

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tandem/train/traintest"
)

// items makes one verdict for each truth: right where it says so.
func someVerdicts(right []bool) []Verdict {
	out := make([]Verdict, len(right))
	for i, r := range right {
		out[i] = Verdict{truth: i % 2, best: i % 2, confidence: 0.9, bin: 13, nll: 0.1}
		if !r {
			out[i].best, out[i].nll = 1-i%2, 2.3
		}
	}
	return out
}

func unitsOf(speakers ...string) []Unit {
	var units []Unit
	for _, s := range speakers {
		units = append(units, Unit{Speaker: s, Clip: new(int)})
	}
	return units
}

func TestClusters(t *testing.T) {
	for _, tc := range []struct {
		units []Unit
		of    string
		by    string
	}{
		{unitsOf("a", "b", "a"), "[0 1 0]", "speaker"},
		{unitsOf("", "", ""), "[0 1 2]", "clip"},
		{unitsOf("a", "", "a"), "[0 1 0]", "speaker or clip"},
	} {
		if c := ClustersOf(tc.units); fmt.Sprint(c.of) != tc.of || c.by != tc.by {
			t.Errorf("%v by %s, want %s by %s", c.of, c.by, tc.of, tc.by)
		}
	}
	one := Unit{Clip: new(int)}
	if c := ClustersOf([]Unit{one, one}); c.n != 1 {
		t.Errorf("the two windows of a clip are drawn apart: %+v", c)
	}
}

// Of four speakers two are always right and two never: taken whole, they give all from 0 to 1.
func TestSpeakersCountWhole(t *testing.T) {
	var right []bool
	var speakers []string
	for i := range 200 {
		right = append(right, i < 100)
		speakers = append(speakers, fmt.Sprint(i/50))
	}
	b := Bootstrap{Resamples: 500, Seed: 1}
	s := b.Score(someVerdicts(right), nil, ClustersOf(unitsOf(speakers...)), 2)
	want := Drawn{By: "speaker", Units: 4, Method: Student}
	if s.Accuracy != 0.5 || s.Intervals.Accuracy != (Range{0, 1}) || s.Intervals.Drawn != want || *s.Drawn != want {
		t.Errorf("%+v: %+v", s.Accuracy, s.Intervals)
	}
	if s.NLLBefore != nil || s.Intervals.ECEBefore != nil {
		t.Error("scores before scaling, but nothing is known of it")
	}
	alone := b.Score(someVerdicts(right), someVerdicts(right), ClustersOf(unitsOf(make([]string, 200)...)), 2)
	if r := alone.Intervals.Accuracy; r[0] < 0.4 || r[1] > 0.6 || r[0] >= 0.5 || r[1] <= 0.5 {
		t.Errorf("drawn by clip: %v", r)
	}
	if d := alone.Intervals.Drawn; d != (Drawn{By: "clip", Units: 200, Method: Resampled, Resamples: 500}) {
		t.Errorf("drawn by clip: %+v", d)
	}
	if *alone.ECEBefore != alone.ECE || *alone.Intervals.NLLBefore != alone.Intervals.NLL {
		t.Error("the same before and after, but other scores")
	}
	apart := unitsOf(make([]string, 200)...)
	if again := b.Score(someVerdicts(right), nil, ClustersOf(apart), 2); again.Intervals.UAR != alone.Intervals.UAR {
		t.Error("the same seed gives another interval")
	}
	if one := b.Score(someVerdicts(right), nil, ClustersOf(apart[:0]), 2); one.Intervals != nil {
		t.Error("an interval of nothing")
	}
}

// Two speakers say too little of others: no interval, and the scores tell how many there are.
func TestFewerThanThreeUnitsGiveNoInterval(t *testing.T) {
	for _, speakers := range [][]string{{"a", "a", "a"}, {"a", "b", "a"}} {
		v, c := someVerdicts([]bool{true, false, true}), ClustersOf(unitsOf(speakers...))
		s := Bootstrap{Resamples: 100}.Score(v, nil, c, 2)
		if s.Intervals != nil || s.N != 3 || s.Drawn == nil || s.Drawn.Units != c.n || s.Drawn.Method != "" {
			t.Errorf("%v: %+v", speakers, s)
		}
		if d, _, _ := (Bootstrap{Resamples: 100}).Paired(v, v, c, 2); d.Interval != nil || d.P != nil {
			t.Errorf("%v: %+v", speakers, d)
		}
	}
}

// TestBootstrapCovers draws data sets of 25 speakers, each with an accuracy of its own about 0.7, and counts how often
// the interval holds that mean: about 95 times of 100 by speaker, and far less often by clip, which takes what speakers
// have in common for knowledge.
func TestBootstrapCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const sets, speakers, each = 200, 25, 30
	bySpeaker, byClip := 0, 0
	for range sets {
		var right []bool
		var of []string
		for s := range speakers {
			accuracy := 0.7 + 0.2*(2*rng.Float64()-1)
			for range each {
				right = append(right, rng.Float64() < accuracy)
				of = append(of, fmt.Sprint(s))
			}
		}
		b := Bootstrap{Resamples: 300, Seed: rng.Uint64()}
		holds := func(of []string) int {
			r := b.Score(someVerdicts(right), nil, ClustersOf(unitsOf(of...)), 2).Intervals.Accuracy
			if r[0] <= 0.7 && 0.7 <= r[1] {
				return 1
			}
			return 0
		}
		bySpeaker += holds(of)
		byClip += holds(make([]string, len(of)))
	}
	if bySpeaker < 176 || bySpeaker > 198 {
		t.Errorf("by speaker the truth is inside %d times of %d", bySpeaker, sets)
	}
	if byClip >= bySpeaker-10 {
		t.Errorf("by clip the truth is inside %d times of %d, by speaker %d", byClip, sets, bySpeaker)
	}
}

// A class that was not drawn does not count as one that is never right.
func TestResamplesLackClasses(t *testing.T) {
	right := make([]bool, 240)
	var of []string
	for i := range right {
		right[i] = i%24 > 1 || i%10 > 5
		of = append(of, fmt.Sprint(min(i%2*(1+i/2%23), 23))) // one speaker has a class alone; 23 share the other
	}
	s := Bootstrap{Resamples: 200, Seed: 1}.Score(someVerdicts(right), nil, ClustersOf(unitsOf(of...)), 2)
	traintest.Near(t, "f1", s.F1, 0.95, 0.01)
	if s.Intervals.F1[0] < 0.85 {
		t.Errorf("F1 in %v", s.Intervals.F1)
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{0, 1, 2, 3, 4}
	for q, want := range map[float64]float64{0: 0, 0.5: 2, 0.625: 2.5, 1: 4} {
		traintest.Near(t, fmt.Sprint("quantile ", q), quantile(v, q), want, 1e-12)
	}
	traintest.Near(t, "quantile of one value", quantile([]float64{3}, 0.975), 3, 0)
}
