package train

import (
	"math"
	"testing"
)

func TestLearningRateSchedules(t *testing.T) {
	r := DefaultRecipe()
	r.LearningRate, r.WarmupSteps, r.Epochs, r.StepsPerEpoch, r.DecayEpochs, r.DecayFactor = 0.1, 10, 4, 50, 2, 0.5
	for _, c := range []struct {
		schedule string
		step     int
		want     float64
	}{
		{"cosine", 0, 0.01},
		{"cosine", 9, 0.1},
		{"cosine", 10, 0.1},
		{"cosine", 105, 0.05},
		{"cosine", 200, 0},
		{"constant", 4, 0.05},
		{"constant", 199, 0.1},
		{"step", 9, 0.1},
		{"step", 99, 0.1},
		{"step", 100, 0.05},
		{"step", 199, 0.05},
	} {
		r.Schedule = c.schedule
		if got := r.rate(c.step); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s at step %d: %g, want %g", c.schedule, c.step, got, c.want)
		}
	}
}
