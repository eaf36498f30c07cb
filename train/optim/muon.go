package optim

import (
	"github.com/gomlx/gomlx/core/graph"
)

// What Muon keeps beside the network, and its constants (Jordan et al. 2024, "Muon: an optimizer for hidden layers").
const (
	MuonScope    = "muon" // momenta
	MuonMomentum = 0.95
	muonSteps    = 5 // of Newton-Schulz
	// MuonScale brings an orthogonal update to the root mean square of Adam's, so that one learning rate and one decay
	// serve both (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2).
	MuonScale = 0.2
)

// muonCoefficients of Newton-Schulz's quintic: it brings singular values between 0 and 1 to about 1, fast, not exactly.
var muonCoefficients = [3]float64{3.4445, -4.7750, 2.0315}

// Orthogonal is about the orthogonal matrix nearest to x, by Newton and Schulz's iteration.
func Orthogonal(x *graph.Node) *graph.Node {
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
