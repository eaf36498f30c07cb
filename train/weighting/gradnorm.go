package weighting

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"

	"tandem/train/nn"
	"tandem/train/optim"
)

// gradNorm is GradNorm (Chen et al. 2018, arXiv 1711.02257): the weights w, which sum to the number of tasks, learn to
// bring the norms G_i = w_i |g_i| of the tasks' gradients to a common scale, more for tasks that train more slowly:
//
//	L_grad = sum_i |G_i - mean(G) r_i^alpha|,  r_i = (L_i/L_i(0)) / mean_j(L_j/L_j(0))
//
// with the target held constant, by Adam, and are brought back to their sum. g_i is over all shared parameters (the
// paper takes the last shared layer to save time; this network's heads read three layers), and L_i(0) is ln K_i, the
// loss of guessing (section 3.2 proposes it). p = w/tasks.
type gradNorm struct{ alpha float64 }

// gradnormLeast keeps a weight from 0, from which it could not return.
const gradnormLeast = 1e-3

func (w gradNorm) Name() string { return withParameter("gradnorm", w.alpha) }

// gradnormWeights returns w.
func gradnormWeights(t *TaskLosses) *graph.Node {
	return t.Param("gradnorm/w", nn.ConstInit(1), len(t.Losses))
}

func (w gradNorm) Joint(t *TaskLosses) JointLoss {
	p := graph.MulScalar(gradnormWeights(t), 1/float64(len(t.Losses)))
	g := t.taskGradients()
	j := t.fixed(p)
	each := []*graph.Node{scalarAt(p, 0), scalarAt(p, 1)}
	j.Grads = g.sum(each, each)
	norms := vector([]*graph.Node{graph.Sqrt(g.dot(0, 0)), graph.Sqrt(g.dot(1, 1))})
	// L_grad's gradient is sign(G_i - target_i) |g_i|.
	scaled := graph.Mul(gradnormWeights(t), norms)
	first := make([]float32, len(t.Classes))
	for i, k := range t.Classes {
		first[i] = float32(math.Log(float64(k)))
	}
	pace := graph.Div(t.vector(), t.Constant(first, len(first)))
	pace = graph.Div(pace, graph.MaxScalar(graph.MulScalar(graph.ReduceAllSum(pace), 0.5), 1e-12))
	target := graph.MulScalar(graph.ReduceAllSum(scaled), 0.5)
	target = graph.Mul(target, graph.Exp(graph.MulScalar(graph.Log(graph.MaxScalar(pace, 1e-12)), w.alpha)))
	j.own = graph.ReduceAllSum(graph.Abs(graph.Sub(scaled, graph.StopGradient(target))))
	return j
}

func (w gradNorm) Follow(t *TaskLosses, j JointLoss, _ func() []*graph.Node) {
	own := t.Variable("gradnorm/w", nn.ConstInit(1), len(t.Losses))
	optim.Adam(t.Scope, graph.Gradient(j.own, own.NodeValue(t.Graph)), graph.Scalar(t.Graph, j.own.DType(), ownRate),
		0)
	least := graph.MaxScalar(own.NodeValue(t.Graph), gradnormLeast)
	own.SetNodeValue(graph.Div(graph.MulScalar(least, float64(len(t.Losses))), graph.ReduceAllSum(least)))
}
