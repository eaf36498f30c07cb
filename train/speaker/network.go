package speaker

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/train/nn"
	"tandem/train/optim"
)

// network is the network in training. The store owns all variables' tensors; batches are copied into tensors that last
// as long as their step.
type network struct {
	recipe    Recipe
	optimizer optim.Optimizer
	store     *model.Store
	step      *model.Exec
}

// netScope is the scope of the store for the network's parameters, as package optim knows it.
const netScope = "net"

func newNetwork(r Recipe, backend compute.Backend) (n *network, err error) {
	n = &network{recipe: r, store: model.NewStore()}
	if n.optimizer, err = optim.New("adamw"); err != nil {
		return nil, err
	}
	if n.step, err = model.NewExec(backend, n.store, n.stepGraph); err != nil {
		return nil, err
	}
	return n, nil
}

// stepGraph is one step of training. in is that of network.train.
func (n *network) stepGraph(root *model.Scope, in []*graph.Node) []*graph.Node {
	g := in[0].Graph()
	n.store.SetTraining(g, true)
	net := root.At(netScope)
	o := &nn.GraphOps{Scope: net, Graph: g, Seed: n.recipe.Seed}
	lips, voice := o.EncodeLips(n.recipe.Arch, in[0], in[1]), o.EncodeVoice(n.recipe.Arch, in[2])
	loss, right := pairLoss(o, n.recipe, lips, voice, in[3])
	grads := graph.Gradient(loss, optim.Trainable(net, g)...)
	norm := optim.Norm(grads, 1e-12)
	optim.Clip(grads, norm, n.recipe.Clip)
	n.optimizer.Update(optim.Step{
		Root: root, Params: net, Grads: grads, Rate: in[4], Decay: n.recipe.WeightDecay, IsHead: nn.IsHead,
	})
	if n.recipe.EMA > 0 {
		optim.Average(root, net, g, n.recipe.EMA)
	}
	return []*graph.Node{loss, right, norm}
}

// never is the logarithm of what is not to be chosen.
const never = -1e4

// shifts are by how many slots the own voice is moved, round the window's end: 0.3 to 2.2 s either way.
var shifts = []int{5, 8, 12, 16, 20, 24, 28, 32, 35}

// pairLoss returns the loss of a batch in nats and the share of windows for whose face the own voice is chosen, both
// scalars. lips [faces, T, D] and voice [voices, T, D] are features, and voiced [pairs, T] says where a voice is heard.
//
// A face and a voice go together by the sum of their slots' products. That is taken over whole windows, halves and
// quarters, so that short turns are learned too. Two losses are made of it: the cross-entropy of choosing the own voice
// for a face, among those of its group, the own shifted and noise, and the own face for a voice (van den Oord et al.
// 2018, arXiv 1807.03748, eq. 4); and that of the odds of each pair by itself, by which a voice can be nobody's.
func pairLoss(o *nn.GraphOps, r Recipe, lips, voice, voiced *graph.Node) (loss, right *graph.Node) {
	t, pairs := r.Arch.Mouths.Slots, r.Groups*r.GroupSize
	own, ownVoice := axisRange(lips, 0, 0, pairs), axisRange(voice, 0, 0, pairs)
	moved := make([]*graph.Node, len(shifts)) // [pairs, T, 1]: products with the own voice, shifted
	for i, s := range shifts {
		s = s * t / 40
		turned := graph.Concatenate([]*graph.Node{axisRange(ownVoice, 1, s, t), axisRange(ownVoice, 1, 0, s)}, 1)
		moved[i] = graph.ReduceAndKeep(graph.Mul(own, turned), graph.ReduceSum, 2)
	}
	shifted := graph.Concatenate(moved, 2) // [pairs, T, shifts]

	var parts []*graph.Node
	for _, n := range []int{1, 2, 4} {
		for k := range n {
			from, to := k*t/n, (k+1)*t/n
			voices := graph.TransposeAllAxes(flatPart(voice, from, to), 1, 0)
			scores := graph.Dot(flatPart(lips, from, to), voices).Product()
			late := graph.ReduceSum(axisRange(shifted, 1, from, to), 1)
			heard := graph.ReduceAndKeep(axisRange(voiced, 1, from, to), graph.ReduceSum, 1)
			weight := graph.ConvertDType(graph.GreaterOrEqual(heard, graph.Scalar(o.Graph, heard.DType(),
				math.Ceil(float64(to-from)/4))), heard.DType())
			part, hits := partLoss(o, r, scores, late, weight)
			parts = append(parts, part)
			if n == 1 {
				right = hits
			}
		}
	}
	loss = parts[0]
	for _, p := range parts[1:] {
		loss = graph.Add(loss, p)
	}
	return graph.MulScalar(loss, 1/float64(len(parts))), right
}

// partLoss is the loss of one part of the windows: scores [faces, voices], late [pairs, shifts] and weight [pairs, 1].
func partLoss(o *nn.GraphOps, r Recipe, scores, late, weight *graph.Node) (loss, right *graph.Node) {
	pairs, all := r.Groups*r.GroupSize, scores.Shape().Dimensions
	same, own := groupMasks(r, all[0], all[1])
	sameNode, ownNode := o.Constant(same, all[0], all[1]), o.Constant(own, all[0], all[1])
	masked := graph.Add(scores, graph.MulScalar(graph.OneMinus(sameNode), never))
	mine := graph.ReduceAndKeep(graph.Mul(axisRange(scores, 0, 0, pairs), axisRange(ownNode, 0, 0, pairs)),
		graph.ReduceSum, 1) // [pairs, 1]
	byFace := logSumExp(graph.Concatenate([]*graph.Node{axisRange(masked, 0, 0, pairs), late}, 1), 1)
	byVoice := graph.Reshape(axisRange(logSumExp(masked, 0), 1, 0, pairs), -1, 1)
	choice := graph.Sub(graph.MulScalar(graph.Add(byFace, byVoice), 0.5), mine)

	total := graph.AddScalar(graph.ReduceAllSum(weight), 1e-3)
	mean := func(x *graph.Node) *graph.Node { return graph.Div(graph.ReduceAllSum(graph.Mul(x, weight)), total) }
	others := graph.Sub(sameNode, ownNode)
	no := graph.Div(graph.ReduceAllSum(graph.Mul(softplus(scores), others)), graph.ReduceAllSum(others))
	no = graph.Add(no, graph.ReduceAllMean(softplus(late)))
	odds := graph.Add(mean(softplus(graph.Neg(mine))), graph.MulScalar(no, 0.5))

	loss = graph.Add(graph.MulScalar(mean(choice), r.Choice), graph.MulScalar(odds, r.Odds))
	best := graph.ReduceAndKeep(axisRange(masked, 0, 0, pairs), graph.ReduceMax, 1)
	right = graph.StopGradient(mean(graph.ConvertDType(graph.GreaterOrEqual(mine, best), mine.DType())))
	return loss, right
}

// groupMasks says which faces and voices are compared, those of one group and noise with all, and which belong
// together.
func groupMasks(r Recipe, faces, voices int) (same, own []float32) {
	pairs := r.Groups * r.GroupSize
	same, own = make([]float32, faces*voices), make([]float32, faces*voices)
	for i := range faces {
		group := i / r.GroupSize
		if i >= pairs {
			group = (i - pairs) / r.Frozen
		}
		for j := range voices {
			if j >= pairs || j/r.GroupSize == group {
				same[i*voices+j] = 1
			}
			if i == j && i < pairs {
				own[i*voices+j] = 1
			}
		}
	}
	return same, own
}

// flatPart returns the slots from one to another of features [N, T, D] as rows, [N, (to-from)*D].
func flatPart(x *graph.Node, from, to int) *graph.Node {
	d := x.Shape().Dimensions
	return graph.Reshape(axisRange(x, 1, from, to), d[0], (to-from)*d[2])
}

func axisRange(x *graph.Node, axis, from, to int) *graph.Node {
	spec := make([]graph.SliceAxisSpec, x.Rank())
	for i := range spec {
		spec[i] = graph.AxisRange()
	}
	spec[axis] = graph.AxisRange(from, to)
	return graph.Slice(x, spec...)
}

// logSumExp keeps the axis, as 1.
func logSumExp(x *graph.Node, axis int) *graph.Node {
	most := graph.StopGradient(graph.ReduceAndKeep(x, graph.ReduceMax, axis))
	return graph.Add(graph.Log(graph.ReduceAndKeep(graph.Exp(graph.Sub(x, most)), graph.ReduceSum, axis)), most)
}

// softplus is log(1 + exp(x)).
func softplus(x *graph.Node) *graph.Node {
	positive := graph.StopGradient(graph.ConvertDType(graph.GreaterThan(x, graph.ScalarZero(x.Graph(), x.DType())),
		x.DType()))
	size := graph.Mul(x, graph.AddScalar(graph.MulScalar(positive, 2), -1)) // |x|
	return graph.Add(graph.Mul(x, positive), graph.Log(graph.AddScalar(graph.Exp(graph.Neg(size)), 1)))
}

// stepResult holds the values that a step returns, of the network before its update.
type stepResult struct{ loss, right, norm float64 }

// ErrDiverged is returned where the loss or its gradient is no finite number.
var ErrDiverged = errors.New("the loss is not a number")

// train runs one step.
func (n *network) train(b *batch, rate float64) (r stepResult, err error) {
	a := n.recipe.Arch
	t, s := a.Mouths.Slots, a.Mouths.Size
	in := []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(b.mouths, len(b.there)/t, t, s, s),
		tensors.FromFlatDataAndDimensions(b.there, len(b.there)/t, t),
		tensors.FromFlatDataAndDimensions(b.audio, len(b.audio)/a.AudioSamples(), a.AudioSamples()),
		tensors.FromFlatDataAndDimensions(b.voiced, len(b.voiced)/t, t),
		tensors.FromScalar(float32(rate)),
	}
	args := make([]any, len(in))
	for i, x := range in {
		args[i] = x
	}
	out, err := n.step.Call(args...)
	for _, x := range in {
		x.FinalizeAll() // or each step keeps its inputs
	}
	if err != nil {
		return r, fmt.Errorf("training step: %w", err)
	}
	for i, to := range []*float64{&r.loss, &r.right, &r.norm} {
		*to = float64(tensors.ToScalar[float32](out[i]))
		out[i].FinalizeAll()
	}
	if sum := r.loss + r.norm; math.IsNaN(sum) || math.IsInf(sum, 0) {
		return r, ErrDiverged
	}
	return r, nil
}

// weights returns a copy of the network's parameters, or of their averages where there are any.
func (n *network) weights() nn.Weights {
	w := nn.Weights{}
	for v := range n.store.RootScope().At(netScope).IterVariables() {
		if optim.IsState(v.Path()) {
			continue
		}
		now := v
		if a := optim.Averaged(n.store, v); a != nil && n.recipe.EMA > 0 {
			now = a
		}
		value := now.MustValue()
		w[v.Path()[len("/net/"):]] = nn.Weight{
			Dims: value.Shape().Dimensions, Data: tensors.MustCopyFlatData[float32](value),
		}
	}
	return w
}

// rate is the learning rate of a step: it rises to the recipe's and falls by a cosine.
func (r *Recipe) rate(step int) float64 {
	if step < r.WarmupSteps {
		return r.LearningRate * float64(step+1) / float64(r.WarmupSteps)
	}
	part := float64(step-r.WarmupSteps) / float64(max(1, r.Steps-r.WarmupSteps))
	return r.LearningRate * (0.5 + 0.5*math.Cos(math.Pi*part))
}
