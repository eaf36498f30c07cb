// Package optim changes a network's parameters by their gradients: adamw, adam and muon, and what any of them may have
// beside it, that is clipping, the gradients of several batches, and averages of the parameters.
//
// Everything in it adds nodes to the GoMLX graph of a training step. What has to be remembered from step to step are
// variables of the step's store, which owns their tensors, so that it is in a run's checkpoint.
//
// It imports no other package of tandem.
package optim

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// Optimizer makes the update of one step.
type Optimizer interface {
	// Update gives the step's parameters their new values. It may overwrite the slice of gradients.
	Update(s Step)
}

// Step is the input of an Optimizer, all of one graph.
type Step struct {
	Root   *model.Scope  // of the store, for what an optimizer keeps beside the parameters
	Params *model.Scope  // whose trainable variables are changed
	Grads  []*graph.Node // of the loss by TrainableVars(Params), in that order and of their shapes
	Rate   *graph.Node   // learning rate, a scalar
	Decay  float64       // weight decay, 0: none
	// IsHead reports whether a parameter is of an output layer: muon leaves those to Adam.
	IsHead func(*model.Variable) bool
}

// registry holds the optimizers by the names that a recipe gives them.
var registry = []struct {
	name      string
	optimizer Optimizer
}{
	{"adamw", adamW{}},
	{"adam", adamL2{}},
	{"muon", muon{}},
}

// Names lists the optimizers that New takes.
func Names() []string {
	names := make([]string, len(registry))
	for i, r := range registry {
		names[i] = r.name
	}
	return names
}

// New returns the optimizer of a name; another name is an error.
func New(name string) (Optimizer, error) {
	for _, r := range registry {
		if r.name == name {
			return r.optimizer, nil
		}
	}
	return nil, fmt.Errorf("optimizer %q: known are %s", name, strings.Join(Names(), ", "))
}

// IsState reports whether a variable under "/net", by its path, is Adam's and no parameter.
func IsState(path string) bool {
	return strings.HasPrefix(path, "/net/"+optimizer.Scope) ||
		strings.HasPrefix(path, "/net/"+optimizer.AdamDefaultScope)
}

// TrainableVars returns a scope's trainable parameters that the graph uses, in the order in which they were made.
func TrainableVars(scope *model.Scope, g *graph.Graph) (vars []*model.Variable) {
	for v := range scope.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			vars = append(vars, v)
		}
	}
	return vars
}

// Trainable returns the values of TrainableVars.
func Trainable(scope *model.Scope, g *graph.Graph) (values []*graph.Node) {
	for _, v := range TrainableVars(scope, g) {
		values = append(values, v.NodeValue(g))
	}
	return values
}

// Norm returns the Euclidean norm of all values together, a scalar; eps is added under the root, so that its gradient
// is finite at 0.
func Norm(xs []*graph.Node, eps float64) *graph.Node {
	sum := graph.ReduceAllSum(graph.Square(xs[0]))
	for _, x := range xs[1:] {
		sum = graph.Add(sum, graph.ReduceAllSum(graph.Square(x)))
	}
	if eps == 0 {
		return graph.Sqrt(sum)
	}
	return graph.Sqrt(graph.AddScalar(sum, eps))
}

// Clip scales gradients in place so that their norm, which is given, is at most limit; a limit of 0 changes nothing.
func Clip(grads []*graph.Node, norm *graph.Node, limit float64) {
	if limit <= 0 {
		return
	}
	scale := graph.MinScalar(graph.MulScalar(graph.Reciprocal(norm), limit), 1)
	for i := range grads {
		grads[i] = graph.Mul(grads[i], scale)
	}
}

// flatName returns a variable's path as one name.
func flatName(path string) string { return strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", ".") }
