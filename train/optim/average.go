package optim

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// The scopes of what is kept beside the parameters, under the root of the store.
const (
	emaScope        = "ema"         // averages of the parameters
	accumulateScope = "accumulated" // gradients of the batches of a step so far
)

// Average moves the averages of a scope's trainable parameters towards them: a <- d a + (1-d) w. d rises with the
// number t of steps before, as t/(t+9), up to decay, so that the averages begin at the first weights and soon forget
// them.
func Average(root, params *model.Scope, g *graph.Graph, decay float64) {
	t := optimizer.IncrementCounter(root.At(emaScope), g, "steps", dtypes.Float32)
	d := graph.MinScalar(graph.Div(graph.AddScalar(t, -1), graph.AddScalar(t, 8)), decay)
	for _, v := range TrainableVars(params, g) {
		value := v.NodeValue(g)
		a := beside(root.At(emaScope), v)
		now := a.NodeValue(g)
		a.SetNodeValue(graph.Add(now, graph.Mul(graph.OneMinus(d), graph.Sub(value, now))))
	}
}

// Averaged returns the variable that holds the average of a parameter, nil if there is none.
func Averaged(store *model.Store, v *model.Variable) *model.Variable {
	return store.GetVariable(AveragePath(v.Path()))
}

// AveragePath returns the path of the average of the parameter of a path.
func AveragePath(path string) string { return "/" + emaScope + "/" + flatName(path) }

// Accumulate returns the mean gradients of the batches of a step so far, of which there are batches in all; with the
// last of them it clears the sums. grads are by TrainableVars(params), in that order.
func Accumulate(root, params *model.Scope, grads []*graph.Node, batches int, last bool) []*graph.Node {
	if batches <= 1 || len(grads) == 0 {
		return grads
	}
	out := make([]*graph.Node, len(grads))
	for i, v := range TrainableVars(params, grads[0].Graph()) {
		sum := beside(root.At(accumulateScope), v)
		out[i] = graph.Add(sum.NodeValue(grads[i].Graph()), graph.MulScalar(grads[i], 1/float64(batches)))
		if last {
			sum.SetNodeValue(graph.ZerosLike(out[i]))
		} else {
			sum.SetNodeValue(out[i])
		}
	}
	return out
}

// beside returns the variable of a parameter in another scope, of its shape and first zero, which no optimizer changes.
func beside(scope *model.Scope, v *model.Variable) *model.Variable {
	return scope.VariableWithValue(flatName(v.Path()), tensors.FromShape(v.Shape())).SetTrainable(false)
}
