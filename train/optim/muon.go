package optim

import (
	"math"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// What Muon keeps beside the network, and its constants (Jordan et al. 2024, "Muon: an optimizer for hidden layers").
const (
	muonScope    = "muon" // momenta
	muonMomentum = 0.95
	muonSteps    = 5 // of Newton-Schulz
	// muonScale brings an orthogonal update to the root mean square of Adam's, so that one learning rate and one decay
	// serve both (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2).
	muonScale = 0.2
)

// muonCoefficients of Newton-Schulz's quintic: it brings singular values between 0 and 1 to about 1, fast, not exactly.
var muonCoefficients = [3]float64{3.4445, -4.7750, 2.0315}

// muon changes the weights of hidden layers along the orthogonal matrix nearest to their momentum: all directions in
// which the gradient points count alike, where a gradient's own few large ones would drown the rest. All other
// parameters are AdamW's.
type muon struct{}

func (muon) Update(s Step) {
	g := s.Rate.Graph()
	var rest []*graph.Node
	var own []*model.Variable
	for i, v := range TrainableVars(s.Params, g) {
		if isHidden(v) && !s.IsHead(v) {
			own = append(own, v)
			s.muon(v, s.Grads[i])
		} else {
			rest = append(rest, s.Grads[i])
		}
	}
	// Adam takes all trainable parameters of its scope for its own.
	for _, v := range own {
		v.SetTrainable(false)
	}
	Adam(s.Params, rest, s.Rate, s.Decay)
	for _, v := range own {
		v.SetTrainable(true)
	}
}

// isHidden reports whether a parameter is the weight of a layer, a matrix. Gains, biases and the filter bank are not.
func isHidden(v *model.Variable) bool {
	d := v.Shape().Dimensions
	return strings.HasSuffix(v.Path(), "/w") && len(d) == 2 && min(d[0], d[1]) >= 2
}

// muon changes one parameter by its gradient.
func (s Step) muon(v *model.Variable, grad *graph.Node) {
	g := grad.Graph()
	m := beside(s.Root.At(muonScope), v)
	momentum := graph.Add(graph.MulScalar(m.NodeValue(g), muonMomentum), grad)
	m.SetNodeValue(momentum)
	update := orthogonal(graph.Add(grad, graph.MulScalar(momentum, muonMomentum))) // Nesterov's look ahead
	d := v.Shape().Dimensions
	update = graph.MulScalar(update, muonScale*math.Sqrt(float64(max(d[0], d[1]))))
	w := v.NodeValue(g)
	if s.Decay > 0 {
		update = graph.Add(update, graph.MulScalar(w, s.Decay))
	}
	v.SetNodeValue(graph.Sub(w, graph.Mul(update, s.Rate)))
}

// orthogonal returns about the orthogonal matrix nearest to x, by Newton and Schulz's iteration.
func orthogonal(x *graph.Node) *graph.Node {
	d := x.Shape().Dimensions
	tall := d[0] > d[1]
	if tall {
		x = graph.Transpose(x, 0, 1)
	}
	norm := graph.Sqrt(graph.AddScalar(graph.ReduceAllSum(graph.Square(x)), 1e-14))
	x = graph.Mul(x, graph.Reciprocal(norm))
	a, b, c := muonCoefficients[0], muonCoefficients[1], muonCoefficients[2]
	for range muonSteps {
		square := graph.Dot(x, graph.Transpose(x, 0, 1)).Product()
		poly := graph.Add(graph.MulScalar(square, b), graph.MulScalar(graph.Dot(square, square).Product(), c))
		x = graph.Add(graph.MulScalar(x, a), graph.Dot(poly, x).Product())
	}
	if tall {
		x = graph.Transpose(x, 0, 1)
	}
	return x
}
