package weighting

import (
	"github.com/gomlx/gomlx/core/graph"
)

// taskGradients holds each task's gradient of the network's parameters, which costs a backward pass a task, and what
// the methods that need them share.
type taskGradients struct {
	t     *TaskLosses
	grads [2][]*graph.Node
}

// taskGradients adds the backward passes to the graph.
func (t *TaskLosses) taskGradients() taskGradients {
	g := taskGradients{t: t}
	for i, l := range t.Losses {
		g.grads[i] = t.Gradients(l)
	}
	return g
}

// dot returns the scalar product of the gradients of tasks i and j over the shared parameters.
func (g taskGradients) dot(i, j int) *graph.Node {
	sum := graph.ScalarZero(g.t.Graph, g.t.Losses[0].DType())
	for k, shared := range g.t.Shared {
		if shared {
			sum = graph.Add(sum, graph.ReduceAllSum(graph.Mul(g.grads[i][k], g.grads[j][k])))
		}
	}
	return sum
}

// sum returns sum_i p_i g_i for the shared parameters and sum_i q_i g_i for the heads.
func (g taskGradients) sum(p, q []*graph.Node) []*graph.Node {
	out := make([]*graph.Node, len(g.t.Shared))
	for k, shared := range g.t.Shared {
		by := q
		if shared {
			by = p
		}
		out[k] = graph.Add(graph.Mul(g.grads[0][k], by[0]), graph.Mul(g.grads[1][k], by[1]))
	}
	return out
}

// scalarAt returns the i-th value of a vector.
func scalarAt(x *graph.Node, i int) *graph.Node {
	return graph.Reshape(graph.Slice(x, graph.AxisRange(i, i+1)))
}

// direct returns the joint loss whose gradient is sum_i p_i g_i, of the heads sum_i g_i/2.
func (g taskGradients) direct(p []*graph.Node) JointLoss {
	j := g.t.fixed(vector(p))
	j.Grads = g.sum(p, g.half())
	return j
}

// half returns the weights of the heads where a method speaks of the shared parameters only: those of uniform weights.
func (g taskGradients) half() []*graph.Node {
	h := graph.Scalar(g.t.Graph, g.t.Losses[0].DType(), 0.5)
	return []*graph.Node{h, h}
}
