package weighting

import (
	"github.com/gomlx/gomlx/core/graph"

	"tandem/train/nn"
)

// uw is uncertainty weighting: J = sum_i exp(-s_i) L_i + s_i/2, with s_i = ln(sigma_i^2) trained along with the network
// (Kendall, Gal and Cipolla 2018, arXiv 1705.07115, equation 10: of a classification L/sigma^2 + ln sigma). With
// constant losses it comes to rest at s_i = ln(2 L_i), a weight of 1/(2 L_i). The weights do not sum to 1. The term
// s_i/2 of a task that a batch does not know is left out: there is nothing to be uncertain of.
type uw struct{}

func (uw) Name() string { return "uw" }

func (uw) Joint(t *TaskLosses) JointLoss {
	s := t.Param("task_weights/s", nn.ConstInit(0), len(t.Losses))
	p := graph.Exp(graph.Neg(s))
	j := graph.Add(weightedSum(p, t.Losses), graph.MulScalar(graph.ReduceAllSum(graph.Mul(s, t.known())), 0.5))
	return JointLoss{Loss: j, Weights: p}
}
