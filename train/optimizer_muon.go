package train

import (
	"math"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/train/nn"
	"tandem/train/optim"
)

// ofMuon is whether Muon moves a parameter: the weights of hidden layers, which are matrices. Gains, biases, the filter
// bank and the output layers are Adam's.
func ofMuon(v *model.Variable) bool {
	d := v.Shape().Dimensions
	return strings.HasSuffix(v.Path(), "/w") && len(d) == 2 && min(d[0], d[1]) >= 2 && !nn.IsHead(v)
}

// muon moves the parameters that are its own and returns the gradients of the others. Each step is along the orthogonal
// matrix nearest to the momentum: all directions in which the gradient points count alike, where a gradient's own few
// large ones would drown the rest.
func (n *network) muon(root *model.Scope, grads []*graph.Node, lr *graph.Node) (rest []*graph.Node,
	mine []*model.Variable,
) {
	g := lr.Graph()
	for i, v := range optim.TrainableVars(root.At("net"), g) {
		grad := grads[i]
		if !ofMuon(v) {
			rest = append(rest, grad)
			continue
		}
		mine = append(mine, v)
		m := root.At(optim.MuonScope).VariableWithValue(optim.FlatName(v.Path()),
			optim.Zeros(v.Shape())).SetTrainable(false)
		momentum := graph.Add(graph.MulScalar(m.NodeValue(g), optim.MuonMomentum), grad)
		m.SetNodeValue(momentum)
		// Nesterov's look ahead
		update := optim.Orthogonal(graph.Add(grad, graph.MulScalar(momentum, optim.MuonMomentum)))
		d := v.Shape().Dimensions
		update = graph.MulScalar(update, optim.MuonScale*math.Sqrt(float64(max(d[0], d[1]))))
		w := v.NodeValue(g)
		if n.recipe.WeightDecay > 0 {
			update = graph.Add(update, graph.MulScalar(w, n.recipe.WeightDecay))
		}
		v.SetNodeValue(graph.Sub(w, graph.Mul(update, lr)))
	}
	return rest, mine
}
