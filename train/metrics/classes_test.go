package metrics

import (
	"math"
	"math/rand/v2"
	"testing"
)

func isNear(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	switch {
	case got == nil:
		if !math.IsNaN(want) {
			t.Errorf("%s: none, want %g", what, want)
		}
	case !(math.Abs(*got-want) < 1e-12):
		t.Errorf("%s: %.15g, want %.15g", what, *got, want)
	}
}

// oneHot returns probabilities whose largest is that of each prediction.
func oneHot(predicted []int, classes int) [][]float64 {
	p := make([][]float64, len(predicted))
	for i, k := range predicted {
		p[i] = make([]float64, classes)
		p[i][k] = 1
	}
	return p
}

// The figures are those of scikit-learn's manual: classification_report, roc_auc_score, average_precision_score.
func TestByClassAgainstKnownFigures(t *testing.T) {
	none := math.NaN()
	truth := []int{0, 1, 2, 2, 2, -1}
	for k, want := range [][4]float64{{2, 0.5, 1, 2. / 3}, {1, 0, 0, 0}, {2, 1, 2. / 3, 0.8}, {0, none, none, none}} {
		s := ByClass(oneHot([]int{0, 0, 2, 2, 1, 0}, 4), truth, 4)[k]
		if s.Predicted != int(want[0]) {
			t.Errorf("class %d is predicted %d times", k, s.Predicted)
		}
		isNear(t, "precision", s.Precision, want[1])
		isNear(t, "recall", s.Recall, want[2])
		isNear(t, "F1", s.F1, want[3])
	}
	var p [][]float64
	for _, v := range []float64{0.1, 0.4, 0.35, 0.8} {
		p = append(p, []float64{1 - v, v})
	}
	s := ByClass(p, []int{0, 0, 1, 1}, 2)
	isNear(t, "area", s[1].ROCAUC, 0.75)
	isNear(t, "area of the other class", s[0].ROCAUC, 0.75)
	isNear(t, "average precision", s[1].AveragePrecision, 5./6)
	s = ByClass([][]float64{{0.5, 0.5}, {0.5, 0.5}, {0.5, 0.5}, {0.5, 0.5}}, []int{0, 0, 0, 1}, 2)
	isNear(t, "area of ties", s[1].ROCAUC, 0.5)
	isNear(t, "average precision of ties", s[1].AveragePrecision, 0.25)
	s = ByClass([][]float64{{0.5, 0.5}}, []int{0}, 2)
	isNear(t, "area with one side", s[0].ROCAUC, none)
}

// Ranks give what comparing each pair, and each threshold, gives.
func TestRankedAgainstAllPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var p [][]float64
		var truth []int
		for range 40 {
			v := float64(rng.IntN(12)) / 12 // with ties
			p, truth = append(p, []float64{1 - v, v}), append(truth, rng.IntN(2))
		}
		won, pairs := 0.0, 0.0
		for i := range p {
			for j := range p {
				if truth[i] == 1 && truth[j] == 0 {
					pairs++
					if p[i][1] > p[j][1] {
						won++
					} else if p[i][1] == p[j][1] {
						won += 0.5
					}
				}
			}
		}
		sum, before := 0.0, 0.0
		for level := 11; level >= 0; level-- {
			hits, taken, all := 0.0, 0.0, 0.0
			for i := range p {
				all += float64(truth[i])
				if p[i][1] >= float64(level)/12-1e-9 {
					taken++
					hits += float64(truth[i])
				}
			}
			if taken > 0 {
				sum += (hits/all - before) * hits / taken
				before = hits / all
			}
		}
		s := ByClass(p, truth, 2)[1]
		isNear(t, "area", s.ROCAUC, won/pairs)
		isNear(t, "average precision", s.AveragePrecision, sum)
	}
}

func TestMcNemar(t *testing.T) {
	var first, second, truth []int
	add := func(n, a, b int) {
		for range n {
			first, second, truth = append(first, a), append(second, b), append(truth, 1)
		}
	}
	add(30, 1, 1)
	add(9, 0, 0)
	add(2, 1, 0)
	add(10, 0, 1)
	v := func(predicted []int) []Verdict { return Verdicts(oneHot(predicted, 2), truth, nil) }
	m := McNemarOf(v(first), v(second))
	if m.First != 2 || m.Second != 10 {
		t.Errorf("%+v", m)
	}
	isNear(t, "p", m.P, 2*(1+12+66)/4096.)
	isNear(t, "p of equals", McNemarOf(v(first), v(first)).P, 1)
}
