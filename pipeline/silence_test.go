package pipeline

import (
	"math"
	"testing"
)

func TestLevel(t *testing.T) {
	sine := make([]float32, 16000)
	for i := range sine {
		sine[i] = float32(math.Sin(2 * math.Pi * 100 * float64(i) / 16000))
	}
	if l := Level(sine); math.Abs(l+3.0103) > 1e-3 {
		t.Errorf("a full-scale sine is %v dBFS", l)
	}
	if l := Level([]float32{0.001, -0.001}); math.Abs(l+60) > 1e-3 {
		t.Errorf("0.001 is %v dBFS", l)
	}
	for _, x := range [][]float32{nil, {0, 0}} {
		if l := Level(x); !math.IsInf(l, -1) {
			t.Errorf("%v is %v dBFS", x, l)
		}
	}
}

func TestSilent(t *testing.T) {
	for _, c := range []struct {
		v         float32
		threshold float64
		want      bool
	}{
		{0.0011, -60, false},
		{0.0009, -60, true},
		{0, math.Inf(-1), true},
		{1e-9, math.Inf(-1), false},
		{0.5, 0, true},
	} {
		if got := silent([]float32{c.v, -c.v}, c.threshold); got != c.want {
			t.Errorf("%v at %v dBFS: silent %v", c.v, c.threshold, got)
		}
	}
}
