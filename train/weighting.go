package train

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// Weighting makes one joint loss of the tasks' losses. Every method plugs into the compiled step in one way: it gives the weights
// p of the step, and the network descends J = sum_i p_i L_i. What a method keeps between steps are variables in the scope
// "loss", so that it is in the checkpoint. docs/weighting.md compares them.
type Weighting interface {
	Name() string
	joint(t *taskLosses) joint
}

// taskLosses are what a weighting can see of a step.
type taskLosses struct {
	*graphOps               // in the scope of the weighting's own variables
	losses    []*graph.Node // each task's cross-entropy (scalars, in nats); exactly 0 where a batch knows no label
	classes   []int         // the tasks' class counts
	draw      *graph.Node   // [tasks] standard normal numbers of this step
	batches   int           // an epoch
	// gradients are those of the network's trained parameters, and shared tells which of these both tasks have: all but the
	// heads, that is the output layers of emotion and of gender (see partOf).
	gradients func(loss *graph.Node) []*graph.Node
	shared    []bool
}

// joint is a weighting's answer.
type joint struct {
	loss    *graph.Node // J
	weights *graph.Node // p [tasks]
	// grads are the gradients of the network's parameters where the weighting had to make them; nil: those of J.
	grads []*graph.Node
	// own is what a follower's trainable variables descend. Those of any other weighting descend J, with the network's learning
	// rate.
	own *graph.Node
}

// follower is a Weighting that learns after the network has made its step. again runs the network once more, as it is then, on the
// same batch, and gives the losses.
type follower interface {
	follow(t *taskLosses, j joint, again func() []*graph.Node)
}

// ownRate is the learning rate of weights that learn beside the network: 0.025 in GradNorm (section 4) and in FAMO's code.
const ownRate = 0.025

// methods are the weightings by name. parameter is the default of what can stand behind a colon.
var methods = []struct {
	name      string
	parameter string // its name; "": there is none
	byDefault float64
	make      func(parameter float64) Weighting
}{
	{"softmax", "", 0, func(float64) Weighting { return softmaxWeighting{} }},
	{"softmax-prior", "", 0, func(float64) Weighting { return priorWeighting{} }},
	{"uw", "", 0, func(float64) Weighting { return uwWeighting{} }},
	{"uw-so", "TEMPERATURE", 1, func(p float64) Weighting { return uwsoWeighting{p} }},
	{"dwa", "TEMPERATURE", 2, func(p float64) Weighting { return dwaWeighting{p} }},
	{"rlw", "", 0, func(float64) Weighting { return rlwWeighting{} }},
	{"famo", "", 0, func(float64) Weighting { return famoWeighting{} }},
	{"gradnorm", "ALPHA", 1.5, func(p float64) Weighting { return gradnormWeighting{p} }},
	{"pcgrad", "", 0, func(float64) Weighting { return pcgradWeighting{} }},
	{"cagrad", "C", 0.4, func(p float64) Weighting { return cagradWeighting{p} }},
}

// Weightings names what ParseWeighting takes.
var Weightings = func() (names []string) {
	for _, m := range methods {
		names = append(names, m.name)
	}
	return append(names, "static")
}()

// ParseWeighting reads --weighting: a name of Weightings, "static:0.7,0.3" (emotion, gender), or a name and its parameter
// such as "dwa:2".
func ParseWeighting(s string) (Weighting, error) {
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
	return nil, fmt.Errorf("--weighting %q: known are %s and static:EMOTION,GENDER", s, strings.Join(Weightings, ", "))
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

// weighting is the recipe's weighting with its options.
func (r Recipe) weighting() (Weighting, error) {
	w, err := ParseWeighting(r.Weighting)
	if err != nil {
		return nil, err
	}
	floor, temperature, entropy := r.WeightFloor, r.WeightTemperature, r.WeightEntropy
	switch _, ok := w.(softmaxWeighting); {
	case !(floor >= 0 && floor < 0.5):
		return nil, fmt.Errorf("weight_floor %g: want 0 or more and, of two tasks, less than 0.5", floor)
	case !(temperature > 0 && temperature <= 1e6):
		return nil, fmt.Errorf("weight_temperature %g: want a number above 0; 1 is the paper's", temperature)
	case !(entropy >= 0 && entropy <= 1e6):
		return nil, fmt.Errorf("weight_entropy %g: want nats, 0 or more; 0 is the paper's", entropy)
	case ok:
		return softmaxWeighting{floor, temperature, entropy}, nil
	case floor != 0 || temperature != 1 || entropy != 0:
		return nil, fmt.Errorf("weight_floor, weight_temperature and weight_entropy are of --weighting softmax alone, not of %s: leave them out", r.Weighting)
	}
	return w, nil
}

// CheckWeighting refuses options of the weighting that are out of range or of another one.
func (r Recipe) CheckWeighting() error {
	_, err := r.weighting()
	return err
}

// vector are the losses as one node [tasks], without a gradient.
func (t *taskLosses) vector() *graph.Node { return graph.StopGradient(vector(t.losses)) }

// known is 1 for each task of which the batch has a label, else 0.
func (t *taskLosses) known() *graph.Node {
	l := t.vector()
	return graph.ConvertDType(graph.GreaterThan(l, graph.ZerosLike(l)), l.DType())
}

// state is a variable that the optimizer leaves alone, and its value.
func (t *taskLosses) state(name string, first float64, dims ...int) (set func(*graph.Node), now *graph.Node) {
	v := t.variable(name, constInit(first), dims...)
	v.SetTrainable(false)
	return func(x *graph.Node) { v.SetNodeValue(graph.ConvertDType(x, v.DType())) }, t.typed(v.NodeValue(t.graph))
}

// fixed is the joint loss with weights that have no gradient.
func (t *taskLosses) fixed(p *graph.Node) joint {
	p = graph.StopGradient(p)
	return joint{loss: weightedSum(p, t.losses), weights: p}
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

// crossEntropy is the mean of -sum_k target_k log softmax(logits)_k over rows, weighted by weight [R]; rows whose
// label is unknown have weight 0. A batch without any label has loss 0.
func crossEntropy(logits, target, weight *graph.Node) *graph.Node {
	shifted := graph.Sub(logits, graph.StopGradient(graph.ReduceAndKeep(logits, graph.ReduceMax, -1)))
	logp := graph.Sub(shifted, graph.Log(graph.ReduceAndKeep(graph.Exp(shifted), graph.ReduceSum, -1)))
	rows := graph.Neg(graph.ReduceSum(graph.Mul(target, logp), -1))
	total := graph.Max(graph.ReduceAllSum(weight), graph.Scalar(weight.Graph(), weight.DType(), 1e-6))
	return graph.Div(graph.ReduceAllSum(graph.Mul(rows, weight)), total)
}
