package pipeline

import (
	"math"
	"testing"
	"time"
)

func TestSmootherStep(t *testing.T) {
	s := smoother{tau: 500 * time.Millisecond}
	s.add(0, 0, []float64{1, 0}, []float64{0, 1})
	// After tau a step is followed to 1 - 1/e, however many predictions came in between.
	for _, n := range []int{1, 2, 10} {
		s := smoother{tau: 500 * time.Millisecond}
		s.add(0, 0, []float64{1, 0}, []float64{0, 1})
		var e, g []float64
		for i := range n {
			e, g = s.add(0, time.Duration(i+1)*500*time.Millisecond/time.Duration(n), []float64{0, 1}, []float64{1, 0})
		}
		if want := 1 - 1/math.E; math.Abs(e[1]-want) > 1e-9 || math.Abs(g[0]-want) > 1e-9 ||
			math.Abs(e[0]+e[1]-1) > 1e-12 {
			t.Errorf("%d steps: %v %v, want %v", n, e, g, want)
		}
	}
}

func TestSmootherKeepsSubjectsApart(t *testing.T) {
	s := smoother{tau: time.Second}
	s.add(0, 0, []float64{1, 0}, nil)
	e, g := s.add(1, 0, []float64{0, 1}, nil)
	if e[1] != 1 || g != nil {
		t.Errorf("subject 1 began with %v, %v", e, g)
	}
	for i := range 100 { // passers-by are forgotten
		s.add(i, time.Duration(i)*time.Minute, []float64{1, 0}, nil)
	}
	if len(s.past) != 1 {
		t.Errorf("%d subjects are kept", len(s.past))
	}
}

func TestSmootherOff(t *testing.T) {
	var s smoother
	s.add(0, 0, []float64{1, 0}, nil)
	if e, _ := s.add(0, 1, []float64{0, 1}, nil); e[1] != 1 {
		t.Errorf("got %v", e)
	}
}
