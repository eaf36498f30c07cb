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
// the scope "loss", so that it is in the checkpoint. docs/weighting.md compares them.
type Method interface {
	Name() string
	Joint(t *TaskLosses) joint
}

// TaskLosses are what a weighting can see of a step.
type TaskLosses struct {
	*nn.GraphOps               // in the scope of the weighting's own variables
	Losses       []*graph.Node // each task's cross-entropy (scalars, in nats); exactly 0 where a batch knows no label
	Classes      []int         // the tasks' class counts
	Draw         *graph.Node   // [tasks] standard normal numbers of this step
	Batches      int           // an epoch
	// gradients are those of the network's trained parameters, and shared tells which of these both tasks have: all but
	// the heads, that is the output layers of emotion and of gender (see partOf).
	Gradients func(loss *graph.Node) []*graph.Node
	Shared    []bool
}

// joint is a weighting's answer.
type joint struct {
	Loss    *graph.Node // J
	Weights *graph.Node // p [tasks]
	// grads are the gradients of the network's parameters where the weighting had to make them; nil: those of J.
	Grads []*graph.Node
	// own is what a follower's trainable variables descend. Those of any other weighting descend J, with the network's
	// learning rate.
	own *graph.Node
}

// Follower is a Weighting that learns after the network has made its step. again runs the network once more, as it is
// then, on the same batch, and gives the losses.
type Follower interface {
	Follow(t *TaskLosses, j joint, again func() []*graph.Node)
}

// ownRate is the learning rate of weights that learn beside the network: 0.025 in GradNorm (section 4) and in FAMO's
// code.
const ownRate = 0.025

// methods are the weightings by name. parameter is the default of what can stand behind a colon.
var methods = []struct {
	name      string
	parameter string // its name; "": there is none
	byDefault float64
	make      func(parameter float64) Method
}{
	{"softmax", "", 0, func(float64) Method { return Softmax{} }},
	{"softmax-prior", "", 0, func(float64) Method { return SoftmaxPrior{} }},
	{"uw", "", 0, func(float64) Method { return UW{} }},
	{"uw-so", "TEMPERATURE", 1, func(p float64) Method { return UWSO{p} }},
	{"dwa", "TEMPERATURE", 2, func(p float64) Method { return DWA{p} }},
	{"rlw", "", 0, func(float64) Method { return RLW{} }},
	{"famo", "", 0, func(float64) Method { return FAMO{} }},
	{"gradnorm", "ALPHA", 1.5, func(p float64) Method { return GradNorm{p} }},
	{"pcgrad", "", 0, func(float64) Method { return PCGrad{} }},
	{"cagrad", "C", 0.4, func(p float64) Method { return CAGrad{p} }},
}

// Names names what ParseWeighting takes.
var Names = func() (names []string) {
	for _, m := range methods {
		names = append(names, m.name)
	}
	return append(names, "static")
}()

// Parse reads --weighting: a name of Weightings, "static:0.7,0.3" (emotion, gender), or a name and its parameter
// such as "dwa:2".
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
				return nil, fmt.Errorf("--weighting %q: want %s:%s with a number above 0 (cagrad: below 1), such as %s:%g", s, name, m.parameter, name, m.byDefault)
			}
			return m.make(p), nil
		}
	}
	return nil, fmt.Errorf("--weighting %q: known are %s and static:EMOTION,GENDER", s, strings.Join(Names, ", "))
}

// withParameter is a method's name, with its parameter where that is not the default.
func withParameter(name string, p float64) string {
	for _, m := range methods {
		if m.name == name && p != m.byDefault {
			return fmt.Sprintf("%s:%g", name, p)
		}
	}
	return name
}

// vector are the losses as one node [tasks], without a gradient.
func (t *TaskLosses) vector() *graph.Node { return graph.StopGradient(vector(t.Losses)) }

// known is 1 for each task of which the batch has a label, else 0.
func (t *TaskLosses) known() *graph.Node {
	l := t.vector()
	return graph.ConvertDType(graph.GreaterThan(l, graph.ZerosLike(l)), l.DType())
}

// state is a variable that the optimizer leaves alone, and its value.
func (t *TaskLosses) state(name string, first float64, dims ...int) (set func(*graph.Node), now *graph.Node) {
	v := t.Variable(name, nn.ConstInit(first), dims...)
	v.SetTrainable(false)
	return func(x *graph.Node) { v.SetNodeValue(graph.ConvertDType(x, v.DType())) }, t.Typed(v.NodeValue(t.Graph))
}

// fixed is the joint loss with weights that have no gradient.
func (t *TaskLosses) fixed(p *graph.Node) joint {
	p = graph.StopGradient(p)
	return joint{Loss: weightedSum(p, t.Losses), Weights: p}
}

func vector(scalars []*graph.Node) *graph.Node {
	rows := make([]*graph.Node, len(scalars))
	for i, l := range scalars {
		rows[i] = graph.Reshape(l, 1)
	}
	return graph.Concatenate(rows, 0)
}

func weightedSum(p *graph.Node, losses []*graph.Node) *graph.Node {
	return graph.ReduceAllSum(graph.Mul(p, vector(losses)))
}

// softmaxOf is softmax(x) of a vector.
func softmaxOf(x *graph.Node) *graph.Node {
	e := graph.Exp(graph.Sub(x, graph.StopGradient(graph.ReduceAllMax(x))))
	return graph.Div(e, graph.ReduceAllSum(e))
}

// CrossEntropy is the mean of -sum_k target_k log softmax(logits)_k over rows, weighted by weight [R]; rows whose
// label is unknown have weight 0. A batch without any label has loss 0.
func CrossEntropy(logits, target, weight *graph.Node) *graph.Node {
	shifted := graph.Sub(logits, graph.StopGradient(graph.ReduceAndKeep(logits, graph.ReduceMax, -1)))
	logp := graph.Sub(shifted, graph.Log(graph.ReduceAndKeep(graph.Exp(shifted), graph.ReduceSum, -1)))
	rows := graph.Neg(graph.ReduceSum(graph.Mul(target, logp), -1))
	total := graph.Max(graph.ReduceAllSum(weight), graph.Scalar(weight.Graph(), weight.DType(), 1e-6))
	return graph.Div(graph.ReduceAllSum(graph.Mul(rows, weight)), total)
}
