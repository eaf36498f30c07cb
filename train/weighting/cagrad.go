package weighting

import (
	"github.com/gomlx/gomlx/core/graph"
)

// caGrad is conflict-averse gradient descent (Liu et al. 2021, arXiv 2110.14048, algorithm 1): of all directions within
// c|g_0| of the mean gradient g_0 it takes the one that improves the worse task most,
//
//	d = g_0 + k/|g_w| g_w,  k = c|g_0|,  w = argmin over [0, 1] of F(w) = g_w.g_0 + k|g_w|,  g_w = w g_1 + (1-w) g_2
//
// so that p_1 = 1/2 + w k/|g_w| and p_2 = 1/2 + (1-w) k/|g_w|. The gradients are of the shared parameters; the heads
// have uniform weights. c is 0.4 in the paper's multi-task experiments; 0 would be uniform weights, and c below 1 keeps
// their stationary points.
type caGrad struct{ c float64 }

func (w caGrad) Name() string { return withParameter("cagrad", w.c) }

func (w caGrad) Joint(t *TaskLosses) JointLoss {
	g := t.taskGradients()
	share, k, norm := cagradShare(g.dot(0, 0), g.dot(0, 1), g.dot(1, 1), w.c)
	// At Pareto optima g_w is 0. The gradients cancel to 3e-4 of their size at best in float32: nearer, |g_w| is only
	// rounding.
	least := graph.MulScalar(graph.Sqrt(graph.Add(g.dot(0, 0), g.dot(1, 1))), 1e-3)
	pull := graph.Div(k, graph.MaxScalar(graph.Max(norm, least), 1e-12))
	p := []*graph.Node{graph.Mul(share, pull), graph.Mul(graph.OneMinus(share), pull)}
	for i := range p {
		p[i] = graph.AddScalar(p[i], 0.5)
	}
	return g.direct(p)
}

// cagradShare returns the minimum w of F, k and |g_w|, of |g_1|^2, g_1.g_2 and |g_2|^2. Of two tasks it needs no
// solver. With q(w) = |g_w|^2 = a w^2 + 2 b w + |g_2|^2 and s the slope of g_w.g_0,
//
//	F'(w) = s + k (a w + b)/sqrt(q) = 0  at  a w + b = -s sqrt(D/(a k^2 - s^2)),  D = |g_1|^2 |g_2|^2 - (g_1.g_2)^2
//
// F is convex, so the minimum over [0, 1] is there, or at the nearer end; where a k^2 <= s^2 it only rises or only
// falls.
func cagradShare(g11, g12, g22 *graph.Node, c float64) (w, k, norm *graph.Node) {
	zero := graph.ZerosLike(g11)
	mean := graph.MulScalar(graph.Add(graph.Add(g11, graph.MulScalar(g12, 2)), g22), 0.25) // |g_0|^2
	k = graph.MulScalar(graph.Sqrt(graph.Max(mean, zero)), c)
	a := graph.Add(graph.Sub(g11, graph.MulScalar(g12, 2)), g22)
	b := graph.Sub(g12, g22)
	s := graph.MulScalar(graph.Sub(g11, g22), 0.5)
	d := graph.Max(graph.Sub(graph.Mul(g11, g22), graph.Square(g12)), zero)
	bend := graph.Sub(graph.Mul(a, graph.Square(k)), graph.Square(s))
	inside := graph.Neg(graph.Mul(s, graph.Sqrt(graph.Div(d, graph.MaxScalar(bend, 1e-30)))))
	inside = graph.Div(graph.Sub(inside, b), graph.MaxScalar(a, 1e-30))
	end := graph.ConvertDType(graph.LessThan(s, zero), s.DType())
	w = graph.Where(graph.GreaterThan(bend, zero), inside, end)
	w = graph.MinScalar(graph.MaxScalar(w, 0), 1)
	q := graph.Add(graph.Mul(w, graph.Add(graph.Mul(a, w), graph.MulScalar(b, 2))), g22)
	return w, k, graph.Sqrt(graph.Max(q, zero))
}
