package augment

import (
	"math"
	"slices"
	"testing"
)

func TestBlendLabels(t *testing.T) {
	happy, sad := []float32{1, 0}, []float32{0, 1}
	for _, c := range []struct {
		wa, wb, s float32
		want      []float32
		weight    float32
	}{
		{1, 1, 0.75, []float32{0.75, 0.25}, 1},
		{2, 2, 0.5, []float32{0.5, 0.5}, 2},
		{1, 0, 0.75, []float32{1, 0}, 0.75},
		{0, 1, 0.75, []float32{0, 1}, 0.25},
		{0, 0, 0.75, []float32{1, 0}, 0},
	} {
		got, w := blendLabels(happy, sad, c.wa, c.wb, c.s)
		if !slices.Equal(got, c.want) || math.Abs(float64(w-c.weight)) > 1e-6 {
			t.Errorf("weights %g and %g, share %g: %v of weight %g, want %v of %g", c.wa, c.wb, c.s, got, w, c.want,
				c.weight)
		}
	}
}
