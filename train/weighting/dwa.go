package weighting

import (
	"github.com/gomlx/gomlx/core/graph"
)

// dwa is dynamic weight averaging: p = softmax(r/T) with r_i = L_i(t-1)/L_i(t-2), the losses averaged over each of the
// two epochs before (Liu, Johns and Davison 2019, arXiv 1803.10704, equation 7; there the weights sum to the number of
// tasks). A task whose loss falls more slowly gets more. In the first two epochs the weights are uniform.
type dwa struct{ temperature float64 }

func (w dwa) Name() string { return withParameter("dwa", w.temperature) }

func (w dwa) Joint(t *TaskLosses) JointLoss {
	n := len(t.Losses)
	setSum, sum := t.state("dwa/sum", 0, n)
	setCount, count := t.state("dwa/count", 0, n) // of batches that know the task
	setBatch, batch := t.state("dwa/batch", 0, 1) // of the epoch
	setLast, last := t.state("dwa/last", 0, n)
	setBefore, before := t.state("dwa/before", 0, n)

	zero := graph.ZerosLike(last)
	ratio := graph.Where(graph.GreaterThan(graph.Mul(last, before), zero),
		graph.Div(last, graph.MaxScalar(before, 1e-12)), graph.OnesLike(last))

	sum, count, batch = graph.Add(sum, t.vector()), graph.Add(count, t.known()), graph.AddScalar(batch, 1)
	over := graph.ConvertDType(graph.GreaterOrEqual(batch, graph.Scalar(t.Graph, batch.DType(), float64(t.Batches))),
		batch.DType())
	within := graph.OneMinus(over)
	mean := graph.Div(sum, graph.MaxScalar(count, 1))
	setSum(graph.Mul(sum, within))
	setCount(graph.Mul(count, within))
	setBatch(graph.Mul(batch, within))
	setLast(graph.Add(graph.Mul(mean, over), graph.Mul(last, within)))
	setBefore(graph.Add(graph.Mul(last, over), graph.Mul(before, within)))
	return t.fixed(softmaxOf(graph.MulScalar(ratio, 1/w.temperature)))
}
