package metrics

import (
	"math"
	"math/rand/v2"
	"testing"

	"tandem/train/traintest"
)

// TestScoreByHand has its numbers worked out on paper.
func TestScoreByHand(t *testing.T) {
	p := [][]float64{
		{0.7, 0.2, 0.1},   // class 0, right
		{0.4, 0.5, 0.1},   // class 0, taken for 1
		{0.1, 0.85, 0.05}, // class 1, right
		{0.3, 0.6, 0.1},   // class 1, right
		{0, 1, 0},         // class 0, taken for 1 with probability 0 of the truth
		{0.2, 0.2, 0.6},   // not known
	}
	s := Score(p, []int{0, 0, 1, 1, 0, -1}, 3)
	if s.N != 5 {
		t.Fatalf("n = %d", s.N)
	}
	traintest.Near(t, "accuracy", s.Accuracy, 3.0/5, 1e-12)
	traintest.Near(t, "uar", s.UAR, (1.0/3+1)/2, 1e-12) // class 2 never occurs
	// F1 of class 0: precision 1, recall 1/3; of class 1: precision 2/4, recall 1; class 2 neither occurs nor is
	// predicted.
	traintest.Near(t, "f1", s.F1, (2*(1.0/3)/(4.0/3)+2*0.5/1.5)/2, 1e-12)
	traintest.Near(t, "nll", s.NLL, -(math.Log(.7)+math.Log(.4)+math.Log(.85)+math.Log(.6)+math.Log(1e-7))/5, 1e-9)
	// One item a bin: |.7-1|, |.5-0|, |.85-1|, |.6-1|, |1-0|.
	traintest.Near(t, "ece", s.ECE, (.3+.5+.15+.4+1)/5, 1e-9)
	want := [][]int{{1, 2, 0}, {0, 2, 0}, {0, 0, 0}}
	for i := range want {
		for j := range want[i] {
			if s.Confusion[i][j] != want[i][j] {
				t.Errorf("confusion %v, want %v", s.Confusion, want)
			}
		}
	}
}

// A calibrated model's ECE is near ECEByChance, which falls as the items grow in number.
func TestECEByChance(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	before := 1.0
	for _, n := range []int{1, 20, 240, 5000} {
		var sum, expected float64
		const rounds = 400
		for range rounds {
			p, truth := make([][]float64, n), make([]int, n)
			for i := range p {
				c := 0.5 + rng.Float64()/2
				p[i] = []float64{c, 1 - c}
				if rng.Float64() >= c {
					truth[i] = 1
				}
			}
			s := Score(p, truth, 2)
			sum, expected = sum+s.ECE, expected+s.ECEByChance
		}
		sum, expected = sum/rounds, expected/rounds
		if math.Abs(sum-expected) > 0.05*expected || expected >= before {
			t.Errorf("%d items: ECE %.4f in the mean, expected %.4f", n, sum, expected)
		}
		before = expected
	}
	if s := Score([][]float64{{1, 0}, {1, 0}}, []int{0, 0}, 2); s.ECEByChance != 0 {
		t.Errorf("certain: %v", s.ECEByChance)
	}
	if s := Score(nil, nil, 2); s.ECEByChance != 0 {
		t.Errorf("nothing: %v", s.ECEByChance)
	}
}

func TestECEWithinABin(t *testing.T) {
	// Four items of confidence 0.8, in one bin; three right: |0.8 - 0.75|.
	p := [][]float64{{.8, .2}, {.8, .2}, {.2, .8}, {.8, .2}}
	traintest.Near(t, "ece", Score(p, []int{0, 0, 1, 1}, 2).ECE, 0.05, 1e-12)
}

func TestScoreOfNothing(t *testing.T) {
	s := Score([][]float64{{1, 0}}, []int{-1}, 2)
	if s.N != 0 || s.NLL != 0 || s.UAR != 0 || s.ECE != 0 {
		t.Errorf("%+v", s)
	}
}
