package optim

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// Adam changes the trainable parameters of a scope by Adam (Kingma and Ba 2015, algorithm 1; beta 0.9 and 0.999,
// epsilon 1e-7), with a weight decay beside the moments (AdamW, Loshchilov and Hutter 2019). grads are in the order of
// TrainableVars, and lr is a scalar. Its moments stand in the scope itself.
func Adam(scope *model.Scope, grads []*graph.Node, lr *graph.Node, decay float64) {
	if len(grads) == 0 {
		return
	}
	optimizer.LearningRateVar(scope, lr.DType(), 0).SetNodeValue(lr)
	optimizer.Adam().WeightDecay(decay).Epsilon(1e-7).Done().(interface {
		UpdateGraphWithGradients(*model.Scope, []*graph.Node, dtypes.DType)
	}).UpdateGraphWithGradients(scope, grads, lr.DType())
}

// adamW is Adam with its decay beside the moments.
type adamW struct{}

func (adamW) Update(s Step) { Adam(s.Params, s.Grads, s.Rate, s.Decay) }

// adamL2 is Adam whose decay is an L2 penalty: a part of the gradient, and so of its moments.
type adamL2 struct{}

func (adamL2) Update(s Step) {
	if s.Decay > 0 {
		for i, w := range Trainable(s.Params, s.Rate.Graph()) {
			s.Grads[i] = graph.Add(s.Grads[i], graph.MulScalar(w, s.Decay))
		}
	}
	Adam(s.Params, s.Grads, s.Rate, 0)
}
