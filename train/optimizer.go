package train

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"tandem/train/optim"
)

// update ends a step: the gradients of network and weighting, of all its batches, change their parameters. It returns
// the norm of the network's gradient before clipping.
func (n *network) update(root *model.Scope, netGrads, lossGrads []*graph.Node, lr *graph.Node) *graph.Node {
	g, r := lr.Graph(), n.recipe
	net, loss := root.At("net"), root.At("loss")
	netGrads, lossGrads = n.accumulated(net, netGrads, true), n.accumulated(loss, lossGrads, true)
	norm := graph.Sqrt(graph.AddScalar(optim.SumSquares(netGrads), 1e-12))
	if r.Clip > 0 {
		scale := graph.MinScalar(graph.MulScalar(graph.Reciprocal(norm), r.Clip), 1)
		for i := range netGrads {
			netGrads[i] = graph.Mul(netGrads[i], scale)
		}
	}
	decay := r.WeightDecay
	if r.Optimizer == "adam" && decay > 0 {
		// Adam's decay is an L2 penalty: a part of the gradient, and so of its moments. AdamW's is beside them
		// (Loshchilov and Hutter 2019).
		for i, w := range optim.Trainable(net, g) {
			netGrads[i] = graph.Add(netGrads[i], graph.MulScalar(w, decay))
		}
		decay = 0
	}
	var mine []*model.Variable
	if r.Optimizer == "muon" {
		netGrads, mine = n.muon(root, netGrads, lr)
	}
	// Adam takes all trainable parameters of its scope for its own.
	for _, v := range mine {
		v.SetTrainable(false)
	}
	// The task weights are a scope of their own: neither weight decay nor clipping may touch the paper's loss.
	optim.Adam(net, netGrads, lr, decay)
	for _, v := range mine {
		v.SetTrainable(true)
	}
	optim.Adam(loss, lossGrads, lr, 0)
	if r.EMA > 0 {
		n.average(root, g)
	}
	return norm
}

// average moves the averages of the parameters towards them: a <- d a + (1-d) w. The decay d rises with the number t of
// steps before, as t/(t+9), so that the averages begin at the first weights and soon forget them.
func (n *network) average(root *model.Scope, g *graph.Graph) {
	t := optimizer.IncrementCounter(root.At(optim.EMAScope), g, "steps", dtypes.Float32)
	decay := graph.MinScalar(graph.Div(graph.AddScalar(t, -1), graph.AddScalar(t, 8)), n.recipe.EMA)
	for _, v := range optim.TrainableVars(root.At("net"), g) {
		value := v.NodeValue(g)
		a := root.At(optim.EMAScope).VariableWithValue(optim.FlatName(v.Path()),
			optim.Zeros(v.Shape())).SetTrainable(false)
		now := a.NodeValue(g)
		a.SetNodeValue(graph.Add(now, graph.Mul(graph.OneMinus(decay), graph.Sub(value, now))))
	}
}

// averaged is the average of a parameter, nil if there is none.
func (n *network) averaged(v *model.Variable) *model.Variable {
	if n.recipe.EMA == 0 {
		return nil
	}
	return n.store.GetVariable("/" + optim.EMAScope + "/" + optim.FlatName(v.Path()))
}

// accumulated are the mean gradients of the batches of a step; the last of them clears the sums.
func (n *network) accumulated(scope *model.Scope, grads []*graph.Node, last bool) []*graph.Node {
	if n.recipe.Accumulate <= 1 || len(grads) == 0 {
		return grads
	}
	out := make([]*graph.Node, len(grads))
	for i, v := range optim.TrainableVars(scope, grads[0].Graph()) {
		sum := n.store.RootScope().At(optim.AccumulateScope).VariableWithValue(optim.FlatName(v.Path()),
			optim.Zeros(v.Shape())).SetTrainable(false)
		out[i] = graph.Add(sum.NodeValue(grads[i].Graph()), graph.MulScalar(grads[i], 1/float64(n.recipe.Accumulate)))
		if last {
			sum.SetNodeValue(graph.ZerosLike(out[i]))
		} else {
			sum.SetNodeValue(out[i])
		}
	}
	return out
}
