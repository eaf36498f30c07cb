package train

import (
	"fmt"
	"math"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// Weighting makes one joint loss of the tasks' losses.
type Weighting interface {
	Name() string
	// joint takes each task's cross-entropy (scalars, in nats) and gives the joint loss J and the weights p [tasks]
	// that it used. classes are the tasks' class counts.
	joint(o *graphOps, losses []*graph.Node, classes []int) (j, p *graph.Node)
}

// Weightings names what ParseWeighting takes.
var Weightings = []string{"softmax", "softmax-prior", "static"}

// ParseWeighting reads --weighting: "softmax", "softmax-prior", "static" (uniform), or "static:0.7,0.3" (emotion,
// gender).
func ParseWeighting(s string) (Weighting, error) {
	name, arg, hasArg := strings.Cut(s, ":")
	switch {
	case name == "softmax" && !hasArg:
		return softmaxWeighting{}, nil
	case name == "softmax-prior" && !hasArg:
		return priorWeighting{}, nil
	case name == "static" && !hasArg:
		return staticWeighting{0.5, 0.5}, nil
	case name == "static":
		var w staticWeighting
		if n, err := fmt.Sscanf(arg, "%g,%g", &w[0], &w[1]); n == 2 && err == nil && w[0] >= 0 && w[1] >= 0 && w[0]+w[1] > 0 {
			sum := w[0] + w[1]
			return staticWeighting{w[0] / sum, w[1] / sum}, nil
		}
		return nil, fmt.Errorf("--weighting %q: want static:EMOTION,GENDER, two weights that are not negative, such as static:0.7,0.3", s)
	}
	return nil, fmt.Errorf("--weighting %q: known are %s and static:EMOTION,GENDER", s, strings.Join(Weightings, ", "))
}

// staticWeighting keeps the weights as given.
type staticWeighting [2]float64

func (w staticWeighting) Name() string {
	if w[0] == w[1] {
		return "static"
	}
	return fmt.Sprintf("static:%g,%g", w[0], w[1])
}

func (w staticWeighting) joint(o *graphOps, losses []*graph.Node, _ []int) (j, p *graph.Node) {
	p = o.constant([]float32{float32(w[0]), float32(w[1])}, 2)
	return weightedSum(p, losses), p
}

// softmaxWeighting is the paper's loss, exactly: J = sum_i softmax(w)_i L_i with w trained along with the network
// (Chae et al. 2018, arXiv 1809.00758). Its gradient dJ/dw_i = p_i (L_i - J) moves weight to the task whose loss is
// smaller, so an easy task takes all of it in the end.
type softmaxWeighting struct{}

func (softmaxWeighting) Name() string { return "softmax" }

func (softmaxWeighting) joint(o *graphOps, losses []*graph.Node, _ []int) (j, p *graph.Node) {
	p = softmaxWeights(o)
	return weightedSum(p, losses), p
}

// priorWeighting is the paper's loss with a term that keeps the weights near a prior, so that it cannot collapse:
// J = sum_i p_i L_i + priorStrength KL(p || q), p = softmax(w), with the prior q_i proportional to ln(K_i), the loss of
// guessing among K_i classes. With constant losses its minimum is p_i proportional to q_i exp(-L_i/priorStrength),
// which no task leaves; the weight still moves to the task whose loss is smaller.
type priorWeighting struct{}

// priorStrength, in nats, is how much larger one task's loss must be to lose a factor e of its weight.
const priorStrength = 2

func (priorWeighting) Name() string { return "softmax-prior" }

func (priorWeighting) joint(o *graphOps, losses []*graph.Node, classes []int) (j, p *graph.Node) {
	p = softmaxWeights(o)
	q, total := make([]float32, len(classes)), 0.0
	for _, k := range classes {
		total += math.Log(float64(k))
	}
	for i, k := range classes {
		q[i] = float32(math.Log(float64(k)) / total)
	}
	divergence := graph.ReduceAllSum(graph.Mul(p, graph.Log(graph.Div(p, o.constant(q, len(q))))))
	return graph.Add(weightedSum(p, losses), graph.MulScalar(divergence, priorStrength)), p
}

// softmaxWeights are softmax(w) of the learned w, which starts at zero: uniform.
func softmaxWeights(o *graphOps) *graph.Node {
	w := o.param(taskWeightsName, constInit(0), 2)
	e := graph.Exp(graph.Sub(w, graph.StopGradient(graph.ReduceAllMax(w))))
	return graph.Div(e, graph.ReduceAllSum(e))
}

// taskWeightsName is the parameter that holds w.
const taskWeightsName = "task_weights/w"

func weightedSum(p *graph.Node, losses []*graph.Node) *graph.Node {
	rows := make([]*graph.Node, len(losses))
	for i, l := range losses {
		rows[i] = graph.Reshape(l, 1)
	}
	return graph.ReduceAllSum(graph.Mul(p, graph.Concatenate(rows, 0)))
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
