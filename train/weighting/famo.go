package weighting

import (
	"github.com/gomlx/gomlx/core/graph"

	"tandem/train/nn"
	"tandem/train/optim"
)

// famo is fast adaptive multitask optimization (Liu, Feng, Stone and Liu 2023, arXiv 2306.03792, algorithm 1): all
// tasks are to improve at one rate, measured by the logarithm of the loss. With z = softmax(w) a step descends
//
//	sum_i p_i L_i,  p_i = c z_i/L_i,  c = 1/sum_i (z_i/L_i)
//
// and then w descends the change that it made, delta_i = ln L_i(before) - ln L_i(after), on the same batch: gradient
// J_softmax(w)^T delta + gamma w, by Adam. So a task that improved less gets more. L(after) costs a second forward
// pass.
type famo struct{}

// famoDecay is gamma of the authors' code.
const famoDecay = 1e-3

func (famo) Name() string { return "famo" }

// famoLogits returns w.
func famoLogits(t *TaskLosses) *graph.Node { return t.Param("famo/w", nn.ConstInit(0), len(t.Losses)) }

func (famo) Joint(t *TaskLosses) JointLoss {
	z := softmaxOf(famoLogits(t))
	rate := graph.Mul(graph.Div(z, graph.AddScalar(t.vector(), 1e-8)), t.known())
	return t.fixed(graph.Div(rate, graph.MaxScalar(graph.ReduceAllSum(rate), 1e-12)))
}

func (famo) Follow(t *TaskLosses, _ JointLoss, again func() []*graph.Node) {
	w := famoLogits(t)
	log := func(l *graph.Node) *graph.Node { return graph.Log(graph.AddScalar(l, 1e-8)) }
	delta := graph.Sub(log(t.vector()), log(graph.StopGradient(vector(again()))))
	// The softmax's Jacobian is symmetric: z_i (delta_i - z.delta).
	z := softmaxOf(w)
	grad := graph.Mul(z, graph.Sub(delta, graph.ReduceAllSum(graph.Mul(z, delta))))
	grad = graph.Add(grad, graph.MulScalar(w, famoDecay))
	optim.Adam(t.Scope, []*graph.Node{grad}, graph.Scalar(t.Graph, w.DType(), ownRate), 0)
}
