package weighting

import (
	"github.com/gomlx/gomlx/core/graph"
)

// uwso is soft optimal uncertainty weighting: the weights that uncertainty weighting would come to, 1/L_i, through
// a softmax with a temperature T: p = softmax((1/L)/T), the losses held constant (Kirchdorfer et al. 2024, arXiv
// 2408.07985). A task that a batch does not know has no weight.
type uwso struct{ temperature float64 }

func (w uwso) Name() string { return withParameter("uw-so", w.temperature) }

func (w uwso) Joint(t *TaskLosses) JointLoss {
	l, known := t.vector(), t.known()
	// Losses are far above 1e-3 unless there is no label smoothing; below it, the weight is all the task's anyway.
	inverse := graph.Reciprocal(graph.MaxScalar(l, 1e-3))
	unknown := graph.MulScalar(graph.OneMinus(known), -1e9)
	return t.fixed(softmaxOf(graph.Add(graph.MulScalar(graph.Mul(inverse, known), 1/w.temperature), unknown)))
}
