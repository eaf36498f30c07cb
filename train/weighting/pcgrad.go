package weighting

import (
	"github.com/gomlx/gomlx/core/graph"
)

// pcGrad is gradient surgery (Yu et al. 2020, arXiv 2001.06782, algorithm 1): where the tasks' gradients of the shared
// parameters conflict, g_1.g_2 < 0, each loses its component along the other, g_i - (g_i.g_j)/|g_j|^2 g_j. Of two tasks
// that is a weighted sum, with c = min(g_1.g_2, 0), and there is no order of tasks to draw:
//
//	sum_i p_i g_i,  p_i = (1 - c/|g_i|^2)/2
//
// The half makes it the step of uniform weights where nothing conflicts. The heads are not shared and have uniform
// weights.
type pcGrad struct{}

func (pcGrad) Name() string { return "pcgrad" }

func (pcGrad) Joint(t *TaskLosses) JointLoss {
	g := t.taskGradients()
	conflict := graph.MinScalar(g.dot(0, 1), 0)
	p := make([]*graph.Node, 2)
	for i := range p {
		share := graph.Div(conflict, graph.MaxScalar(g.dot(i, i), 1e-20))
		p[i] = graph.MulScalar(graph.OneMinus(share), 0.5)
	}
	return g.direct(p)
}
