package weighting

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"tandem/train/nn"
)

// Softmax is the paper's loss, exactly: J = sum_i softmax(w)_i L_i with w trained along with the network
// (Chae et al. 2018, arXiv 1809.00758). Its gradient dJ/dw_i = p_i (L_i - J) moves weight to the task whose loss is
// smaller, so an easy task takes all of it in the end. Three options hold against that, and are not in the paper:
//
//	p = floor + (1 - tasks*floor) softmax(w/temperature),  J = sum_i p_i L_i + entropy sum_i p_i ln p_i
//
// No weight falls below the floor. The entropy term has its minimum, with constant losses, at p_i proportional to
// exp(-L_i/entropy). A temperature above 1 slows the collapse by that factor, since Adam moves w by the learning rate
// however large the gradient is, but does not end it. Rate is w's learning rate in parts of the network's; 0 is 1, the
// paper's, in which both have the same.
type Softmax struct{ Floor, Temperature, Entropy, Rate float64 }

func (w Softmax) Name() string {
	name := "softmax"
	if w.Rate > 0 {
		name = withParameter(name, w.Rate)
	}
	if w.Floor > 0 {
		name += fmt.Sprintf(" floor=%g", w.Floor)
	}
	if w.Temperature > 0 && w.Temperature != 1 {
		name += fmt.Sprintf(" temperature=%g", w.Temperature)
	}
	if w.Entropy > 0 {
		name += fmt.Sprintf(" entropy=%g", w.Entropy)
	}
	return name
}

// RatePart returns the learning rate of w in parts of the network's.
func (w Softmax) RatePart() float64 {
	if w.Rate > 0 {
		return w.Rate
	}
	return 1
}

func (w Softmax) Joint(t *TaskLosses) JointLoss {
	logits := learnedLogits(t)
	if w.Temperature > 0 && w.Temperature != 1 {
		logits = graph.MulScalar(logits, 1/w.Temperature)
	}
	p := softmaxOf(logits)
	if w.Floor > 0 {
		p = graph.AddScalar(graph.MulScalar(p, 1-float64(len(t.Losses))*w.Floor), w.Floor)
	}
	j := weightedSum(p, t.Losses)
	if w.Entropy > 0 {
		// A weight of 0 has no logarithm; its term's limit is 0.
		log := graph.Log(graph.AddScalar(p, 1e-30))
		j = graph.Add(j, graph.MulScalar(graph.ReduceAllSum(graph.Mul(p, log)), w.Entropy))
	}
	return JointLoss{Loss: j, Weights: p}
}

// learnedLogits returns the learned w, which starts at zero: uniform.
func learnedLogits(t *TaskLosses) *graph.Node {
	return t.Param(taskWeightsName, nn.ConstInit(0), len(t.Losses))
}

// taskWeightsName is the name of the parameter that holds w.
const taskWeightsName = "task_weights/w"
