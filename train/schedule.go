package train

import (
	"math"
)

// rate returns the learning rate at a step, counted from 0: a linear rise over the warm-up, then the schedule.
func (r Recipe) rate(step int) float64 {
	if step < r.WarmupSteps {
		return r.LearningRate * float64(step+1) / float64(r.WarmupSteps)
	}
	switch r.Schedule {
	case "constant":
		return r.LearningRate
	case "step":
		return r.LearningRate * math.Pow(r.DecayFactor, float64(step/(r.StepsPerEpoch*r.DecayEpochs)))
	}
	// Half a cosine, to zero at the end of the last epoch (Loshchilov and Hutter 2017, without restarts).
	total := r.Epochs*r.StepsPerEpoch - r.WarmupSteps
	return r.LearningRate * 0.5 * (1 + math.Cos(math.Pi*float64(step-r.WarmupSteps)/float64(max(total, 1))))
}
