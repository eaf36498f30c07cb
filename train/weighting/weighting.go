// Package weighting makes one joint loss of the losses of emotion and gender. Each method stands in a file of its own,
// with the equations of its paper, and in the registry of this file, by the name that --weighting and recipes give it.
// docs/weighting.md compares them.
//
// Of tandem's packages it imports nn, for variables in a training step's graph, and optim, for weights that learn.
package weighting

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/core/graph"

	"tandem/train/nn"
)

// Method makes one joint loss of the tasks' losses. Every method plugs into the compiled step in one way: it gives the
// weights p of the step, and the network descends J = sum_i p_i L_i. What a method keeps between steps are variables in
// the scope "loss" of the step's store, which owns their tensors, so that it is in the checkpoint.
type Method interface {
	// Name returns the method as Parse takes it, with its parameter where that is not the default; Softmax's has its
	// options behind it.
	Name() string
	// Joint adds the joint loss of a step to its graph.
	Joint(t *TaskLosses) JointLoss
}

// TaskLosses are a step's losses, and what else of the step a method may use, all of one graph.
type TaskLosses struct {
	*nn.GraphOps               // in the scope of the weighting's own variables
	Losses       []*graph.Node // each task's cross-entropy (scalars, in nats); exactly 0 where a batch knows no label
	Classes      []int         // the tasks' class counts
	Draw         *graph.Node   // [tasks] standard normal numbers of this step
	Batches      int           // an epoch
	// Gradients returns those of a loss by the network's trained parameters, in a fixed order. Shared reports, in that
	// order, which parameters both tasks have: all but the output layers of emotion and of gender (nn.IsHead).
	Gradients func(loss *graph.Node) []*graph.Node
	Shared    []bool
}

// JointLoss is a method's answer to a step.
type JointLoss struct {
	Loss    *graph.Node // J, a scalar
	Weights *graph.Node // p [tasks]
	// Grads are the gradients of the network's parameters where the method had to make them; nil: those of J.
	Grads []*graph.Node
	// own is the scalar that a Follower's trainable variables descend. Those of any other method descend J, with the
	// network's learning rate.
	own *graph.Node
}

// Follower is a Method whose variables learn after the network has made its update.
type Follower interface {
	// Follow updates the method's variables; j is Joint's answer to the step. again runs the network once more,
	// as it is then, on the same batch, and returns the losses.
	Follow(t *TaskLosses, j JointLoss, again func() []*graph.Node)
}

// Paced is a Method whose variables descend J at a learning rate of their own.
type Paced interface {
	// RatePart returns that rate in parts of the network's.
	RatePart() float64
}

// ownRate is the learning rate of weights that learn beside the network: 0.025 in GradNorm (section 4) and in FAMO's
// code.
const ownRate = 0.025

// methods is the registry: the methods by name, each with the parameter that can stand behind a colon.
var methods = []struct {
	name      string
	parameter string  // its name; "": there is none
	byDefault float64 // its value where none is given
	make      func(parameter float64) Method
}{
	{"softmax", "RATE", 1, func(p float64) Method { return Softmax{Rate: p} }},
	{"softmax-prior", "", 0, func(float64) Method { return softmaxPrior{} }},
	{"uw", "", 0, func(float64) Method { return uw{} }},
	{"uw-so", "TEMPERATURE", 1, func(p float64) Method { return uwso{p} }},
	{"dwa", "TEMPERATURE", 2, func(p float64) Method { return dwa{p} }},
	{"rlw", "", 0, func(float64) Method { return rlw{} }},
	{"famo", "", 0, func(float64) Method { return famo{} }},
	{"gradnorm", "ALPHA", 1.5, func(p float64) Method { return gradNorm{p} }},
	{"pcgrad", "", 0, func(float64) Method { return pcGrad{} }},
	{"cagrad", "C", 0.4, func(p float64) Method { return caGrad{p} }},
}

// Names lists the methods that Parse takes, by name alone.
var Names = func() (names []string) {
	for _, m := range methods {
		names = append(names, m.name)
	}
	return append(names, "static")
}()

// Parse returns the method that --weighting or a recipe names: one of Names, "static:0.7,0.3" (emotion, gender), or a
// name and its parameter such as "dwa:2".
func Parse(s string) (Method, error) {
	name, arg, hasArg := strings.Cut(s, ":")
	if name == "static" {
		return parseStatic(s, arg, hasArg)
	}
	for _, m := range methods {
		switch {
		case m.name != name:
		case !hasArg:
			return m.make(m.byDefault), nil
		case m.parameter == "":
			return nil, fmt.Errorf("--weighting %q: %s has no parameter", s, name)
		default:
			p, err := strconv.ParseFloat(arg, 64)
			if err != nil || !(p > 0 && p <= 100) || name == "cagrad" && p >= 1 {
				return nil, fmt.Errorf("--weighting %q: want %s:%s with a number above 0 (cagrad: below 1), "+
					"such as %s:%g", s, name, m.parameter, name, m.byDefault)
			}
			return m.make(p), nil
		}
	}
	return nil, fmt.Errorf("--weighting %q: known are %s and static:EMOTION,GENDER", s, strings.Join(Names, ", "))
}

// UniformEpochs returns how many epochs a method begins with in which its weights are uniform whatever the losses are.
func UniformEpochs(m Method) int {
	if _, ok := m.(dwa); ok {
		return 2 // it compares the losses of the two epochs before
	}
	return 0
}

// withParameter returns a method's name, with its parameter where that is not the default.
func withParameter(name string, p float64) string {
	for _, m := range methods {
		if m.name == name && p != m.byDefault {
			return fmt.Sprintf("%s:%g", name, p)
		}
	}
	return name
}

// vector returns the losses as one node [tasks], without a gradient.
func (t *TaskLosses) vector() *graph.Node { return graph.StopGradient(vector(t.Losses)) }

// known returns 1 for each task of which the batch has a label, else 0.
func (t *TaskLosses) known() *graph.Node {
	l := t.vector()
	return graph.ConvertDType(graph.GreaterThan(l, graph.ZerosLike(l)), l.DType())
}

// state returns a variable that the optimizer leaves alone, and its value.
func (t *TaskLosses) state(name string, first float64, dims ...int) (set func(*graph.Node), now *graph.Node) {
	v := t.Variable(name, nn.ConstInit(first), dims...)
	v.SetTrainable(false)
	return func(x *graph.Node) { v.SetNodeValue(graph.ConvertDType(x, v.DType())) }, t.Typed(v.NodeValue(t.Graph))
}

// fixed returns the joint loss with weights that have no gradient.
func (t *TaskLosses) fixed(p *graph.Node) JointLoss {
	p = graph.StopGradient(p)
	return JointLoss{Loss: weightedSum(p, t.Losses), Weights: p}
}

// vector returns scalars as one node, in order.
func vector(scalars []*graph.Node) *graph.Node {
	rows := make([]*graph.Node, len(scalars))
	for i, l := range scalars {
		rows[i] = graph.Reshape(l, 1)
	}
	return graph.Concatenate(rows, 0)
}

// weightedSum returns sum_i p_i L_i, a scalar.
func weightedSum(p *graph.Node, losses []*graph.Node) *graph.Node {
	return graph.ReduceAllSum(graph.Mul(p, vector(losses)))
}

// softmaxOf returns softmax(x) of a vector.
func softmaxOf(x *graph.Node) *graph.Node {
	e := graph.Exp(graph.Sub(x, graph.StopGradient(graph.ReduceAllMax(x))))
	return graph.Div(e, graph.ReduceAllSum(e))
}

// RowLosses returns the cross-entropy of each row, [R] in nats: -sum_k target_k log softmax(logits)_k, over the classes
// of its label space alone. logits, target and space are [R, K]; space is 1 for the classes that the row's data set
// has and 0 for others, of which it says nothing.
func RowLosses(logits, target, space *graph.Node) *graph.Node {
	const outside = 1e4 // nats below: no probability is left, and the softmax of the others is as without them
	logits = graph.Add(logits, graph.MulScalar(graph.AddScalar(space, -1), outside))
	shifted := graph.Sub(logits, graph.StopGradient(graph.ReduceAndKeep(logits, graph.ReduceMax, -1)))
	logp := graph.Sub(shifted, graph.Log(graph.ReduceAndKeep(graph.Exp(shifted), graph.ReduceSum, -1)))
	return graph.Neg(graph.ReduceSum(graph.Mul(target, logp), -1))
}

// MeanLoss returns the loss of one task, a scalar in nats: the mean of rows [R], weighted by weight [R]; rows whose
// label is unknown have weight 0. A batch without any label has loss 0.
func MeanLoss(rows, weight *graph.Node) *graph.Node {
	total := graph.Max(graph.ReduceAllSum(weight), graph.Scalar(weight.Graph(), weight.DType(), 1e-6))
	return graph.Div(graph.ReduceAllSum(graph.Mul(rows, weight)), total)
}
