package optim

import (
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// IsOptimizerState is whether a variable under "/net" is the optimizer's and no parameter.
func IsOptimizerState(path string) bool {
	return strings.HasPrefix(path, "/net/"+optimizer.Scope) ||
		strings.HasPrefix(path, "/net/"+optimizer.AdamDefaultScope)
}

// The scopes of what training keeps beside the network ("net") and the weighting ("loss").
const (
	EMAScope        = "ema"         // averages of the network's parameters
	AccumulateScope = "accumulated" // gradients of the batches of a step so far
)

func Adam(scope *model.Scope, grads []*graph.Node, lr *graph.Node, decay float64) {
	if len(grads) == 0 {
		return
	}
	optimizer.LearningRateVar(scope, lr.DType(), 0).SetNodeValue(lr)
	optimizer.Adam().WeightDecay(decay).Epsilon(1e-7).Done().(interface {
		UpdateGraphWithGradients(*model.Scope, []*graph.Node, dtypes.DType)
	}).UpdateGraphWithGradients(scope, grads, lr.DType())
}

// FlatName is a variable's path as one name.
func FlatName(path string) string { return strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", ".") }

func Zeros(s shapes.Shape) *tensors.Tensor { return tensors.FromShape(s) }

// TrainableVars are a scope's trainable parameters that the graph uses, in the order in which their gradients are.
func TrainableVars(scope *model.Scope, g *graph.Graph) (vars []*model.Variable) {
	for v := range scope.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			vars = append(vars, v)
		}
	}
	return vars
}

// Trainable are the values of trainableVars.
func Trainable(scope *model.Scope, g *graph.Graph) (values []*graph.Node) {
	for _, v := range TrainableVars(scope, g) {
		values = append(values, v.NodeValue(g))
	}
	return values
}

func SumSquares(xs []*graph.Node) *graph.Node {
	sum := graph.ReduceAllSum(graph.Square(xs[0]))
	for _, x := range xs[1:] {
		sum = graph.Add(sum, graph.ReduceAllSum(graph.Square(x)))
	}
	return sum
}
