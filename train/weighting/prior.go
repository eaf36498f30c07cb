package weighting

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// softmaxPrior is the paper's loss with a term that keeps the weights near a prior, so that it cannot collapse:
// J = sum_i p_i L_i + priorStrength KL(p || q), p = softmax(w), with the prior q_i proportional to ln(K_i), the loss of
// guessing among K_i classes. With constant losses its minimum is p_i proportional to q_i exp(-L_i/priorStrength),
// which no task leaves; the weight still moves to the task whose loss is smaller.
type softmaxPrior struct{}

// priorStrength, in nats, is how much larger one task's loss must be to lose a factor e of its weight.
const priorStrength = 2

func (softmaxPrior) Name() string { return "softmax-prior" }

func (softmaxPrior) Joint(t *TaskLosses) JointLoss {
	p := softmaxOf(learnedLogits(t))
	q, total := make([]float32, len(t.Classes)), 0.0
	for _, k := range t.Classes {
		total += math.Log(float64(k))
	}
	for i, k := range t.Classes {
		q[i] = float32(math.Log(float64(k)) / total)
	}
	divergence := graph.ReduceAllSum(graph.Mul(p, graph.Log(graph.Div(p, t.Constant(q, len(q))))))
	j := graph.Add(weightedSum(p, t.Losses), graph.MulScalar(divergence, priorStrength))
	return JointLoss{Loss: j, Weights: p}
}
